# SPDX-License-Identifier: Apache-2.0
"""rtsps and UDP through the whole worker: from a shard's entry to conditions and what is learnt."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from camera_simulator import CameraSettings, Simulator
from camfleet_api.camera import RtspScheme
from eventually import eventually_async
from worker_parts import PASSWORD, CameraObjects, SecretObjects, WorkerParts, entry, policy_to

READY = ("True", "Ready")


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator() as running:
        yield running


@pytest.fixture
async def worker(tmp_path: Path) -> AsyncIterator[WorkerParts]:
    secrets = SecretObjects()
    secrets.put("cameras", username="ingest", password=PASSWORD)
    async with WorkerParts(tmp_path, CameraObjects(), secrets) as running:
        yield running


def gate(*faults: str) -> CameraSettings:
    return CameraSettings("gate", password=PASSWORD, faults=faults)


def learned(worker: WorkerParts) -> dict[str, Any]:
    status: dict[str, Any] = worker.objects.objects["gate"]["status"]
    return dict(status["learned"])


async def told(worker: WorkerParts, reason: str) -> None:
    await eventually_async(lambda: worker.objects.ready("gate")[1] == reason, within_s=30)


@pytest.mark.quirk(14)
async def test_a_declared_rtsps_camera_is_ready_and_its_certificate_is_kept_in_status(
    simulator: Simulator, worker: WorkerParts
) -> None:
    camera = await simulator.add(gate("rtsps-only"))
    await worker.run(policy_to(None), entry(worker.objects, camera, rtsp_scheme=RtspScheme.RTSPS))
    await told(worker, "Ready")
    assert len(learned(worker)["streamCertificate"]) == 64
    await eventually_async(worker.recorded_bytes, within_s=20)


@pytest.mark.quirk(14)
async def test_another_certificate_at_the_rtsp_port_is_reported_and_gets_no_password(
    simulator: Simulator, worker: WorkerParts
) -> None:
    camera = await simulator.add(gate("rtsps-only"))
    shard = entry(worker.objects, camera, rtsp_scheme=RtspScheme.RTSPS)
    await worker.run(policy_to(None, False), shard)
    await told(worker, "Ready")
    pinned, logins = learned(worker)["streamCertificate"], sum(camera.counters.attempts.values())
    await camera.power(False)
    await camera.break_with("rtsps-only", "rtsps-another-certificate")
    await camera.power(True)
    await told(worker, "CertificateChanged")
    assert learned(worker)["streamCertificate"] == pinned
    assert sum(camera.counters.attempts.values()) == logins


@pytest.mark.quirk(32)
async def test_udp_that_the_profile_allows_is_learnt_and_records(
    simulator: Simulator, worker: WorkerParts
) -> None:
    camera = await simulator.add(gate("udp-only"))
    policy = policy_to(None).model_copy(update={"udp_fallback": True})
    await worker.run(policy, entry(worker.objects, camera))
    await told(worker, "Ready")
    assert learned(worker)["transport"] == "udp"
    await eventually_async(worker.recorded_bytes, within_s=20)


@pytest.mark.quirk(32)
async def test_udp_that_the_profile_does_not_allow_names_the_field_that_would(
    simulator: Simulator, worker: WorkerParts
) -> None:
    camera = await simulator.add(gate("udp-only"))
    await worker.run(policy_to(None, False), entry(worker.objects, camera))
    await told(worker, "TransportRefused")
    conditions = worker.objects.objects["gate"]["status"]["conditions"]
    (message,) = {c["message"] for c in conditions if c["type"] == "Streaming"}
    assert "udpFallback" in message
