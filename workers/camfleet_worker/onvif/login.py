# SPDX-License-Identifier: Apache-2.0
"""Logs in to one device: the scheme is learnt from its refusals and never guessed.

The device calls it for every operation. A request is sent without credentials until the device
refuses one and names its schemes; then each of these is tried once, after the attempt gate has
returned. The scheme that a service accepted is used there from then on. Only a signature may be
tried a second time, and only once: where the camera's clock, asked again, may be another.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import httpx

from camfleet_api.conditions import REASONS, Effect
from camfleet_worker.base.errors import IngestError
from camfleet_worker.base.octets import OCTETS
from camfleet_worker.login.challenges import Authorizer, Challenge
from camfleet_worker.login.credentials import Credentials
from camfleet_worker.onvif.envelope import Operation, Signature, SoapAnswer, SoapCodec
from camfleet_worker.onvif.soap_version import SpokenVersions
from camfleet_worker.onvif.transport import (
    ConnectionLost,
    NotHttp,
    Transport,
    protocol_error,
)
from camfleet_worker.resolve.attempts import AttemptGate, AuthScheme
from camfleet_worker.resolve.refusal import (
    Refusal,
    credentials_missing,
    no_way_in,
    not_permitted,
    refusal_of,
    rejection,
)
from camfleet_worker.resolve.text import printable

_UNSAFE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
"""What cannot stand in the value of a header (RFC 9110 section 5.5)."""

OtherOffset = Callable[[float | None], Awaitable[float | None]]
"""Returns another offset of the camera's clock than the one with which a login was refused."""


async def _no_other_offset(refused: float | None) -> float | None:
    return None


@dataclass(frozen=True, slots=True)
class Call:
    """One operation at one path of the device."""

    path: str
    operation: Operation
    arguments: dict[str, Any]


class Login:
    """Logs in to one device during one resolve."""

    def __init__(
        self,
        transport: Transport,
        codec: SoapCodec,
        credentials: Credentials | None,
        attempts: AttemptGate,
        now: Callable[[], float],
        preferred: str | None,
        soap_version: str = "",
    ) -> None:
        self._transport = transport
        self._codec = codec
        self._credentials = credentials
        self._attempts = attempts
        self._now = now
        self._preferred = preferred
        self.versions = SpokenVersions(soap_version)
        """Of SOAP, by path."""
        self._proven: set[AuthScheme] = set()
        self._rejected: dict[AuthScheme, IngestError] = {}
        self._taken_at: dict[str, AuthScheme] = {}
        self._clock_asked_again = False
        self.scheme = AuthScheme.NONE
        """The scheme that the device accepted last; NONE while it has required none."""
        self.offset_s: float | None = None
        """Camera's clock minus ours, for signing; None while it is not known."""
        self.other_offset: OtherOffset = _no_other_offset
        """Reads the camera's clock again; the device sets it, because it knows the path."""

    async def send(self, call: Call) -> SoapAnswer:
        """The device's answer to the operation, with a login where the device requires one."""
        scheme = self._scheme_at(call.path)
        answer = await self._send_first(call, scheme)
        refusal = _refusal(answer)
        if refusal is None:
            return answer
        if self._credentials is None:
            raise credentials_missing()
        if refusal.locked:
            raise await self._note_rejected(scheme, refusal)
        signed_alone = (
            scheme is AuthScheme.USERNAME_TOKEN and AuthScheme.DIGEST not in refusal.offers
        )
        if signed_alone and await self._takes_other_offset():
            answer = await self._send_first(call, scheme)
            refusal = _refusal(answer)
            if refusal is None:
                return answer
        return await self._send_logged_in(call, self._credentials, refusal, refused=scheme)

    async def send_as_proven(self, call: Call) -> SoapAnswer:
        """The device's answer to a dispensable operation, which may be a refusal.

        Only a scheme that the device accepted before is tried: an account that lacks the right to
        one operation is not worth an attempt.
        """
        first = self._scheme_at(call.path)
        answer = await self._send_first(call, first)
        refusal = _refusal(answer)
        if refusal is None or self._credentials is None:
            return answer
        for scheme in refusal.offers:
            signed_already = scheme is AuthScheme.USERNAME_TOKEN is first
            if scheme in self._proven and not signed_already:
                return await self._send_as(
                    scheme, call, self._credentials, refusal, repeatable=True
                )
        return answer

    async def send_anonymous(self, call: Call) -> SoapAnswer:
        """The device's answer to the operation without credentials, which may be a refusal."""
        return await self._ask(call, None, repeatable=True)

    def _scheme_at(self, path: str) -> AuthScheme:
        """The scheme accepted at this path, else the one accepted last at another (quirk 6)."""
        return self._taken_at.get(path, self.scheme)

    async def _send_first(self, call: Call, scheme: AuthScheme) -> SoapAnswer:
        """Send with a signature where one was accepted before; Digest needs a challenge first."""
        if self._credentials is not None and scheme is AuthScheme.USERNAME_TOKEN:
            return await self._ask(call, self._signature(self._credentials), repeatable=True)
        return await self.send_anonymous(call)

    async def _send_logged_in(
        self, call: Call, credentials: Credentials, refusal: Refusal, refused: AuthScheme
    ) -> SoapAnswer:
        """Try the offered schemes: each unproven one at most once in the life of this login, a
        signature a second time where the camera's clock may differ from the learnt one."""
        for scheme in self._order(call.path, refusal.offers):
            if scheme is AuthScheme.USERNAME_TOKEN is refused:
                continue  # it was signed already
            answer, again = await self._attempt(scheme, call, credentials, refusal)
            only = not self._rejected.keys() - {AuthScheme.USERNAME_TOKEN}
            by_clock = again is not None and only and scheme is AuthScheme.USERNAME_TOKEN
            # Digest does not depend on a clock: where it was refused, the clock is not the cause.
            if by_clock and await self._takes_other_offset():
                answer, again = await self._attempt(scheme, call, credentials, refusal)
            if again is None:
                await self._note_proven(scheme, call.path, answer)
                return answer
        raise self._why_not(call, refusal)

    async def _attempt(
        self, scheme: AuthScheme, call: Call, credentials: Credentials, refusal: Refusal
    ) -> tuple[SoapAnswer, Refusal | None]:
        """Log in once, after the attempt gate; returns the answer and the refusal in it, if any."""
        proven = scheme in self._proven
        if not proven:
            await self._attempts.before_attempt(scheme)
        answer = await self._send_as(scheme, call, credentials, refusal, repeatable=proven)
        again = _refusal(answer)
        if again is not None and (again.locked or not proven):
            error = await self._note_rejected(scheme, again)
            if REASONS[error.reason].has(Effect.ENDS_LOGINS) or error.last_chance:
                raise error
        return answer, again

    async def _takes_other_offset(self) -> bool:
        """Whether the clock may be why a signature was refused; if so, a new offset is taken. Once
        only."""
        if self._clock_asked_again:
            return False
        self._clock_asked_again = True
        other = await self.other_offset(self.offset_s)
        if other is None:
            return False
        self.offset_s = other
        return True

    def _order(self, path: str, offers: tuple[AuthScheme, ...]) -> list[AuthScheme]:
        """The schemes not yet refused: the proven one first, then the one learnt before."""
        untried = [scheme for scheme in offers if scheme not in self._rejected]
        here = self._scheme_at(path)
        return sorted(
            untried, key=lambda s: (s not in self._proven, s != here, s != self._preferred)
        )

    async def _note_proven(self, scheme: AuthScheme, path: str, answer: SoapAnswer) -> None:
        """Note a SOAP answer, which shows accepted credentials; a web page does not."""
        if answer.document is None:
            return
        self.scheme = self._taken_at[path] = scheme
        self._rejected.pop(scheme, None)
        if scheme not in self._proven:
            self._proven.add(scheme)
            await self._attempts.proven(scheme)

    async def _note_rejected(self, scheme: AuthScheme, refusal: Refusal) -> IngestError:
        error = rejection((*self._rejected, scheme), refusal, self.offset_s)
        self._rejected[scheme] = error
        await self._attempts.rejected(scheme, error)
        return error

    def _why_not(self, call: Call, refusal: Refusal) -> IngestError:
        """The most informative reason why every scheme was refused."""
        if self._proven:
            return not_permitted(call.operation.name)
        if self._rejected:
            return list(self._rejected.values())[-1]
        return no_way_in(self._transport.port, refusal)

    async def _send_as(
        self,
        scheme: AuthScheme,
        call: Call,
        credentials: Credentials,
        refusal: Refusal,
        *,
        repeatable: bool,
    ) -> SoapAnswer:
        """Send the operation with credentials, in answer to the refusal just received."""
        if scheme is AuthScheme.USERNAME_TOKEN:
            return await self._ask(call, self._signature(credentials), repeatable=repeatable)

        answer = await self._answer(call, credentials, refusal, repeatable=repeatable)
        again = _refusal(answer)
        if again is not None and again.stale:
            return await self._answer(call, credentials, again, repeatable=False)
        if not self.versions.note(call.path, answer):
            return answer
        # The login was not refused, and its challenge is used up.
        fresh = _refusal(await self.send_anonymous(call))
        if fresh is None or not fresh.digest_challenges:
            return answer
        return await self._answer(call, credentials, fresh, repeatable=False)

    async def _answer(
        self, call: Call, credentials: Credentials, refusal: Refusal, *, repeatable: bool
    ) -> SoapAnswer:
        """Send the operation with the answer to a Digest challenge.

        After a lost answer it is sent again with a fresh challenge: the nonce count was used, and
        the same request would be refused as a replay, which counts towards a lockout.
        """

        def answer_challenge(request: httpx.Request) -> None:
            _answer_challenge(request, credentials, refusal.digest_challenges[0])

        try:
            return await self._post(call, None, answer_challenge, repeatable=False)
        except (ConnectionLost, NotHttp):
            fresh = _refusal(await self.send_anonymous(call)) if repeatable else None
            if fresh is None or not fresh.digest_challenges:
                raise
            return await self._answer(call, credentials, fresh, repeatable=False)

    async def _ask(
        self, call: Call, signature: Signature | None, *, repeatable: bool
    ) -> SoapAnswer:
        """Send, and once more in the other version of SOAP where the device may speak that alone.

        No login is wasted: one that the answer refuses is not sent again.
        """
        answer = await self._post(call, signature, None, repeatable=repeatable)
        if not self.versions.note(call.path, answer):
            return answer
        other = self.versions.at(call.path)
        try:
            again = await self._post(call, signature, None, repeatable=repeatable)
        except (ConnectionLost, NotHttp):
            self.versions.not_answered(call.path)
            return answer
        self.versions.note(call.path, again)
        return again if self.versions.at(call.path) is other else answer

    async def _post(
        self,
        call: Call,
        signature: Signature | None,
        authorize: Callable[[httpx.Request], None] | None,
        *,
        repeatable: bool,
    ) -> SoapAnswer:
        """Send, and once more on a fresh connection where the answer is lost (quirk 25).

        An unproven login must not be repeated, because the camera may have counted it. A repeated
        signature has a new nonce.
        """
        version = self.versions.at(call.path)
        for last in (not repeatable, True):
            body = await self._codec.build(call.operation, call.arguments, signature, version)
            headers = call.operation.headers(version)
            request = self._transport.request(call.path, body, headers)
            if authorize is not None:
                authorize(request)
            try:
                return await self._codec.open(await self._transport.send(request))
            except (ConnectionLost, NotHttp):
                if last:
                    raise
        raise AssertionError("the second time is the last")

    def _signature(self, credentials: Credentials) -> Signature:
        """A signature with the time of the camera's clock, or of ours while that is not known."""
        return Signature(credentials, self._now() + (self.offset_s or 0.0))


def _refusal(answer: SoapAnswer) -> Refusal | None:
    words = ""
    if answer.document is None:
        words = printable(answer.http.body[:2000].decode("utf-8", "replace"), 400)
    return refusal_of(answer.http.status, answer.http.challenges, answer.fault, words)


def _answer_challenge(
    request: httpx.Request, credentials: Credentials, challenge: Challenge
) -> None:
    """Put the answer to a Digest challenge (RFC 7616) into the request.

    It is computed from the challenge just received, so that no nonce is used for another path or a
    second time: a stale nonce would be counted as a bad login.
    """
    answer = Authorizer(credentials.username, credentials.password).answer([challenge])
    assert answer is not None  # digest_challenges are those that can be answered
    path = request.url.raw_path.decode("ascii")
    value = answer.header(request.method, path)
    if _UNSAFE.search(value):
        raise protocol_error("The camera's Digest challenge cannot be answered")
    # As octets, because a realm may hold a serial number with characters outside ASCII.
    line = (b"Authorization", value.encode(errors=OCTETS))
    request.headers = httpx.Headers([*request.headers.raw, line])
