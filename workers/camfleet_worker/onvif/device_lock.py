# SPDX-License-Identifier: Apache-2.0
"""One resolve at a time for each device, within a budget of requests, and one answer for all that
waited for the same.

The channels of a recorder are many cameras on one device. Asked together they would overload it,
and each would spend an attempt to log in before the first had been refused. A camera whose stream
cannot be had is resolved again and again; some crash under that (field report 27).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from camfleet_api.conditions import ConditionType
from camfleet_worker.base.errors import IngestError
from camfleet_worker.base.token_bucket import TokenBucket
from camfleet_worker.onvif.answer_cache import Heard

T = TypeVar("T")

_OF_THE_DEVICE = frozenset({ConditionType.REACHABLE, ConditionType.AUTHENTICATED})
"""Failures that are the device's, not one channel's."""


@dataclass(frozen=True, slots=True)
class CallBudget:
    """HTTP requests that a device gets. A resolve costs nine to thirteen of them; it is never
    broken off, the next one waits for what it has spent.

    No maker names a number. The cameras of the field report crashed when they were asked every
    few seconds, for ever; a resolve once a minute must not suffer.
    """

    burst: int = 60
    """The sixteen channels of a recorder, with what they share asked once."""
    per_s: float = 0.5


class Turn:
    """At a device: whose turn it is, what the device may still be asked, what it has answered."""

    def __init__(self, budget: CallBudget) -> None:
        self.heard = Heard()
        self.lock = asyncio.Lock()
        self.users = 0
        self.failures = 0
        self.failure: tuple[str, IngestError] | None = None
        """The last failure of the whole device, and the account it was met with."""
        self._requests = TokenBucket(budget.per_s, budget.burst)

    def count_request(self) -> None:
        """One more request has gone out."""
        self._requests.reserve(_now())

    async def affordable(self) -> None:
        """Return when what was asked before is paid for."""
        await asyncio.sleep(max(0.0, self._requests.next_at - _now()))

    @property
    def forgotten_at(self) -> float:
        """When the budget is whole again, in monotonic seconds."""
        return self._requests.full_at


class DeviceTurns:
    """Turns at devices, by address. Nothing is kept of a device that nobody asks, but what it has
    been asked in the last minutes."""

    def __init__(self, budget: CallBudget | None = None) -> None:
        self._budget = budget or CallBudget()
        self._turns: dict[tuple[str, int], Turn] = {}

    @property
    def known(self) -> int:
        """Devices that are being asked, waited for, or to be spared."""
        return len(self._turns)

    async def take(
        self, device: tuple[str, int], account: str, ask: Callable[[Turn], Awaitable[T]]
    ) -> T:
        """Ask when it is our turn; share the failure that came about while we waited for it."""
        turn = self._turns.get(device)
        if turn is None:
            turn = self._turns[device] = Turn(self._budget)
        turn.users += 1
        seen = turn.failures
        try:
            async with turn.lock:
                if turn.failure is not None and turn.failures > seen:
                    self._share(account, *turn.failure)
                await turn.affordable()
                return await self._ask(turn, account, ask)
        finally:
            turn.users -= 1
            self._forget(device, turn)

    def _forget(self, device: tuple[str, int], turn: Turn) -> None:
        """Let go of a device that nobody asks, as soon as it owes and is owed nothing."""
        if turn.users or self._turns.get(device) is not turn:
            return
        if turn.forgotten_at <= _now():
            del self._turns[device]
        else:
            asyncio.get_running_loop().call_at(turn.forgotten_at, self._forget, device, turn)

    async def _ask(self, turn: Turn, account: str, ask: Callable[[Turn], Awaitable[T]]) -> T:
        try:
            return await ask(turn)
        except IngestError as error:
            if error.condition in _OF_THE_DEVICE:
                turn.failures += 1
                turn.failure = (account, error)
            raise

    def _share(self, account: str, failed_account: str, error: IngestError) -> None:
        """Raise what the one before us met, unless it was refused with another account."""
        if error.condition is ConditionType.AUTHENTICATED and account != failed_account:
            return
        raise IngestError(error.condition, error.reason, error.fact, error.retry)


def _now() -> float:
    return asyncio.get_running_loop().time()
