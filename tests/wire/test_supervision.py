# SPDX-License-Identifier: Apache-2.0
"""Cameras that die, restart, flap and return together, through the whole worker but its API
server: they come back by themselves, in order, and disturb nobody."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from camera_simulator import Camera, CameraSettings, Simulator
from camfleet_api.camera import VideoSource
from camfleet_api.ingest_shard import ShardCamera
from camfleet_api.policy import StreamRole
from camfleet_worker.camera.timings import CameraTimings
from camfleet_worker.onvif.device_lock import CallBudget
from eventually import consistently_async, eventually_async
from vms import RecordServer
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
async def hasty_worker(
    tmp_path: Path, objects: CameraObjects, secrets: SecretObjects
) -> AsyncIterator[WorkerParts]:
    """One whose minutes are seconds."""
    async with WorkerParts(tmp_path, objects, secrets, SOON) as parts:
        yield parts


async def cameras_of(simulator: Simulator, count: int) -> list[Camera]:
    return [
        await simulator.add(CameraSettings(f"cam{number:02}", password=PASSWORD))
        for number in range(count)
    ]


def eight_channels(objects: CameraObjects, recorder: Camera) -> list[ShardCamera]:
    """Entries for the first channels of a recorder."""
    channels = []
    for number in range(1, 9):
        name = f"channel{number}"
        source, uid = VideoSource(channel=number), objects.create(name)
        channels.append(entry(objects, recorder, name=name, uid=uid, source=source))
    return channels


async def all_ready(objects: CameraObjects, names: list[str], within_s: float = 60) -> None:
    await eventually_async(
        lambda: all(objects.ready(name) == ("True", "Ready") for name in names), within_s=within_s
    )


def soap_calls(camera: Camera) -> int:
    return sum(camera.counters.onvif_requests.values())


@pytest.mark.quirk(40)
async def test_a_stream_that_dies_again_and_again_comes_back_without_asking_onvif(
    hasty_worker: WorkerParts, simulator: Simulator, objects: CameraObjects
) -> None:
    camera = await simulator.add(CameraSettings("gate", password=PASSWORD))
    await hasty_worker.run(policy_to(None), entry(objects, camera))
    await all_ready(objects, ["gate"])
    asked, written = soap_calls(camera), len(objects.writes)

    await camera.break_with("stream-dies-every-few-minutes")
    await camera.change(faults=(), stream_dies_after_s=1.5)
    await eventually_async(lambda: camera.counters.sessions >= 4, within_s=30)
    assert soap_calls(camera) == asked
    # Back within ten seconds each time: nobody who reads the status ever saw it down.
    assert len(objects.writes) == written
    assert objects.ready("gate") == ("True", "Ready")


@pytest.mark.quirk(58)
@pytest.mark.parametrize(
    ("fault", "method", "lost"),
    [
        ("keepalive-get-parameter-unnamed", "GET_PARAMETER", 1),
        ("keepalive-set-parameter-unnamed", "SET_PARAMETER", 2),
    ],
)
async def test_a_keepalive_that_public_does_not_name_is_learnt_from_lost_sessions(
    hasty_worker: WorkerParts,
    simulator: Simulator,
    objects: CameraObjects,
    fault: str,
    method: str,
    lost: int,
) -> None:
    camera = await simulator.add(CameraSettings("gate", password=PASSWORD, faults=(fault,)))
    await hasty_worker.run(policy_to(None), entry(objects, camera))

    def learnt() -> str:
        status = objects.objects["gate"].get("status", {})
        return str(status.get("learned", {}).get("keepalive", ""))

    await eventually_async(lambda: learnt() == method, within_s=30)
    assert camera.counters.sessions_expired == lost
    assert camera.counters.sessions_open == 1


@pytest.mark.quirk(40)
async def test_a_camera_that_restarts_in_1970_streams_at_once_and_its_clock_is_reported_later(
    hasty_worker: WorkerParts, simulator: Simulator, objects: CameraObjects
) -> None:
    camera = await simulator.add(CameraSettings("gate", password=PASSWORD))
    await hasty_worker.run(policy_to(None), entry(objects, camera))
    await all_ready(objects, ["gate"])
    asked = soap_calls(camera)

    await camera.break_with("powered-off")
    await asyncio.sleep(2)  # a restart takes time: longer than this test's outage_s
    await camera.break_with("restarted-in-1970")
    await eventually_async(lambda: camera.counters.sessions_open == 1, within_s=10)
    assert soap_calls(camera) == asked
    await eventually_async(
        lambda: objects.condition("gate", "TimeSynchronized") == ("False", "ClockOff"),
        within_s=30,
    )
    assert objects.ready("gate") == ("True", "Ready")
    assert objects.condition("gate", "IdentityStable") == ("", "")

    await camera.break_with("powered-off")
    await asyncio.sleep(2)
    await camera.break_with()  # a time server has answered meanwhile
    await eventually_async(
        lambda: objects.condition("gate", "TimeSynchronized") == ("", ""), within_s=30
    )
    assert camera.counters.refused() == 0


@pytest.mark.quirk(27)
async def test_a_camera_whose_stream_cannot_be_had_is_not_asked_to_death(
    hasty_worker: WorkerParts, simulator: Simulator, objects: CameraObjects
) -> None:
    camera = await simulator.add(
        CameraSettings(
            "gate",
            password=PASSWORD,
            rtsp_refuses="DESCRIBE",
            rtsp_refusal=404,
            faults=("web-crashes-of-requests",),
        )
    )
    # The backoff of this worker is short: it would ask some thirty times a second.
    await hasty_worker.run(policy_to(None), entry(objects, camera))
    burst = CallBudget().burst
    await eventually_async(lambda: soap_calls(camera) >= burst, within_s=60)
    await consistently_async(lambda: camera.counters.restarts == 0, during_s=6)
    assert soap_calls(camera) < burst + 30


@pytest.mark.quirk(41)
async def test_a_site_that_returns_keeps_to_its_budget_and_asks_onvif_nothing(
    worker: WorkerParts, simulator: Simulator, objects: CameraObjects
) -> None:
    per_s = 10
    cameras = await cameras_of(simulator, 30)
    policy = policy_to(None, recording=False).model_copy(
        update={"site_connects_per_second": per_s, "stream": StreamRole.SUB}
    )
    await worker.run(policy, *(entry(objects, camera) for camera in cameras))
    await all_ready(objects, [camera.name for camera in cameras])
    asked = [soap_calls(camera) for camera in cameras]
    for camera in cameras:
        await camera.break_with("site-without-line")
    await eventually_async(
        lambda: all(objects.ready(camera.name)[0] == "False" for camera in cameras), within_s=40
    )
    # One cause, one reason, told once for each camera.
    assert {objects.ready(camera.name) for camera in cameras} == {("False", "ConnectionRefused")}

    connects = [sum(camera.counters.rtsp_connects for camera in cameras)]
    for camera in cameras:
        await camera.break_with()
    while sum(camera.counters.sessions_open for camera in cameras) < len(cameras):
        assert len(connects) < 300, "not all of them came back"
        await asyncio.sleep(0.1)
        connects.append(sum(camera.counters.rtsp_connects for camera in cameras))
    windows = [after - before for before, after in zip(connects, connects[10:], strict=False)]
    assert max(windows) <= per_s + 2  # a window of ten sleeps is a little longer than a second
    await all_ready(objects, [camera.name for camera in cameras])
    assert [soap_calls(camera) for camera in cameras] == asked
    assert sum(camera.counters.refused() for camera in cameras) == 0


@pytest.mark.quirk(41)
@pytest.mark.quirk(18)
async def test_the_channels_of_a_recorder_fall_and_return_as_one(
    hasty_worker: WorkerParts, simulator: Simulator, objects: CameraObjects
) -> None:
    recorder = await simulator.add(
        CameraSettings("recorder", password=PASSWORD, faults=("recorder-16-channels",))
    )
    channels = eight_channels(objects, recorder)
    names = [channel.name for channel in channels]
    await hasty_worker.run(policy_to(None, recording=False), *channels)
    await all_ready(objects, names)
    assert recorder.counters.refused() == 0

    await recorder.power(False)
    await eventually_async(
        lambda: all(objects.ready(name) == ("False", "ConnectionRefused") for name in names),
        within_s=40,
    )
    # Somebody changed the password meanwhile: eight proven logins must not lock the account.
    await recorder.change(power=True, password="changed-at-the-camera", lockout_after=5)
    await eventually_async(
        lambda: all(objects.ready(name)[1] == "CredentialsRejected" for name in names),
        within_s=40,
    )
    assert recorder.counters.refused() <= 2


@pytest.mark.quirk(9)
async def test_eight_channels_with_a_wrong_password_lock_no_account(
    hasty_worker: WorkerParts, simulator: Simulator, objects: CameraObjects, secrets: SecretObjects
) -> None:
    recorder = await simulator.add(
        CameraSettings(
            "recorder", password="another", faults=("recorder-16-channels", "locks-after-5")
        )
    )
    channels = eight_channels(objects, recorder)
    names = [channel.name for channel in channels]
    await hasty_worker.run(policy_to(None, recording=False), *channels)
    rejected = ("False", "CredentialsRejected")
    await eventually_async(
        lambda: all(objects.ready(name) == rejected for name in names), within_s=30
    )
    assert recorder.counters.refused() <= 2

    secrets.put("cameras", username="ingest", password="another")
    await all_ready(objects, names)
    assert recorder.counters.refused() <= 2


async def test_cameras_that_spell_the_host_of_one_device_differently_share_its_attempts(
    hasty_worker: WorkerParts, simulator: Simulator, objects: CameraObjects
) -> None:
    recorder = await simulator.add(
        CameraSettings(
            "recorder", password="another", faults=("recorder-16-channels", "locks-after-5")
        )
    )
    spellings = ("localhost", "LOCALHOST", "LocalHost")
    channels = [
        channel.model_copy(update={"host": host})
        for channel, host in zip(eight_channels(objects, recorder), spellings, strict=False)
    ]
    await hasty_worker.run(policy_to(None, recording=False), *channels)
    rejected = ("False", "CredentialsRejected")
    await eventually_async(
        lambda: all(objects.ready(channel.name) == rejected for channel in channels), within_s=30
    )
    assert 1 <= recorder.counters.refused() <= 2


@pytest.mark.quirk(10)
async def test_a_camera_whose_onvif_is_switched_off_later_goes_on_streaming(
    hasty_worker: WorkerParts, simulator: Simulator, objects: CameraObjects
) -> None:
    camera = await simulator.add(CameraSettings("gate", password=PASSWORD))
    await hasty_worker.run(policy_to(None), entry(objects, camera))
    await all_ready(objects, ["gate"])

    await camera.change(web="closed", stream_dies_after_s=1.5)
    await eventually_async(lambda: camera.counters.sessions >= 3, within_s=30)
    assert objects.ready("gate") == ("True", "Ready")


def resources() -> tuple[int, int, int]:
    """Tasks, threads and open files of this process."""
    return len(asyncio.all_tasks()), threading.active_count(), len(os.listdir("/proc/self/fd"))


@pytest.mark.quirk(42)
async def test_two_hundred_cycles_of_flapping_leave_nothing_behind(
    hasty_worker: WorkerParts, simulator: Simulator, objects: CameraObjects, vms: RecordServer
) -> None:
    good = await simulator.add(CameraSettings("good", password=PASSWORD))
    bad = await cameras_of(simulator, 10)
    policy = policy_to(vms).model_copy(update={"site_connects_per_second": 100})
    await hasty_worker.run(policy, *(entry(objects, camera) for camera in (good, *bad)))
    names = ["good", *(camera.name for camera in bad)]
    await all_ready(objects, names)
    before = resources()

    for camera in bad:
        await camera.break_with("flaps")
    await eventually_async(
        lambda: sum(camera.counters.sessions for camera in bad) >= 210, within_s=90
    )
    for camera in bad:
        await camera.break_with()
    await eventually_async(
        lambda: objects.condition("cam00", "Stable") == ("False", "Flapping"), within_s=30
    )
    await eventually_async(
        lambda: all(supervisor.streaming for supervisor in hasty_worker.fleet.supervisors),
        within_s=20,
    )
    await eventually_async(
        lambda: all(now <= was for now, was in zip(resources(), before, strict=True)), within_s=20
    )
    assert good.counters.sessions == 1
    assert vms.streams()["/live/good"].pts_gaps == 0
    # Two writes to become ready, and at most ten more for whatever happened since.
    for name in names:
        assert len([n for n, _ in objects.writes if n == name]) <= 12


@pytest.mark.quirk(46)
async def test_a_media_server_that_forgot_everything_has_all_streams_back_in_ten_seconds(
    hasty_worker: WorkerParts, simulator: Simulator, objects: CameraObjects, vms: RecordServer
) -> None:
    cameras = await cameras_of(simulator, 4)
    await hasty_worker.run(policy_to(vms), *(entry(objects, camera) for camera in cameras))
    await all_ready(objects, [camera.name for camera in cameras])

    vms.stop()
    vms.start()
    assert vms.streams() == {}
    paths = {f"/live/{camera.name}" for camera in cameras}
    await eventually_async(
        lambda: {path for path, counts in vms.streams().items() if counts.frames > 5} == paths,
        within_s=10,
    )
    assert all(camera.counters.sessions == 1 for camera in cameras)


@pytest.mark.quirk(47)
async def test_a_camera_that_is_taken_away_costs_its_neighbours_nothing(
    hasty_worker: WorkerParts, simulator: Simulator, objects: CameraObjects, vms: RecordServer
) -> None:
    cameras = await cameras_of(simulator, 8)
    entries = [entry(objects, camera) for camera in cameras]
    await hasty_worker.run(policy_to(vms), *entries)
    await all_ready(objects, [camera.name for camera in cameras])
    gone, *kept = cameras

    await gone.break_with("taken-away")
    await hasty_worker.run(policy_to(vms), *entries[1:])
    before = {camera.name: vms.streams()[f"/live/{camera.name}"].frames for camera in kept}
    await eventually_async(
        lambda: all(
            vms.streams()[f"/live/{name}"].frames > frames + 50 for name, frames in before.items()
        ),
        within_s=20,
    )
    for camera in kept:
        counts = vms.streams()[f"/live/{camera.name}"]
        assert (counts.publishers, counts.pts_gaps, counts.pts_backwards) == (1, 0, 0)
        assert (camera.counters.sessions, camera.counters.frames_dropped) == (1, 0)
    assert all(
        supervisor.received.lost_packets == 0 for supervisor in hasty_worker.fleet.supervisors
    )
    assert objects.ready(kept[0].name) == ("True", "Ready")
