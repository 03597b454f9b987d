# SPDX-License-Identifier: Apache-2.0
"""The ledger of login attempts, which are few because cameras lock accounts after five bad ones.

At most two attempts (one per authentication scheme) are made for one account, that is one
(device address, user name, Secret version), whatever the number of its cameras: the sixteen
channels of a recorder use one account. An attempt is written to the Camera's status before it is
made, so a restart or a move of the camera makes no further ones. Where that write fails (no API
server) the attempt is not made, and only proven credentials are used. An attempt whose answer is
lost counts, because the camera has counted it. An account that the camera calls locked, or nearly
locked, gets no second attempt. After that, an attempt is made when the Secret's values change, or
every half hour.

A login that the device accepts proves the account, over ONVIF or over RTSP: some cameras require
none over ONVIF. Credentials that ONVIF accepts and RTSP refuses are counted apart: they are proven,
but each channel of a recorder that tries them on RTSP makes another bad login.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from camfleet_api.camera import Attempts
from camfleet_api.conditions import REASONS, ConditionType, Effect, Reason
from camfleet_worker.base.clock import WallClock
from camfleet_worker.base.errors import IngestError, Retry
from camfleet_worker.cluster.errors import ClusterError

log = logging.getLogger(__name__)

MOST_ATTEMPTS = 2
SLOW_RETRY = timedelta(minutes=30)
COUNTED_MOST = 100
"""Limit of status.attempts.count."""

WriteDown = Callable[[Attempts], Awaitable[None]]
"""Writes attempts to one Camera's status; ClusterError where that fails."""


@dataclass
class _Account:
    """The attempts and results of one account at one address."""

    attempts: Attempts | None = None
    refusal: IngestError | None = None
    rtsp_proven: bool = False
    rtsp_refusal: IngestError | None = None
    rtsp_refused_at: datetime | None = None
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    """One camera at a time tries an unproven account; the others use its result."""


class AttemptLedger:
    """All accounts that a worker's cameras use."""

    def __init__(self, clock: WallClock) -> None:
        self._clock = clock
        self._accounts: dict[str, _Account] = {}

    def restore(self, attempts: Attempts, refusal: IngestError | None) -> None:
        """Take over a Camera's status, so that no attempt that is written there is forgotten."""
        account = self._account(attempts.account)
        known = account.attempts
        if known is None:
            account.attempts = attempts
        else:
            account.attempts = known.model_copy(
                update={
                    "count": max(known.count, attempts.count),
                    "proven": known.proven or attempts.proven,
                    "last": max(known.last, attempts.last),
                }
            )
        if refusal is None:
            return
        if attempts.proven or refusal.reason is Reason.RTSP_CREDENTIALS_REJECTED:
            account.rtsp_refusal, account.rtsp_refused_at = refusal, attempts.last
        else:
            account.refusal = refusal

    def of(self, key: str) -> Attempts | None:
        """The attempts of an account, for a Camera's status."""
        return self._account(key).attempts

    def proven(self, key: str) -> bool:
        """Whether the device has accepted these credentials."""
        attempts = self._account(key).attempts
        return attempts is not None and attempts.proven

    def settled(self, key: str) -> bool:
        """Whether ONVIF and RTSP have accepted them, so that cameras do not wait for each other."""
        return self.proven(key) and self._account(key).rtsp_proven

    def login(self, key: str, write_down: WriteDown) -> Login:
        """The gate for one connect of one camera."""
        return Login(self, key, write_down)

    def _account(self, key: str) -> _Account:
        return self._accounts.setdefault(key, _Account())

    async def spend(self, key: str, write_down: WriteDown) -> None:
        """Write one attempt down; IngestError where none is left or the write fails."""
        account = self._account(key)
        before = account.attempts
        now = self._clock()
        count = 0 if before is None else before.count
        ended = account.refusal is not None and _ends_logins(account.refusal)
        left = 0 if ended else MOST_ATTEMPTS
        if before is not None and count >= left and now - before.last < SLOW_RETRY:
            raise _spent(account)
        attempts = Attempts(account=key, count=min(count + 1, COUNTED_MOST), last=now)
        try:
            await write_down(attempts)
        except ClusterError as error:
            raise _unwritten() from error
        account.attempts = attempts

    def prove(self, key: str) -> None:
        """Record that the device accepted the credentials."""
        account = self._account(key)
        before = account.attempts
        if before is None or not before.proven:
            count = 0 if before is None else before.count
            last = self._clock() if before is None else before.last
            account.attempts = Attempts(account=key, count=count, proven=True, last=last)
        account.refusal = None

    def refuse(self, key: str, error: IngestError) -> None:
        """Record a refusal. Refused credentials are no longer proven: the device has new ones."""
        account = self._account(key)
        account.refusal = error
        account.rtsp_proven = False
        if account.attempts is not None and account.attempts.proven:
            # The camera's own count was reset by the login that it accepted.
            account.attempts = Attempts(account=key, count=1, last=self._clock())
        if error.last_chance and account.attempts is not None:
            # The status gets this with the refusal, so no restart makes the last attempts.
            count = max(MOST_ATTEMPTS, account.attempts.count)
            account.attempts = account.attempts.model_copy(update={"count": count})

    def check_rtsp(self, key: str) -> None:
        """IngestError where RTSP refused these credentials less than half an hour ago."""
        account = self._account(key)
        if account.rtsp_refusal is None or account.rtsp_refused_at is None:
            return
        if self._clock() - account.rtsp_refused_at < SLOW_RETRY:
            raise account.rtsp_refusal.again()

    def rtsp_refuses(self, key: str) -> bool:
        """Whether RTSP refused these credentials the last time, and ONVIF did not."""
        return self._account(key).rtsp_refusal is not None

    def prove_rtsp(self, key: str) -> None:
        """Record that RTSP plays with these credentials."""
        account = self._account(key)
        account.rtsp_proven = True
        account.rtsp_refusal = account.rtsp_refused_at = None

    def refuse_rtsp(self, key: str, error: IngestError) -> None:
        """Record that RTSP refused these credentials."""
        account = self._account(key)
        account.rtsp_proven = False
        account.rtsp_refusal, account.rtsp_refused_at = error, self._clock()
        if _ends_logins(error):
            self.refuse(key, error)  # a locked account is locked on every port

    def turn(self, key: str) -> asyncio.Lock:
        """Held by the one camera that tries an unproven account."""
        return self._account(key).turn


class Login:
    """The attempt gate of one connect: an AttemptGate for onvif, callbacks for rtsp.

    It is an async context around the whole connect: while an account is not settled, one camera at
    a time tries it.
    """

    def __init__(self, ledger: AttemptLedger, key: str, write_down: WriteDown) -> None:
        self._ledger = ledger
        self._key = key
        self._write_down = write_down
        self._has_turn = False

    async def __aenter__(self) -> Login:
        if not self._ledger.settled(self._key):
            await self._ledger.turn(self._key).acquire()
            self._has_turn = True
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._has_turn:
            self._has_turn = False
            self._ledger.turn(self._key).release()

    async def before_attempt(self, scheme: str = "") -> None:
        """Return when an ONVIF login may be tried: at once for proven credentials."""
        if not self._ledger.proven(self._key):
            await self._ledger.spend(self._key, self._write_down)
            log.info("login attempt", extra={"account": self._key, "scheme": scheme})

    async def proven(self, scheme: str = "") -> None:
        """Record that ONVIF accepted the credentials."""
        self._ledger.prove(self._key)

    async def rejected(self, scheme: str, error: IngestError) -> None:
        """Record that ONVIF refused the credentials."""
        self._ledger.refuse(self._key, error)

    async def before_rtsp_attempt(self) -> None:
        """Return when an RTSP login may be tried."""
        self._ledger.check_rtsp(self._key)
        await self.before_attempt("rtsp")

    def rtsp_accepted(self) -> None:
        """Record that RTSP required a login and accepted the credentials."""
        self._ledger.prove(self._key)

    def rtsp_plays(self) -> None:
        """Record that RTSP plays with these credentials, also where it required none."""
        self._ledger.prove_rtsp(self._key)

    def rtsp_rejected(
        self, error: IngestError, *, onvif_is_open: bool, onvif_asked: bool
    ) -> IngestError:
        """Record that RTSP refused these credentials; returns the error that a person should read.

        `onvif_is_open`: ONVIF required no login. Then nothing has accepted these credentials beside
        RTSP, and "ONVIF takes the credentials" would be untrue.
        `onvif_asked`: ONVIF accepted them in this connect. Else they were accepted once, and it is
        likelier that the password was changed at the camera since than that RTSP alone refuses it.
        """
        if error.reason is not Reason.RTSP_CREDENTIALS_REJECTED:
            self._ledger.refuse_rtsp(self._key, error)
            return error
        if onvif_is_open:
            error = _wrong_at_rtsp()
            self._ledger.refuse(self._key, error)
        elif onvif_asked or self._ledger.rtsp_refuses(self._key):
            self._ledger.refuse_rtsp(self._key, error)
        else:
            error = _no_longer_right()
            self._ledger.refuse(self._key, error)
        return error


def _ends_logins(error: IngestError) -> bool:
    return REASONS[error.reason].has(Effect.ENDS_LOGINS)


def _spent(account: _Account) -> IngestError:
    if account.refusal is not None:
        return account.refusal.again()
    return IngestError(
        ConditionType.AUTHENTICATED,
        Reason.PENDING,
        "No answer came to the logins that were tried; the next one follows within half an hour",
        Retry.ON_SECRET_CHANGE,
    )


def _wrong_at_rtsp() -> IngestError:
    return IngestError(
        ConditionType.AUTHENTICATED,
        Reason.RTSP_PASSWORD_REJECTED,
        "RTSP refuses the user name or the password, which ONVIF has not checked: it asks for none",
        Retry.ON_SECRET_CHANGE,
    )


def _no_longer_right() -> IngestError:
    return IngestError(
        ConditionType.AUTHENTICATED,
        Reason.CREDENTIALS_REJECTED,
        "RTSP refuses the user name or the password, which the camera took before",
        Retry.ON_SECRET_CHANGE,
    )


def _unwritten() -> IngestError:
    return IngestError(
        ConditionType.AUTHENTICATED,
        Reason.PENDING,
        "A login is tried only after it was written to the Camera's status, which failed",
    )
