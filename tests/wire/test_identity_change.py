# SPDX-License-Identifier: Apache-2.0
"""Devices that are exchanged or cloned behind declared addresses: told, and never taken over in
silence."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from camera_simulator import Camera, CameraSettings, Simulator
from camfleet_api.conditions import ConditionType
from camfleet_worker.camera.timings import CameraTimings
from eventually import consistently_async, eventually_async
from worker_parts import (
    PASSWORD,
    CameraObjects,
    SecretObjects,
    WorkerParts,
    entry,
    policy_to,
)

SOON = CameraTimings(healthy_after_s=0.5, outage_s=1.0, recheck_least_s=0.5, recheck_most_s=1.0)


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator() as running:
        yield running


@pytest.fixture
def objects() -> CameraObjects:
    return CameraObjects()


@pytest.fixture
async def worker(tmp_path: Path, objects: CameraObjects) -> AsyncIterator[WorkerParts]:
    secrets = SecretObjects()
    secrets.put("cameras", username="ingest", password=PASSWORD)
    async with WorkerParts(tmp_path, objects, secrets, SOON) as parts:
        yield parts


async def ready(objects: CameraObjects, *names: str) -> None:
    for name in names:
        await eventually_async(_is_ready(objects, name), within_s=30)


def _is_ready(objects: CameraObjects, name: str) -> Callable[[], bool]:
    return lambda: objects.ready(name) == ("True", "Ready")


def message(objects: CameraObjects, name: str) -> str:
    conditions = objects.objects[name]["status"]["conditions"]
    return next(str(c["message"]) for c in conditions if c["type"] == "IdentityStable")


def serial(objects: CameraObjects, name: str) -> str:
    return str(objects.objects[name]["status"]["device"]["serialNumber"])


async def exchange(camera: Camera) -> None:
    """Another unit of another series is mounted at the same place, with the same login."""
    await camera.power(False)
    await asyncio.sleep(2)
    await camera.change(
        power=True, serial="NEW9000777", mac="02:77:77:77:77:77", model="SIM-3", clock_offset_s=0.0
    )


@pytest.mark.quirk(24)
async def test_an_exchanged_device_streams_and_is_reported_until_a_person_confirms_it(
    worker: WorkerParts, simulator: Simulator, objects: CameraObjects
) -> None:
    camera = await simulator.add(
        CameraSettings("gate", password=PASSWORD, serial="OLD1000111", mac="02:11:11:11:11:11")
    )
    declared = entry(objects, camera)
    await worker.run(policy_to(None), declared)
    await ready(objects, "gate")
    asked = sum(camera.counters.onvif_requests.values())

    await exchange(camera)
    await eventually_async(lambda: camera.counters.sessions_open == 1, within_s=10)
    assert sum(camera.counters.onvif_requests.values()) == asked  # the stream comes first
    changed = ("False", "DeviceChanged")
    await eventually_async(
        lambda: objects.condition("gate", "IdentityStable") == changed, within_s=30
    )
    assert message(objects, "gate") == (
        "The device with serial number OLD1000111 was here before, NEW9000777 answers. "
        "If the exchange was intended, set spec.serialNumber to the new one, "
        "else correct the address."
    )
    assert objects.ready("gate") == ("True", "Ready")
    assert serial(objects, "gate") == "OLD1000111"

    confirmed = declared.model_copy(update={"serial_number": "NEW9000777", "generation": 2})
    await worker.run(policy_to(None), confirmed)
    await eventually_async(lambda: serial(objects, "gate") == "NEW9000777", within_s=30)
    assert objects.condition("gate", "IdentityStable") == ("", "")
    await ready(objects, "gate")


@pytest.mark.quirk(24)
async def test_another_device_than_the_declared_one_is_reported_at_once(
    worker: WorkerParts, simulator: Simulator, objects: CameraObjects
) -> None:
    camera = await simulator.add(CameraSettings("gate", password=PASSWORD, serial="NEW9000777"))
    await worker.run(policy_to(None), entry(objects, camera, serial_number="OLD1000111"))
    await ready(objects, "gate")
    assert objects.condition("gate", "IdentityStable") == ("False", "DeviceChanged")
    assert message(objects, "gate").startswith(
        "Serial number OLD1000111 is declared and NEW9000777 answers. "
    )


@pytest.mark.quirk(23)
async def test_two_addresses_that_answer_as_one_device_name_each_other(
    worker: WorkerParts, simulator: Simulator, objects: CameraObjects
) -> None:
    serial, mac = "CLONE777888", "02:33:33:33:33:33"
    cameras = [
        await simulator.add(CameraSettings(name, password=PASSWORD, serial=serial, mac=mac))
        for name in ("gate", "yard")
    ]
    other = await simulator.add(CameraSettings("lobby", password=PASSWORD))
    await worker.run(policy_to(None), *(entry(objects, camera) for camera in (*cameras, other)))
    await ready(objects, "gate", "yard", "lobby")
    shared = ("False", "SharedIdentity")
    await eventually_async(
        lambda: all(objects.condition(n, "IdentityStable") == shared for n in ("gate", "yard")),
        within_s=30,
    )
    assert message(objects, "gate") == (
        f"Serial number CLONE777888 is the answer of 127.0.0.1:{cameras[1].onvif_port} too. "
        "Check that both addresses are right; a cloned device needs a firmware repair."
    )
    assert objects.condition("lobby", "IdentityStable") == ("", "")


@pytest.mark.quirk(23)
async def test_a_series_whose_serial_number_is_zero_is_no_clone(
    worker: WorkerParts, simulator: Simulator, objects: CameraObjects
) -> None:
    cameras = [
        await simulator.add(CameraSettings(name, password=PASSWORD, serial="000000"))
        for name in ("gate", "yard")
    ]
    await worker.run(policy_to(None), *(entry(objects, camera) for camera in cameras))
    await ready(objects, "gate", "yard")
    await consistently_async(lambda: not identity_failures(worker), during_s=1.5)


@pytest.mark.quirk(18)
async def test_the_channels_of_one_recorder_are_no_clones(
    worker: WorkerParts, simulator: Simulator, objects: CameraObjects
) -> None:
    recorder = await simulator.add(CameraSettings("recorder", password=PASSWORD))
    for name in ("channel1", "channel2"):
        objects.create(name)
    entries = [
        entry(objects, recorder, name=name, uid=objects.objects[name]["metadata"]["uid"])
        for name in ("channel1", "channel2")
    ]
    await worker.run(policy_to(None, recording=False), *entries)
    await ready(objects, "channel1", "channel2")
    await consistently_async(lambda: not identity_failures(worker), during_s=1.5)


def identity_failures(worker: WorkerParts) -> list[str]:
    """Why IdentityStable is not True, before it has lasted long enough to be written."""
    side = (failure for one in worker.fleet.supervisors for failure in one.snapshot.side)
    return [f.message for f in side if f.condition is ConditionType.IDENTITY_STABLE]
