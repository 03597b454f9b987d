# SPDX-License-Identifier: Apache-2.0
"""Lets each device be resolved once at a time and within a budget of requests; cameras that waited
for the same answer share it.

The channels of a recorder are many cameras on one device. Resolved at once they would overload it,
and each would spend a login attempt before the first was refused. A camera that gives no stream is
resolved again and again; some devices crash under that (quirk 27).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from camfleet_api.conditions import ConditionType
from camfleet_api.device_address import DeviceAddress
from camfleet_base.token_bucket import TokenBucket
from camfleet_worker.base.errors import IngestError
from camfleet_worker.onvif.answer_cache import AnswerCache

T = TypeVar("T")

_OF_THE_DEVICE = frozenset({ConditionType.REACHABLE, ConditionType.AUTHENTICATED})
"""Failures of these conditions concern the whole device, not one channel."""


@dataclass(frozen=True, slots=True)
class CallBudget:
    """How many HTTP requests a device gets. A resolve needs nine to thirteen; it is never broken
    off, but the next one waits until its requests are paid for.

    No maker names a number. The cameras of quirk 27 crashed when they were asked every few seconds
    without end; a resolve once a minute must not be delayed.
    """

    burst: int = 60
    """Enough for the sixteen channels of a recorder, with what they share asked once."""
    per_s: float = 0.5


class DeviceLock:
    """The lock of one device, with its budget, the last failure that all its channels share, and
    its recent answers. The camera that is being resolved holds it."""

    def __init__(self, budget: CallBudget) -> None:
        self.answers = AnswerCache()
        self.mutex = asyncio.Lock()
        self.users = 0
        self.failures = 0
        self.failure: tuple[str, IngestError] | None = None
        """The account that was used at the last failure of the whole device, and that failure."""
        self._requests = TokenBucket(budget.per_s, budget.burst)

    def count_request(self) -> None:
        """Count one request that was sent."""
        self._requests.reserve(_now())

    async def affordable(self) -> None:
        """Return when the requests sent before are paid for."""
        await asyncio.sleep(max(0.0, self._requests.next_at - _now()))

    @property
    def forgotten_at(self) -> float:
        """When the budget is whole again, in monotonic seconds."""
        return self._requests.full_at


class DeviceLocks:
    """The locks of all devices, by address. For a device without a camera that asks or waits, only
    the budget spent in the last minutes is kept."""

    def __init__(self, budget: CallBudget | None = None) -> None:
        self._budget = budget or CallBudget()
        self._locks: dict[DeviceAddress, DeviceLock] = {}

    @property
    def known(self) -> int:
        """How many devices have a lock: a camera asks or waits, or the budget is not whole."""
        return len(self._locks)

    async def take(
        self, device: DeviceAddress, account: str, ask: Callable[[DeviceLock], Awaitable[T]]
    ) -> T:
        """Ask while holding the lock of the device; raise the failure that another camera met while
        this one waited."""
        lock = self._locks.get(device)
        if lock is None:
            lock = self._locks[device] = DeviceLock(self._budget)
        lock.users += 1
        seen = lock.failures
        try:
            async with lock.mutex:
                if lock.failure is not None and lock.failures > seen:
                    self._share(account, *lock.failure)
                await lock.affordable()
                return await self._ask(lock, account, ask)
        finally:
            lock.users -= 1
            self._forget(device, lock)

    def _forget(self, device: DeviceAddress, lock: DeviceLock) -> None:
        """Drop the lock of a device that no camera asks, as soon as its budget is whole again."""
        if lock.users or self._locks.get(device) is not lock:
            return
        if lock.forgotten_at <= _now():
            del self._locks[device]
        else:
            asyncio.get_running_loop().call_at(lock.forgotten_at, self._forget, device, lock)

    async def _ask(
        self, lock: DeviceLock, account: str, ask: Callable[[DeviceLock], Awaitable[T]]
    ) -> T:
        try:
            return await ask(lock)
        except IngestError as error:
            if error.condition in _OF_THE_DEVICE:
                lock.failures += 1
                lock.failure = (account, error)
            raise

    def _share(self, account: str, failed_account: str, error: IngestError) -> None:
        """Raise the failure of the camera before this one, unless another account was refused."""
        if error.condition is ConditionType.AUTHENTICATED and account != failed_account:
            return
        raise error.again()


def _now() -> float:
    return asyncio.get_running_loop().time()
