# SPDX-License-Identifier: Apache-2.0
"""Reads the refusal of a device: why it refuses a request, and which schemes it offers.

ONVIF Core, "Authentication": HTTP Digest is the rule, WS-UsernameToken the legacy. A device shows
which one it requires by its answer to a request without credentials: 401 with a Digest challenge,
or a SOAP fault. HTTP Basic is no ONVIF scheme, and is never answered: it would show the password to
every listener on the network.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from camfleet_api.conditions import ConditionType, Reason
from camfleet_worker.base.errors import IngestError, Quotation, Retry
from camfleet_worker.login.challenges import Challenge, can_answer
from camfleet_worker.resolve.attempts import AuthScheme
from camfleet_worker.resolve.lockout import FEWEST_LEFT, attempts_left, says_locked
from camfleet_worker.resolve.text import listed, printable

# OASIS WS-Security 1.1 section 12 (fault codes), ONVIF Core "Generic SOAP faults".
_REFUSING_CODES = frozenset(
    {
        "NotAuthorized",
        "FailedAuthentication",
        "FailedCheck",
        "InvalidSecurity",
        "InvalidSecurityToken",
        "SecurityTokenUnavailable",
        "MessageExpired",
        "AccountLocked",
        "AuthenticationFailed",
    }
)
# Quirks: some devices put the refusal only into the text of a generic fault.
_REFUSING_TEXT = re.compile(
    r"not\s+authori[sz]ed|unauthori[sz]ed|authori[sz]ation|authenticat|authority failure", re.I
)
_CLOCK = re.compile(
    r"\bclock\b|time\s?stamp|messageexpired|\bcreated\b|token (has )?expired"
    r"|\btime (is |was )?(not|out of|invalid|wrong|differ|skew|sync|mismatch)"
    r"|\b(check|invalid|wrong|system|device|camera|utc) (date ?and ?)?time\b",
    re.I,
)

_NAMES = {
    AuthScheme.DIGEST: "HTTP Digest",
    AuthScheme.USERNAME_TOKEN: "WS-UsernameToken",
    AuthScheme.NONE: "no login",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """A SOAP fault: the local names of its codes, and its text on one line."""

    codes: tuple[str, ...]
    text: str

    @property
    def refuses(self) -> bool:
        """Whether the fault refuses the account, and not the operation itself."""
        return bool(_REFUSING_CODES.intersection(self.codes)) or (
            _REFUSING_TEXT.search(self.text) is not None
        )


@dataclass(frozen=True, slots=True)
class Refusal:
    """The refusal of a request."""

    digest_challenges: tuple[Challenge, ...]
    """Those by Digest that we can answer, in the device's order."""
    other_challenges: tuple[Challenge, ...]
    fault: Fault | None
    bare: bool
    """The answer is 401 without any scheme."""
    words: str
    """The device's text, by which a lock or a wrong clock differs from a wrong password."""

    @property
    def stale(self) -> bool:
        """RFC 7616 section 3.3: the password was right, only the challenge was too old."""
        return bool(self.digest_challenges) and self.digest_challenges[0].stale

    @property
    def locked(self) -> bool:
        """The device says that the account is locked."""
        return says_locked(self.words)

    @property
    def offers(self) -> tuple[AuthScheme, ...]:
        """The offered schemes, the safest first.

        A fault offers WS-UsernameToken, and so does a bare 401, which old firmware sends instead.
        """
        schemes = []
        if self.digest_challenges:
            schemes.append(AuthScheme.DIGEST)
        if self.fault is not None or self.bare:
            schemes.append(AuthScheme.USERNAME_TOKEN)
        return tuple(schemes)


def refusal_of(
    status: int, challenges: tuple[Challenge, ...], fault: Fault | None, words: str = ""
) -> Refusal | None:
    """The refusal in an HTTP answer, or None where the request was accepted.

    `challenges`: values of WWW-Authenticate (RFC 9110 section 11.6.1). `fault`: the SOAP fault of
    the body. `words`: text of a body that is no SOAP.
    """
    refusing_fault = fault if fault is not None and fault.refuses else None
    if status not in (401, 403) and refusing_fault is None:
        return None
    digest = tuple(challenge for challenge in challenges if can_answer(challenge))
    other = tuple(challenge for challenge in challenges if not can_answer(challenge))
    text = " ".join((*fault.codes, fault.text)) if fault is not None else words
    return Refusal(digest, other, refusing_fault, status == 401 and not challenges, text)


def rejection(
    tried: tuple[AuthScheme, ...], refusal: Refusal, offset_s: float | None
) -> IngestError:
    """Name the reason for which credentials were refused after `tried` (in order of trying)."""
    schemes = ", then ".join(_NAMES[scheme] for scheme in dict.fromkeys(tried))
    if refusal.locked:
        return account_locked()
    if _CLOCK.search(refusal.words):
        return _refused(
            Reason.CLOCK_SKEW_REJECTED,
            f"The camera refuses the login ({schemes}) and names the time as the cause",
            Retry.SLOW,
        )
    # Digest does not depend on a clock: where it was refused too, the clock is not the cause.
    if set(tried) == {AuthScheme.USERNAME_TOKEN} and offset_s is None:
        return _refused(
            Reason.CLOCK_SKEW_REJECTED,
            "The camera does not tell its time and refuses the login that is signed with ours: its "
            "clock is wrong, or the user name or the password",
            Retry.SLOW,
        )
    left = attempts_left(refusal.words)
    attempts = "" if left is None else f"; the camera says {_attempts(left)} left"
    return IngestError(
        ConditionType.AUTHENTICATED,
        Reason.CREDENTIALS_REJECTED,
        f"The camera refuses the user name or the password ({schemes}){attempts}",
        Retry.ON_SECRET_CHANGE,
        last_chance=left is not None and left < FEWEST_LEFT,
    )


def _attempts(left: int) -> str:
    return "1 attempt is" if left == 1 else f"{left} attempts are"


def account_locked() -> IngestError:
    """The failure at a locked account; a further attempt would extend the lock."""
    return _refused(Reason.ACCOUNT_LOCKED, "The camera says that the account is locked", Retry.SLOW)


def credentials_missing() -> IngestError:
    """The failure where a camera requires a login and no credentials are declared."""
    return _refused(
        Reason.CREDENTIALS_MISSING,
        "The camera asks for a login and no credentials are declared",
        Retry.ON_SECRET_CHANGE,
    )


_NOT_AS_ONVIF = ", which is not how an ONVIF device asks"


def no_way_in(port: int, refusal: Refusal) -> IngestError:
    """The failure where a port requires a login that ONVIF does not have, or refuses everything."""
    schemes = tuple(printable(c.name, 20) for c in refusal.other_challenges)
    if any(challenge.scheme == "digest" for challenge in refusal.other_challenges):
        return IngestError(
            ConditionType.ELIGIBLE,
            Reason.PROTOCOL_ERROR,
            f"Port {port} asks for a login by a Digest challenge that cannot be answered: it lacks "
            "a nonce, or names neither MD5 nor SHA-256, or a qop other than auth",
            Retry.SLOW,
        )
    fact = (
        (" asks for a login by HTTP ", Quotation(listed(schemes)), _NOT_AS_ONVIF)
        if schemes
        else (" refuses every request, and asks for no login as an ONVIF device does",)
    )
    detail = (f"Port {port}", *fact)
    return IngestError(ConditionType.ELIGIBLE, Reason.NOT_ONVIF, detail, Retry.SLOW)


def not_permitted(operation: str) -> IngestError:
    """The failure where credentials accepted before are refused for one operation."""
    return _refused(
        Reason.CREDENTIALS_REJECTED,
        f"The account may log in and is refused the ONVIF operation {operation}",
        Retry.ON_SECRET_CHANGE,
    )


def _refused(reason: Reason, detail: str, retry: Retry) -> IngestError:
    return IngestError(ConditionType.AUTHENTICATED, reason, detail, retry)
