# SPDX-License-Identifier: Apache-2.0
"""A real API server with our kinds for every test here, and a namespace of its own for each."""

from __future__ import annotations

import os
import uuid
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from local_cluster import Cluster

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
