# SPDX-License-Identifier: Apache-2.0
"""What tests over real sockets share: simulated cameras and a media loop that ticks quickly."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from camera_simulator import Simulator
from camfleet_worker.media.loop import MediaLoop


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    """Cameras stand as long as the test runs."""
    async with Simulator() as running:
        yield running


@pytest.fixture
def media_loop() -> Iterator[MediaLoop]:
    """Stopped at the end; a bug that ended a stream in it fails the test."""
    running = MediaLoop(tick_s=0.02)
    running.start()
    yield running
    running.stop()
    assert not running.alive
    assert running.counters.stream_faults == 0
