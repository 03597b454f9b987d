# SPDX-License-Identifier: Apache-2.0
"""Sixteen channels of a recorder that falls: one probe, one failure, and back in order."""

from __future__ import annotations

import asyncio

import pytest

from camfleet_api.conditions import ConditionType, Reason
from camfleet_api.device_address import DeviceAddress
from camfleet_worker.base.backoff import Backoff
from camfleet_worker.base.errors import IngestError
from camfleet_worker.camera.devices import Device, Devices
from virtual_time import run_virtual

AWAY = IngestError(ConditionType.REACHABLE, Reason.HOST_UNREACHABLE, "Nothing answers")
FULL = IngestError(ConditionType.STREAMING, Reason.SESSION_LIMIT, "No session left")
CONNECT_S = 10.0


class Recorder:
    """What the device does, and when it was asked."""

    def __init__(self) -> None:
        self.device = Device(Backoff(first_s=1, most_s=30, uniform=lambda low, high: high))
        self.trouble: IngestError | None = AWAY
        self.asked_at: list[float] = []
        self.order: list[int] = []

    async def connect(self, channel: int = 0) -> IngestError | None:
        """One connect of one channel: ten seconds where nobody answers."""
        try:
            async with self.device.connecting():
                self.asked_at.append(_now())
                self.order.append(channel)
                await asyncio.sleep(CONNECT_S if self.trouble is AWAY else 0.1)
                if self.trouble is not None:
                    raise self.trouble
        except IngestError as error:
            return error
        return None


def test_one_channel_connects_and_the_others_report_the_same() -> None:
    async def main() -> None:
        recorder = Recorder()
        errors = await asyncio.gather(*(recorder.connect() for _ in range(16)))
        assert len(recorder.asked_at) == 1
        assert {error.reason for error in errors if error} == {Reason.HOST_UNREACHABLE}
        assert _now() == CONNECT_S

    run_virtual(main())


def test_a_device_that_is_away_is_asked_once_per_backoff_whatever_its_channels() -> None:
    async def main() -> None:
        recorder = Recorder()

        async def channel() -> None:
            while _now() < 600:
                await recorder.connect()
                await asyncio.sleep(recorder.device.away_for(_now()) or 0)

        await asyncio.gather(*(channel() for _ in range(16)))
        # Ten seconds each, and waits of 1, 2, 4, 8, 16 and then 30 s between them.
        assert len(recorder.asked_at) <= 20

    run_virtual(main())


def test_when_it_is_back_the_others_follow_in_order() -> None:
    async def main() -> None:
        recorder = Recorder()
        await recorder.connect()
        recorder.trouble = None
        recorder.order.clear()
        await asyncio.sleep(2)
        await asyncio.gather(*(recorder.connect(channel) for channel in range(16)))
        assert recorder.order == list(range(16))
        # The first one went alone, the others together after it.
        assert recorder.asked_at[1:3] == [pytest.approx(12.0), pytest.approx(12.1)]
        assert recorder.asked_at[-1] == pytest.approx(12.1)

    run_virtual(main())


def test_after_a_session_has_ended_one_goes_first() -> None:
    async def main() -> None:
        recorder = Recorder()
        recorder.trouble = None
        await recorder.connect()
        recorder.trouble = AWAY
        recorder.device.doubt()
        await asyncio.gather(*(recorder.connect() for _ in range(16)))
        assert len(recorder.asked_at) == 2

    run_virtual(main())


def test_a_device_that_refuses_is_there() -> None:
    async def main() -> None:
        recorder = Recorder()
        recorder.trouble = FULL
        errors = await asyncio.gather(*(recorder.connect() for _ in range(3)))
        assert len(recorder.asked_at) == 3
        assert {error.reason for error in errors if error} == {Reason.SESSION_LIMIT}
        assert recorder.device.away_for(_now()) is None

    run_virtual(main())


def test_a_cancelled_connect_leaves_the_next_one_free() -> None:
    async def main() -> None:
        recorder = Recorder()
        first = asyncio.create_task(recorder.connect())
        second = asyncio.create_task(recorder.connect())
        await asyncio.sleep(1)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        assert (await second) is not None
        assert recorder.asked_at == [0.0, 1.0]

    run_virtual(main())


def test_a_device_is_one_for_all_that_ask_for_it_and_forgotten_with_them() -> None:
    devices = Devices()
    nvr = DeviceAddress("nvr1.site", 80)
    one = devices.at(nvr, 554, Backoff)
    assert devices.at(DeviceAddress("NVR1.site", 80), 554, Backoff) is one
    assert devices.at(nvr, 8554, Backoff) is not one
    assert devices.at(DeviceAddress("nvr2.site", 80), 554, Backoff) is not one


def _now() -> float:
    return asyncio.get_running_loop().time()
