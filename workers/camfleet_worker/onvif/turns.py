# SPDX-License-Identifier: Apache-2.0
"""One resolve at a time for each device, and one answer for all that waited for the same.

The channels of a recorder are many cameras on one device. Asked together they would overload it,
and each would spend an attempt to log in before the first had been refused.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from camfleet_api.conditions import ConditionType
from camfleet_worker.errors import IngestError

T = TypeVar("T")

_OF_THE_DEVICE = frozenset({ConditionType.REACHABLE, ConditionType.AUTHENTICATED})
"""Failures that are the device's, not one channel's."""


@dataclass(slots=True)
class _Turn:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    users: int = 0
    failures: int = 0
    failure: tuple[str, IngestError] | None = None
    """The last failure of the whole device, and the account it was met with."""


class DeviceTurns:
    """Turns at devices, by address. Nothing is kept of a device that nobody asks."""

    def __init__(self) -> None:
        self._turns: dict[tuple[str, int], _Turn] = {}

    @property
    def busy(self) -> int:
        """Devices that are being asked or waited for."""
        return len(self._turns)

    async def take(
        self, device: tuple[str, int], account: str, ask: Callable[[], Awaitable[T]]
    ) -> T:
        """Ask when it is our turn; share the failure that came about while we waited for it."""
        turn = self._turns.setdefault(device, _Turn())
        turn.users += 1
        seen = turn.failures
        try:
            async with turn.lock:
                if turn.failure is not None and turn.failures > seen:
                    self._share(account, *turn.failure)
                return await self._ask(turn, account, ask)
        finally:
            turn.users -= 1
            if turn.users == 0:
                del self._turns[device]

    async def _ask(self, turn: _Turn, account: str, ask: Callable[[], Awaitable[T]]) -> T:
        try:
            return await ask()
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
