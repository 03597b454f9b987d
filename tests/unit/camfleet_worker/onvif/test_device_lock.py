# SPDX-License-Identifier: Apache-2.0
"""The channels of a recorder take locks, and learn from each other's failures."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camfleet_api.conditions import ConditionType, Reason
from camfleet_api.device_address import DeviceAddress
from camfleet_worker.base.errors import IngestError
from camfleet_worker.onvif.device_lock import CallBudget, DeviceLock, DeviceLocks
from virtual_time import run_virtual

RECORDER = DeviceAddress("10.0.0.1", 80)
UNREACHABLE = IngestError(ConditionType.REACHABLE, Reason.HOST_UNREACHABLE, "Nothing answers")
REJECTED = IngestError(ConditionType.AUTHENTICATED, Reason.CREDENTIALS_REJECTED, "Refused")
NOT_FOUND = IngestError(ConditionType.ELIGIBLE, Reason.CHANNEL_NOT_FOUND, "No channel 9")


class Recorder:
    """Counts how often it is asked, and how many ask at the same time."""

    def __init__(self, error: IngestError | None = None) -> None:
        self.error = error
        self.asked = 0
        self.most_at_once = 0
        self._now = 0

    async def ask(self, lock: DeviceLock) -> str:
        self.asked += 1
        self._now += 1
        self.most_at_once = max(self.most_at_once, self._now)
        await asyncio.sleep(0)
        self._now -= 1
        if self.error is not None:
            raise self.error
        return "stream"


async def sixteen(
    locks: DeviceLocks, ask: Callable[[DeviceLock], Awaitable[str]], account: Callable[[int], str]
) -> list[str | BaseException]:
    return await asyncio.gather(
        *(locks.take(RECORDER, account(channel), ask) for channel in range(16)),
        return_exceptions=True,
    )


def one_account(channel: int) -> str:
    return "account"


async def test_sixteen_channels_ask_their_recorder_one_after_the_other() -> None:
    recorder = Recorder()
    assert await sixteen(DeviceLocks(), recorder.ask, one_account) == ["stream"] * 16
    assert recorder.most_at_once == 1


@pytest.mark.parametrize("error", [UNREACHABLE, REJECTED], ids=["unreachable", "rejected"])
async def test_a_failure_of_the_device_is_met_once_and_raised_for_all_that_waited(
    error: IngestError,
) -> None:
    recorder = Recorder(error)
    told = await sixteen(DeviceLocks(), recorder.ask, one_account)
    assert recorder.asked == 1
    assert {str(one) for one in told} == {str(error)}


async def test_a_failure_of_one_channel_is_not_the_others() -> None:
    recorder = Recorder(NOT_FOUND)
    await sixteen(DeviceLocks(), recorder.ask, one_account)
    assert recorder.asked == 16


async def test_a_refused_account_does_not_refuse_another() -> None:
    recorder = Recorder(REJECTED)
    await sixteen(DeviceLocks(), recorder.ask, lambda channel: f"account {channel % 2}")
    assert recorder.asked > 1


async def test_a_camera_that_comes_after_the_failure_asks_again() -> None:
    locks, recorder = DeviceLocks(), Recorder(UNREACHABLE)
    for _ in range(2):
        with pytest.raises(IngestError):
            await locks.take(RECORDER, "account", recorder.ask)
    assert recorder.asked == 2


async def test_nothing_is_kept_of_a_device_that_no_camera_asks() -> None:
    locks = DeviceLocks()
    await sixteen(locks, Recorder(UNREACHABLE).ask, one_account)
    assert locks.known == 0


async def test_one_device_does_not_wait_for_another() -> None:
    locks = DeviceLocks()

    async def never(lock: DeviceLock) -> None:
        await asyncio.Event().wait()

    stuck = asyncio.create_task(locks.take(DeviceAddress("10.0.0.2", 80), "account", never))
    await asyncio.sleep(0)
    assert await locks.take(RECORDER, "account", Recorder().ask) == "stream"
    stuck.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stuck
    assert await locks.take(DeviceAddress("10.0.0.2", 80), "account", Recorder().ask) == "stream"


RESOLVE = 13
"""Requests of a resolve, as a camera with Digest costs them."""


@given(st.lists(st.floats(0, 40), min_size=1, max_size=40))
def test_however_often_a_device_is_resolved_no_minute_has_more_requests_than_the_budget(
    pauses_s: list[float],
) -> None:
    budget = CallBudget(burst=60, per_s=0.5)
    requests: list[float] = []

    async def resolve(lock: DeviceLock) -> None:
        for _ in range(RESOLVE):
            lock.count_request()
            requests.append(asyncio.get_running_loop().time())

    async def resolve_again_and_again() -> None:
        locks = DeviceLocks(budget)
        for pause_s in pauses_s:
            await locks.take(RECORDER, "account", resolve)
            await asyncio.sleep(pause_s)
        await asyncio.sleep(len(pauses_s) * RESOLVE / budget.per_s)
        assert locks.known == 0

    run_virtual(resolve_again_and_again())
    # What was asked for when the budget was just whole, plus one resolve begun within it.
    most = budget.burst + 60 * budget.per_s + RESOLVE
    for at in requests:
        assert sum(at <= other < at + 60 for other in requests) <= most


def test_a_camera_that_is_resolved_once_a_minute_never_waits() -> None:
    async def resolve(lock: DeviceLock) -> float:
        for _ in range(RESOLVE):
            lock.count_request()
        return asyncio.get_running_loop().time()

    async def waited_s() -> float:
        locks, waited_s = DeviceLocks(), 0.0
        for _ in range(60):
            asked_at = asyncio.get_running_loop().time()
            waited_s += await locks.take(RECORDER, "account", resolve) - asked_at
            await asyncio.sleep(60)
        return waited_s

    assert run_virtual(waited_s()) == 0.0
