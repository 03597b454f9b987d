# SPDX-License-Identifier: Apache-2.0
"""What tests over real sockets share: simulated cameras, a media loop that ticks quickly, and a
worker without its API server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from camera_simulator import Simulator
from camfleet_worker.media.loop import MediaLoop
from camfleet_worker.media.watchdog import Patience
from vms import RecordServer
from worker_parts import PASSWORD, CameraObjects, SecretObjects, WorkerParts


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    """Cameras stand as long as the test runs."""
    async with Simulator() as running:
        yield running


@pytest.fixture
def patience() -> Patience:
    """Of the media loop with its sessions; a test that ends one for want of something sets it."""
    return Patience()


@pytest.fixture
def media_loop(patience: Patience) -> Iterator[MediaLoop]:
    """Stopped at the end; a bug that ended a stream in it fails the test."""
    running = MediaLoop(tick_s=0.02, patience=patience)
    running.start()
    yield running
    running.stop()
    assert not running.alive
    assert running.counters.stream_faults == 0


@pytest.fixture
def vms() -> Iterator[RecordServer]:
    """A monitoring system that takes RECORD."""
    with RecordServer() as running:
        yield running


@pytest.fixture
def objects() -> CameraObjects:
    """The Cameras of the worker."""
    return CameraObjects()


@pytest.fixture
def secrets() -> SecretObjects:
    """The Secrets of the worker: the right password of its cameras."""
    held = SecretObjects()
    held.put("cameras", username="ingest", password=PASSWORD)
    return held


@pytest.fixture
async def worker(
    tmp_path: Path, objects: CameraObjects, secrets: SecretObjects
) -> AsyncIterator[WorkerParts]:
    """It asks again what it is streaming from after minutes, as in production."""
    async with WorkerParts(tmp_path, objects, secrets) as parts:
        yield parts
