# SPDX-License-Identifier: Apache-2.0
"""Who may use a camera: WS-UsernameToken, Digest and Basic, checked for real, counted, and locked
out.

One `Doorkeeper` per camera stands before both ONVIF and RTSP, because real cameras keep one account
list and one lockout counter for both. It opens no socket and takes every time as an argument:
`camera_now` is the camera's own (possibly wrong) clock, `monotonic_s` the lockout's.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from camera_simulator.challenge_forms import written
from camera_simulator.counters import Attempt, Counters, Door, Verdict
from camera_simulator.settings import CameraSettings

_V = TypeVar("_V")

_NONCES_KEPT = 4096
"""Digest nonces and UsernameToken nonces remembered; a camera forgets too, and we must not grow."""


_OLD = timedelta(seconds=2)
"""Requests may overtake each other on their way."""


@dataclass(frozen=True)
class UsernameToken:
    """A WS-UsernameToken as it came in (OASIS WSS UsernameToken Profile 1.0 §3.1)."""

    username: str
    password: str
    digested: bool
    nonce: str
    created: str


class Doorkeeper:
    """Judges every attempt on one camera and remembers what a camera remembers."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._digest_nonces: OrderedDict[str, int] = OrderedDict()
        self._token_nonces: OrderedDict[str, None] = OrderedDict()
        self._newest_created = datetime(1970, 1, 1, tzinfo=UTC)
        self._refused_in_a_row: dict[str, int] = {}
        self._locked_until: dict[str, float] = {}

    def challenges(
        self, settings: CameraSettings, door: Door, stale: bool = False, uri: str = ""
    ) -> list[str]:
        """The WWW-Authenticate values of this door, in the order the camera prefers."""
        schemes = settings.onvif_schemes if door == "onvif" else settings.rtsp_schemes
        values = []
        for scheme in schemes:
            if scheme == "digest":
                values += [
                    self._digest_challenge(settings, door, algorithm, stale, uri)
                    for algorithm in settings.digest_algorithms
                ]
            elif scheme == "basic":
                values.append(f'Basic realm="{_realm(settings)}"')
        values = written(values, settings.challenge_form)
        return [", ".join(values)] if settings.challenges_in_one_header and values else values

    def _digest_challenge(
        self, settings: CameraSettings, door: Door, algorithm: str, stale: bool, uri: str
    ) -> str:
        nonce = _nonce_of(uri) + secrets.token_hex(12)
        _remember(self._digest_nonces, nonce, 0)
        # Cameras speak HTTP Digest with qop (RFC 2617 §3.2.1) on ONVIF, and its RFC 2069 form on
        # RTSP, which knows MD5 alone.
        quality = ', qop="auth"' if door == "onvif" or algorithm != "MD5" else ""
        stale_flag = ", stale=true" if stale and not settings.nonce_per_url else ""
        realm = _realm(settings)
        return (
            f'Digest realm="{realm}", nonce="{nonce}", algorithm={algorithm}{quality}{stale_flag}'
        )

    def locked(self, account: str, monotonic_s: float) -> bool:
        """Whether the account is locked right now."""
        return self._locked_until.get(account, 0.0) > monotonic_s

    def attempts_left(self, settings: CameraSettings, account: str) -> int:
        """What a talkative camera tells whom it refuses."""
        return max(0, settings.lockout_after - self._refused_in_a_row.get(account, 0))

    def judge_token(
        self,
        token: UsernameToken,
        settings: CameraSettings,
        camera_now: datetime,
        monotonic_s: float,
    ) -> Verdict:
        """WS-UsernameToken with PasswordDigest on ONVIF; the window is measured on the camera's
        clock."""
        verdict = self._token_verdict(token, settings, camera_now)
        return self._counted("onvif", "wsse", token.username, verdict, settings, monotonic_s)

    def judge_authorization(
        self,
        header: str,
        settings: CameraSettings,
        door: Door,
        method: str,
        uri: str,
        monotonic_s: float,
    ) -> Verdict:
        """The Authorization header of an HTTP or RTSP request."""
        scheme, _, rest = header.partition(" ")
        scheme = scheme.lower()
        allowed = settings.onvif_schemes if door == "onvif" else settings.rtsp_schemes
        if scheme == "digest":
            account, verdict = self._digest_verdict(rest, settings, door, method, uri)
        elif scheme == "basic":
            account, verdict = _basic_verdict(rest, settings)
        else:
            account, verdict = "", Verdict.MALFORMED
        if scheme not in allowed:
            verdict = Verdict.MALFORMED
        return self._counted(door, scheme, account, verdict, settings, monotonic_s)

    def _token_verdict(
        self, token: UsernameToken, settings: CameraSettings, camera_now: datetime
    ) -> Verdict:
        if not token.digested:
            return Verdict.MALFORMED
        try:
            nonce = base64.b64decode(token.nonce, validate=True)
            created = parse_created(token.created)
        except (binascii.Error, ValueError):
            return Verdict.MALFORMED
        if token.username != settings.username:
            return Verdict.UNKNOWN_ACCOUNT
        if abs(camera_now - created) > timedelta(seconds=settings.wsse_window_s):
            return Verdict.CLOCK
        password = (settings.password or "").encode()
        wanted = base64.b64encode(
            hashlib.sha1(nonce + token.created.encode() + password).digest()
        ).decode()
        if not hmac.compare_digest(wanted.encode(), token.password.encode()):
            return Verdict.WRONG_PASSWORD
        # Replay is judged last: a nonce counts as used only when it opened the door.
        old = settings.refuses_old_created and created < self._newest_created - _OLD
        if old or token.nonce in self._token_nonces:
            return Verdict.REPLAYED
        self._newest_created = max(created, self._newest_created)
        _remember(self._token_nonces, token.nonce, None)
        return Verdict.ACCEPTED

    def _digest_verdict(
        self, rest: str, settings: CameraSettings, door: Door, method: str, uri: str
    ) -> tuple[str, Verdict]:
        said = parse_auth_parameters(rest)
        account = said.get("username", "")
        if not {"username", "nonce", "uri", "response"} <= said.keys() or not _same_uri(
            said["uri"], uri, door
        ):
            return account, Verdict.MALFORMED
        last_count = self._digest_nonces.get(said["nonce"])
        elsewhere = settings.nonce_per_url and not said["nonce"].startswith(_nonce_of(uri))
        if last_count is None or elsewhere:
            return account, Verdict.STALE_NONCE
        algorithm = said.get("algorithm", "MD5")
        if algorithm not in settings.digest_algorithms:
            return account, Verdict.MALFORMED
        if account != settings.username:
            return account, Verdict.UNKNOWN_ACCOUNT
        if algorithm in settings.digest_refused or not hmac.compare_digest(
            _digest_response(said, settings, method).encode(), said["response"].encode()
        ):
            return account, Verdict.WRONG_PASSWORD
        if "nc" in said:  # RFC 2617 §3.2.2: nc must grow for a nonce
            count = int(said["nc"], 16)
            if count <= last_count:
                return account, Verdict.REPLAYED
            self._digest_nonces[said["nonce"]] = count
        return account, Verdict.ACCEPTED

    def _counted(
        self,
        door: Door,
        scheme: str,
        account: str,
        verdict: Verdict,
        settings: CameraSettings,
        monotonic_s: float,
    ) -> Verdict:
        if self._locked_until.get(account, 0.0) > monotonic_s:
            verdict = Verdict.LOCKED
        elif verdict is Verdict.ACCEPTED:
            self._refused_in_a_row.pop(account, None)
        elif verdict is not Verdict.STALE_NONCE:
            self._remember_refusal(account, settings, monotonic_s)
        self._counters.attempts[Attempt(door, scheme, account, verdict)] += 1
        return verdict

    def _remember_refusal(self, account: str, settings: CameraSettings, monotonic_s: float) -> None:
        row = self._refused_in_a_row.get(account, 0) + 1
        self._refused_in_a_row[account] = row
        if settings.lockout_after and row >= settings.lockout_after:
            self._locked_until[account] = monotonic_s + settings.lockout_s
            self._refused_in_a_row.pop(account)


def parse_created(text: str) -> datetime:
    """xs:dateTime in UTC, with or without fractions and Z; ValueError for anything else."""
    created = datetime.fromisoformat(text.strip().replace("Z", "+00:00"))
    return created if created.tzinfo else created.replace(tzinfo=UTC)


_PARAMETER = re.compile(r'(\w+)\s*=\s*(?:"([^"]*)"|([^\s,]+))')


def parse_auth_parameters(text: str) -> dict[str, str]:
    """auth-param list of RFC 2617 §1.2, quoted or not, keys in lower case."""
    return {key.lower(): quoted or bare for key, quoted, bare in _PARAMETER.findall(text)}


def _digest_response(said: dict[str, str], settings: CameraSettings, method: str) -> str:
    """RFC 7616 §3.4.1; without qop the RFC 2069 form that RTSP cameras use."""
    algorithm = said.get("algorithm", "MD5")
    hashed = _sha256 if algorithm.startswith("SHA-256") else _md5
    secret = hashed(f"{settings.username}:{_realm(settings)}:{settings.password or ''}")
    if algorithm.endswith("-sess"):
        secret = hashed(f"{secret}:{said['nonce']}:{said.get('cnonce', '')}")
    request = hashed(f"{method}:{said['uri']}")
    if "qop" in said:
        middle = f"{said['nonce']}:{said.get('nc', '')}:{said.get('cnonce', '')}:{said['qop']}"
        return hashed(f"{secret}:{middle}:{request}")
    return hashed(f"{secret}:{said['nonce']}:{request}")


def _basic_verdict(rest: str, settings: CameraSettings) -> tuple[str, Verdict]:
    try:
        account, _, password = base64.b64decode(rest.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", Verdict.MALFORMED
    if account != settings.username:
        return account, Verdict.UNKNOWN_ACCOUNT
    right = hmac.compare_digest(password.encode(), (settings.password or "").encode())
    return account, Verdict.ACCEPTED if right else Verdict.WRONG_PASSWORD


def _same_uri(said: str, asked: str, door: Door) -> bool:
    """HTTP wants the very request target (RFC 2617 §3.2.2.5); RTSP forgives a trailing slash."""
    return said == asked if door == "onvif" else said.rstrip("/") == asked.rstrip("/")


def _realm(settings: CameraSettings) -> str:
    return settings.realm or f"IP Camera({settings.serial_number[-5:]})"


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _nonce_of(uri: str) -> str:
    """How nonces for a URL begin."""
    return _md5(uri)[:8]


def _remember(known: OrderedDict[str, _V], key: str, value: _V) -> None:
    known[key] = value
    while len(known) > _NONCES_KEPT:
        known.popitem(last=False)
