# SPDX-License-Identifier: Apache-2.0
"""Keeps what the cameras of one device share: whether it answers, and which camera checks that.

A recorder that fails is one cause for all its cameras. After any session with a device has ended,
one of its cameras connects alone and the others wait: where the device answers they follow in
order, and where it does not they take over the same failure without a packet of their own. A device
that is away has one backoff, whatever the number of its cameras. Supervisors connect inside
`connecting`; nothing here opens a connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary

from camfleet_api.conditions import ConditionType
from camfleet_api.device_address import DeviceAddress
from camfleet_worker.base.backoff import Backoff
from camfleet_worker.base.errors import IngestError


class Device:
    """One device and one of its RTSP ports."""

    def __init__(self, backoff: Backoff) -> None:
        self._backoff = backoff
        self._certain = False
        self._failure: IngestError | None = None
        self._not_before = 0.0
        self._asking: asyncio.Future[None] | None = None

    def away_for(self, now: float) -> float | None:
        """Seconds until it is tried again; None for a device that answered the last time."""
        return None if self._failure is None else max(0.0, self._not_before - now)

    def doubt(self) -> None:
        """Note that a session has ended: the next camera connects alone."""
        self._certain = False

    def healthy(self) -> None:
        """Reset the backoff: a camera of the device has streamed long enough."""
        self._backoff.reset()

    @asynccontextmanager
    async def connecting(self) -> AsyncIterator[None]:
        """Surrounds one connect. IngestError at once where another channel has just failed."""
        while not self._certain and self._asking is not None:
            await asyncio.shield(self._asking)
            self._share_failure()
        if self._certain:
            try:
                yield
            except IngestError as error:
                self._judge(error)
                raise
            return
        self._share_failure()
        async with self._alone():
            yield

    def _share_failure(self) -> None:
        """Raise the failure of another channel while it is too early to connect again."""
        failure = self._failure
        if failure is not None and _now() < self._not_before:
            raise failure.again()

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        asking = self._asking = asyncio.get_running_loop().create_future()
        try:
            yield
        except IngestError as error:
            self._judge(error)
            raise
        else:
            self._certain, self._failure = True, None
        finally:
            self._asking = None
            asking.set_result(None)

    def _judge(self, error: IngestError) -> None:
        """Note a failure; a refused login or a session limit shows that the device answers."""
        if error.condition is ConditionType.REACHABLE:
            self._certain, self._failure = False, error
            self._not_before = _now() + self._backoff.next_s()
        else:
            self._certain, self._failure = True, None


class Devices:
    """The devices of a worker's cameras, for as long as a supervisor holds them."""

    def __init__(self) -> None:
        self._devices: WeakValueDictionary[tuple[DeviceAddress, int], Device] = (
            WeakValueDictionary()
        )

    def at(self, address: DeviceAddress, rtsp_port: int, backoff: Callable[[], Backoff]) -> Device:
        """The device at an address; `backoff` makes the backoff of a new one.

        Cameras with different RTSP ports share nothing: one port may be closed and another open.
        """
        device = self._devices.get((address, rtsp_port))
        if device is None:
            device = self._devices[address, rtsp_port] = Device(backoff())
        return device


def _now() -> float:
    return asyncio.get_running_loop().time()
