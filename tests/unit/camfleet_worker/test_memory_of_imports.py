# SPDX-License-Identifier: Apache-2.0
"""What a worker holds in memory before its first camera."""

from __future__ import annotations

import subprocess
import sys

_A_WORKERS_CLUSTER = """
import asyncio, sys
import camfleet_worker.app
from kubernetes.aio import client
from camfleet_worker.cluster.api import Cluster
from camfleet_worker.cluster.connection import Connection

async def load():
    async with Connection(client.ApiClient(), client.ApiClient()) as connection:
        Cluster(connection, "quang-tri")

asyncio.run(load())
print(*(name for name in sys.modules if name.startswith("kubernetes")))
"""


def test_a_worker_never_loads_the_clients_class_for_the_core_api() -> None:
    """It costs 24 MB, a fifth of what a worker holds; see `cluster/secrets.py`."""
    loaded = subprocess.run(
        [sys.executable, "-c", _A_WORKERS_CLUSTER], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "kubernetes.aio.client.api.custom_objects_api" in loaded
    assert "kubernetes.aio.client.api.core_v1_api" not in loaded
