# SPDX-License-Identifier: Apache-2.0
"""The one ticker that gives every playing session of every camera its frames.

One wake-up a tick for all of them, whatever their number: that is what makes 500 cameras
affordable.
"""

from __future__ import annotations

import asyncio

from camera_simulator.rtsp.connection import RtspConnection

TICK_S = 0.04
"""A frame at 25 a second. Load tests choose a longer tick: fewer, larger writes."""


class Player:
    def __init__(self, tick_s: float = TICK_S) -> None:
        self._tick_s = tick_s
        self._connections: set[RtspConnection] = set()
        self._wake = asyncio.Event()

    def add(self, connection: RtspConnection) -> None:
        self._connections.add(connection)
        self._wake.set()

    def discard(self, connection: RtspConnection) -> None:
        self._connections.discard(connection)

    async def run(self) -> None:
        """Tick until cancelled; sleeps while nobody watches."""
        loop = asyncio.get_running_loop()
        while True:
            if not self._connections:
                self._wake.clear()
                await self._wake.wait()
            now_s = loop.time()
            for connection in tuple(self._connections):
                connection.send_due(now_s)
            await asyncio.sleep(max(0.0, now_s + self._tick_s - loop.time()))
