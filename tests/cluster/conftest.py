# SPDX-License-Identifier: Apache-2.0
"""A real API server with our kinds for every test here, and a namespace of its own for each."""

from __future__ import annotations

import os
import uuid
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from camera_simulator import CameraSettings, SimulatorThread
from camera_simulator.thread import CameraHandle
from local_cluster import Cluster
from worker_process import PASSWORD, SHARD, Facility, WorkerProcess

ROOT = Path(__file__).parents[2]
KEPT_INSTANCE = "CAMFLEET_TEST_INSTANCE"
"""Names an instance that stays up after the run, to save its start while one writes tests."""


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """API server and controller manager, no nodes; our kinds are Established."""
    kept = os.environ.get(KEPT_INSTANCE)
    with warnings.catch_warnings():
        # Its processes outlive on purpose the objects that started them.
        warnings.simplefilter("ignore", ResourceWarning)
        cluster = Cluster.up(kept or f"test-{os.getpid()}", nodes=False)
    try:
        cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(ROOT / "crds"))
        cluster.kubectl("wait", "crd", "--all", "--for=condition=Established", "--timeout=60s")
        yield cluster
    finally:
        if not kept:
            cluster.down()


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """A fresh namespace, gone after the test."""
    name = f"t-{uuid.uuid4().hex[:10]}"
    cluster.kubectl("create", "namespace", name)
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture(scope="module")
def simulator() -> Iterator[SimulatorThread]:
    with SimulatorThread() as running:
        yield running


@pytest.fixture
def facility(cluster: Cluster, namespace: str, tmp_path: Path) -> Facility:
    return Facility(cluster, namespace, tmp_path)


@pytest.fixture
def camera(simulator: SimulatorThread, namespace: str) -> Iterator[CameraHandle]:
    name = f"gate-{namespace}"
    yield simulator.add(CameraSettings(name, password=PASSWORD))
    simulator.remove(name)


@pytest.fixture
def start(facility: Facility) -> Iterator[Any]:
    """Starts a worker; whatever was started is gone after the test."""
    workers: list[WorkerProcess] = []

    def start_worker(shard: str = SHARD, **environment: str) -> WorkerProcess:
        workers.append(WorkerProcess(facility, shard, **environment))
        return workers[-1]

    yield start_worker
    for worker in workers:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            worker.close()
