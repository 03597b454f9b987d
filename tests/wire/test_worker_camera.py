# SPDX-License-Identifier: Apache-2.0
"""A worker's cameras from declaration to VMS and disk: our supervisor, ONVIF, RTSP, media loop,
sinks and reporter against simulated cameras and a GStreamer VMS. Only the API server is left out;
Camera objects and Secrets live in this process (tests/cluster has the real one).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from camera_simulator import Camera, CameraSettings, Simulator
from camfleet_api.camera import VideoSource
from camfleet_api.policy import CredentialsRef
from eventually import eventually_async
from vms import RecordServer
from worker_parts import (
    NAMESPACE,
    PASSWORD,
    CameraObjects,
    SecretObjects,
    WorkerParts,
    entry,
    policy_to,
)


async def test_a_good_camera_is_relayed_recorded_and_ready(
    worker: WorkerParts, simulator: Simulator, objects: CameraObjects, vms: RecordServer
) -> None:
    camera = await simulator.add(CameraSettings("gate", password=PASSWORD))
    await worker.run(policy_to(vms), entry(objects, camera))

    await eventually_async(lambda: objects.ready("gate") == ("True", "Ready"), within_s=30)
    await eventually_async(lambda: vms.streams()["/live/gate"].frames > 50, within_s=20)
    await eventually_async(lambda: worker.recorded_bytes() > 100_000, within_s=20)
    status = objects.objects["gate"]["status"]
    assert [c.get("message") for c in status["conditions"] if c["status"] == "True"] == [None] * 7
    assert status["device"]["model"] == "SIM-2"
    assert status["learned"]["codec"] == "H264"
    assert status["attempts"]["proven"]
    assert "@" not in str(status)
    assert camera.counters.refused() == 0
    # One write before the login attempt, one for Ready.
    assert len(objects.writes) == 2


@pytest.mark.quirk(9)
async def test_a_wrong_password_is_tried_twice_at_most_and_reported_at_once(
    worker: WorkerParts, simulator: Simulator, objects: CameraObjects, secrets: SecretObjects
) -> None:
    camera = await simulator.add(CameraSettings("lobby", password="another"))
    await worker.run(policy_to(None), entry(objects, camera))

    rejected = ("False", "CredentialsRejected")
    await eventually_async(lambda: objects.ready("lobby") == rejected, within_s=20)
    assert objects.condition("lobby", "Reachable") == ("True", "Reachable")
    assert objects.condition("lobby", "Streaming") == ("Unknown", "Pending")
    assert 1 <= camera.counters.refused() <= 2
    assert objects.objects["lobby"]["status"]["attempts"]["count"] == camera.counters.refused()

    secrets.put("cameras", username="ingest", password="another")
    await eventually_async(lambda: objects.ready("lobby") == ("True", "Ready"), within_s=20)
    assert camera.counters.refused() <= 2


@pytest.mark.quirk(49)
async def test_restarts_before_an_open_onvif_and_a_protected_rtsp_spend_no_attempt(
    tmp_path: Path, simulator: Simulator, objects: CameraObjects, secrets: SecretObjects
) -> None:
    settings = CameraSettings("gate", password=PASSWORD, faults=("onvif-without-login",))
    camera = await simulator.add(settings)
    for session in range(1, 11):
        async with WorkerParts(tmp_path, objects, secrets) as worker:
            await worker.run(policy_to(None), entry(objects, camera))
            await eventually_async(sessions_check(camera, session), within_s=30)
            await eventually_async(ready_check(objects, "gate"), within_s=30)
        attempts = objects.objects["gate"]["status"]["attempts"]
        assert (attempts["count"], attempts["proven"]) == (1, True)
    assert camera.counters.refused() == 0


@pytest.mark.quirk(49)
async def test_a_wrong_rtsp_password_behind_an_open_onvif_is_a_wrong_password(
    worker: WorkerParts, simulator: Simulator, objects: CameraObjects, secrets: SecretObjects
) -> None:
    settings = CameraSettings("gate", password="another", faults=("onvif-without-login",))
    camera = await simulator.add(settings)
    await worker.run(policy_to(None), entry(objects, camera))
    rejected = ("False", "RtspPasswordRejected")
    await eventually_async(lambda: objects.ready("gate") == rejected, within_s=20)
    assert 1 <= camera.counters.refused() <= 2
    conditions = objects.objects["gate"]["status"]["conditions"]
    (message,) = (c["message"] for c in conditions if c["type"] == "Authenticated")
    assert message == (
        "RTSP refuses the user name or the password, which ONVIF has not checked: it asks for "
        "none. Put the right user name and password into the Secret; the next attempt follows the "
        "Secret's change."
    )

    secrets.put("cameras", username="ingest", password="another")
    await eventually_async(ready_check(objects, "gate"), within_s=20)


async def test_a_clock_half_a_year_behind_is_reported_and_the_camera_streams(
    worker: WorkerParts, simulator: Simulator, objects: CameraObjects
) -> None:
    camera = await simulator.add(
        CameraSettings(
            "clock",
            password=PASSWORD,
            onvif_schemes=("wsse",),
            clock_offset_s=-184 * 86400.0,
        )
    )
    await worker.run(policy_to(None), entry(objects, camera))
    await eventually_async(lambda: objects.ready("clock") == ("True", "Ready"), within_s=30)
    assert objects.condition("clock", "TimeSynchronized") == ("False", "ClockOff")
    assert objects.objects["clock"]["status"]["learned"]["authScheme"] == "ws-username-token"


async def test_a_web_page_is_no_onvif_camera(
    worker: WorkerParts, simulator: Simulator, objects: CameraObjects
) -> None:
    camera = await simulator.add(CameraSettings("page", password=PASSWORD, web="page"))
    await worker.run(policy_to(None), entry(objects, camera))
    await eventually_async(lambda: objects.ready("page") == ("False", "NotOnvif"), within_s=20)
    assert objects.condition("page", "Eligible") == ("False", "NotOnvif")


@pytest.mark.quirk(10)
async def test_closed_ports_have_different_reasons(
    worker: WorkerParts, simulator: Simulator, objects: CameraObjects
) -> None:
    without_onvif = await simulator.add(CameraSettings("rtsp-only", web="closed"))
    without_power = await simulator.add(CameraSettings("dark", power=False))
    entries = [entry(objects, camera) for camera in (without_onvif, without_power)]
    await worker.run(policy_to(None), *entries)
    await eventually_async(lambda: objects.ready("rtsp-only") == ("False", "OnvifOff"), within_s=20)
    await eventually_async(
        lambda: objects.ready("dark") == ("False", "ConnectionRefused"), within_s=20
    )


@pytest.mark.quirk(42)
async def test_one_bad_camera_does_not_disturb_another(
    worker: WorkerParts, simulator: Simulator, objects: CameraObjects, vms: RecordServer
) -> None:
    good = await simulator.add(CameraSettings("good", password=PASSWORD))
    bad = await simulator.add(CameraSettings("bad", password=PASSWORD))
    await worker.run(policy_to(vms), entry(objects, good), entry(objects, bad))
    for name in ("good", "bad"):
        await eventually_async(ready_check(objects, name), within_s=30)
    for session in (2, 3):
        await bad.power(False)
        await eventually_async(lambda: bad.counters.sessions_open == 0, within_s=10)
        await bad.power(True)
        await eventually_async(sessions_check(bad, session), within_s=20)
    await bad.change(freeze=True)
    await eventually_async(lambda: objects.ready("bad")[0] == "False", within_s=60)
    assert objects.ready("good") == ("True", "Ready")
    assert good.counters.sessions == 1
    counts = vms.streams()["/live/good"]
    assert (counts.publishers, counts.pts_gaps) == (1, 0)


async def test_without_the_vms_recording_goes_on_and_relaying_has_the_reason(
    worker: WorkerParts, simulator: Simulator, objects: CameraObjects, vms: RecordServer
) -> None:
    camera = await simulator.add(CameraSettings("gate", password=PASSWORD))
    policy = policy_to(vms)
    vms.stop()
    await worker.run(policy, entry(objects, camera))
    await eventually_async(
        lambda: objects.ready("gate") == ("False", "VmsUnreachable"), within_s=30
    )
    # The first verdict may come before the first fragment; while Ready is False, news waits.
    await eventually_async(
        lambda: objects.condition("gate", "Recording") == ("True", "Recording"), within_s=30
    )
    assert objects.condition("gate", "Streaming") == ("True", "Streaming")
    before = worker.recorded_bytes()
    await eventually_async(lambda: worker.recorded_bytes() > before, within_s=20)


async def test_the_login_of_the_vms_can_come_later_without_a_break(
    worker: WorkerParts,
    simulator: Simulator,
    objects: CameraObjects,
    secrets: SecretObjects,
) -> None:
    with RecordServer(username="push", password="s3cret") as vms:
        camera = await simulator.add(CameraSettings("gate", password=PASSWORD))
        policy = policy_to(vms, credentials=CredentialsRef(secret_name="vms"))
        await worker.run(policy, entry(objects, camera))
        missing = ("False", "VmsCredentialsMissing")
        await eventually_async(
            lambda: objects.condition("gate", "Relaying") == missing, within_s=30
        )

        secrets.put("vms", username="push", password="s3cret")
        await eventually_async(lambda: objects.ready("gate") == ("True", "Ready"), within_s=30)
        assert vms.streams()["/live/gate"].publishers == 1
        assert camera.counters.sessions == 1


@pytest.mark.quirk(47)
async def test_a_shard_changes_only_what_it_names(
    worker: WorkerParts, simulator: Simulator, objects: CameraObjects
) -> None:
    kept = await simulator.add(CameraSettings("kept", password=PASSWORD))
    moved = await simulator.add(CameraSettings("moved", password=PASSWORD))
    gone = await simulator.add(CameraSettings("gone", password=PASSWORD))
    entries = [entry(objects, camera) for camera in (kept, moved, gone)]
    await worker.run(policy_to(None), *entries)
    for camera in (kept, moved, gone):
        await eventually_async(ready_check(objects, camera.name), within_s=30)

    # The same camera at the same place, held to another source: it must connect anew.
    other = entries[1].model_copy(update={"source": VideoSource(channel=1), "onvif_path": "/"})
    await worker.run(policy_to(None), entries[0], other)
    await eventually_async(lambda: gone.counters.sessions_open == 0, within_s=10)
    await eventually_async(lambda: moved.counters.teardowns == 1, within_s=10)
    assert kept.counters.sessions == 1
    assert kept.counters.teardowns == 0


def noted_check(file: Path, text: str) -> Callable[[], bool]:
    return lambda: (file.read_text() if file.exists() else "") == text


def ready_check(objects: CameraObjects, name: str) -> Callable[[], bool]:
    return lambda: objects.ready(name) == ("True", "Ready")


def sessions_check(camera: Camera, at_least: int) -> Callable[[], bool]:
    return lambda: camera.counters.sessions >= at_least


async def test_what_the_recordings_of_a_site_may_take_lies_beside_them_and_changes_without_a_break(
    worker: WorkerParts, simulator: Simulator, objects: CameraObjects
) -> None:
    camera = await simulator.add(CameraSettings("gate", password=PASSWORD))
    bound = worker.folder / "recordings" / NAMESPACE / "hospital.retention_bytes"

    for most in (1 << 40, 1 << 41, None):
        policy = policy_to(None).model_copy(update={"site_retention_bytes": most})
        await worker.run(policy, entry(objects, camera))
        await eventually_async(noted_check(bound, "" if most is None else f"{most}\n"), within_s=20)
        await eventually_async(ready_check(objects, "gate"), within_s=20)
    assert (camera.counters.sessions, camera.counters.teardowns) == (1, 0)
    (folder,) = (worker.folder / "recordings" / NAMESPACE).iterdir()
    assert (folder / "site").read_text() == "hospital\n"
