# SPDX-License-Identifier: Apache-2.0
"""The journal tells the truth: which of arriving, relayed and on disk had a gap, whose it was, and
from which second to which, whatever the status said and when."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from camera_simulator import Camera, CameraSettings, Simulator
from camfleet_api.cause import Cause
from camfleet_api.ingest_shard import IngestShardSpec, Policy, ShardCamera
from camfleet_api.site import MaintenanceWindow
from camfleet_worker.journal.period import Fact, Period, Stage, State
from camfleet_worker.journal.store import JournalStore
from camfleet_worker.journal.windows import window_of
from camfleet_worker.record.layout import camera_prefix
from camfleet_worker.recordings.listing import recorded_between
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

ARRIVING = Fact(Stage.ARRIVING)
RELAYED = Fact(Stage.RELAYED, "national")
ON_DISK = Fact(Stage.ON_DISK)
ALL = (ARRIVING, RELAYED, ON_DISK)
READY = ("True", "Ready")
EXACT_S = 1.0


def told(worker: WorkerParts, fact: Fact) -> list[Period]:
    """What the journal of the one camera says now, the beginning of the worker left out."""
    (kept,) = worker.journals.kept
    entries = [*kept.store.entries(), *kept.now()]
    periods = [one for one in entries if isinstance(one, Period) and one.fact == fact]
    return sorted(periods, key=lambda one: one.start_us)


def gaps(worker: WorkerParts, fact: Fact) -> list[Period]:
    """Those after the first picture."""
    periods = told(worker, fact)
    first = next(n for n, one in enumerate(periods) if one.condition.state is State.SPAN)
    return [one for one in periods[first:] if one.condition.state is not State.SPAN]


def only_gap(worker: WorkerParts, fact: Fact) -> Period:
    (gap,) = gaps(worker, fact)
    return gap


def is_up(worker: WorkerParts, fact: Fact, after_s: float) -> bool:
    """Whether it was up lately, and later than a moment."""
    periods = told(worker, fact)
    last = periods[-1] if periods else None
    up = last is not None and last.condition.state is State.SPAN
    return last is not None and up and last.end_us > (after_s + 1) * 1e6


async def all_up(worker: WorkerParts, after_s: float = 0.0) -> None:
    for fact in ALL:
        await eventually_async(partial(is_up, worker, fact, after_s), within_s=30)


def exactly(gap: Period, cause: Cause, start_s: float, end_s: float) -> None:
    assert gap.condition.cause is cause
    assert abs(gap.start_us / 1e6 - start_s) < EXACT_S
    assert abs(gap.end_us / 1e6 - end_s) < EXACT_S


async def started(
    worker: WorkerParts, simulator: Simulator, objects: CameraObjects, vms: RecordServer
) -> tuple[Camera, ShardCamera]:
    """A camera that arrives, is relayed and recorded."""
    camera = await simulator.add(CameraSettings("gate", password=PASSWORD))
    declared = entry(objects, camera)
    await worker.run(policy_to(vms), declared)
    await all_up(worker)
    return camera, declared


async def test_a_camera_that_stops_sending_is_its_gap_to_the_second_while_its_session_stands(
    worker: WorkerParts, simulator: Simulator, objects: CameraObjects, vms: RecordServer
) -> None:
    camera, _ = await started(worker, simulator, objects, vms)
    await camera.change(freeze=True)
    froze_s = time.time()
    await asyncio.sleep(6.5)  # longer than a slow camera's pause, shorter than the watchdog's
    assert objects.ready("gate") == READY, "the status is debounced and has noticed nothing"
    await camera.change(freeze=False)
    flows_s = time.time()
    await all_up(worker, flows_s)
    assert camera.counters.sessions == 1
    exactly(only_gap(worker, ARRIVING), Cause.CAMERA, froze_s, flows_s)
    for fact in (RELAYED, ON_DISK):
        assert only_gap(worker, fact).condition.cause is Cause.CAMERA
        assert abs(only_gap(worker, fact).start_us / 1e6 - froze_s) < EXACT_S


async def test_a_camera_that_reconnects_within_seconds_is_a_gap_all_the_same(
    worker: WorkerParts, simulator: Simulator, objects: CameraObjects, vms: RecordServer
) -> None:
    camera, _ = await started(worker, simulator, objects, vms)
    await camera.power(False)
    fell_s = time.time()
    await asyncio.sleep(2.0)
    await camera.power(True)
    sessions = camera.counters.sessions
    await eventually_async(lambda: camera.counters.sessions > sessions, within_s=20)
    returned_s = time.time()
    await all_up(worker, returned_s)
    exactly(only_gap(worker, ARRIVING), Cause.CAMERA, fell_s, returned_s)


async def test_a_window_declared_while_a_camera_streams_makes_its_gap_planned_without_a_break(
    worker: WorkerParts, simulator: Simulator, objects: CameraObjects, vms: RecordServer
) -> None:
    camera, declared = await started(worker, simulator, objects, vms)
    now = datetime.now(UTC)
    window = MaintenanceWindow(
        from_=now - timedelta(hours=1),
        until=now + timedelta(hours=1),
        author="noc",
        reason="mast moved",
    )
    planned = policy_to(vms).model_copy(update={"site_maintenance_windows": [window]})
    await worker.run(planned, declared)
    assert (camera.counters.sessions, camera.counters.teardowns) == (1, 0)

    await camera.change(freeze=True)
    froze_s = time.time()
    await asyncio.sleep(6.5)  # longer than a slow camera's pause, shorter than the watchdog's
    await camera.change(freeze=False)
    flows_s = time.time()
    await all_up(worker, flows_s)
    assert camera.counters.sessions == 1
    for fact in ALL:
        assert only_gap(worker, fact).condition.cause is Cause.PLANNED
    exactly(only_gap(worker, ARRIVING), Cause.PLANNED, froze_s, flows_s)
    await eventually_async(partial(windows_are_kept, worker, declared, window), within_s=20)


def windows_are_kept(worker: WorkerParts, declared: ShardCamera, window: MaintenanceWindow) -> bool:
    """Beside the journal, for whoever judges it later."""
    prefix = camera_prefix(NAMESPACE, declared.name, declared.uid)
    return JournalStore(worker.folder / "recordings" / prefix).windows() == (window_of(window),)


async def test_a_vms_that_is_gone_is_a_gap_of_the_relay_alone(
    worker: WorkerParts, simulator: Simulator, objects: CameraObjects, vms: RecordServer
) -> None:
    await started(worker, simulator, objects, vms)
    vms.stop()
    gone_s = time.time()
    await asyncio.sleep(2.0)
    vms.start()
    await eventually_async(lambda: vms.streams()["/live/gate"].frames > 0, within_s=40)
    back_s = time.time()
    await all_up(worker, back_s)
    gap = only_gap(worker, RELAYED)
    assert gap.condition.cause is Cause.VMS
    assert abs(gap.start_us / 1e6 - gone_s) < EXACT_S
    # It is given the group of pictures that was under way when it came back.
    assert back_s - 3 * EXACT_S < gap.end_us / 1e6 < back_s + EXACT_S
    assert gaps(worker, ARRIVING) == gaps(worker, ON_DISK) == []


async def test_a_disk_that_fails_is_a_gap_on_disk_alone(
    worker: WorkerParts, simulator: Simulator, objects: CameraObjects, vms: RecordServer
) -> None:
    _, declared = await started(worker, simulator, objects, vms)
    root = worker.folder / "recordings" / NAMESPACE
    lost = root.with_name("lost")
    root.rename(lost)
    root.write_text("no folder: every segment that is opened fails")
    (supervisor,) = worker.fleet.supervisors
    (recording,) = (one for one in supervisor.sinks.sinks if one.name == "recording")
    await eventually_async(lambda: recording.counters.dropped_gops > 0, within_s=20)
    root.unlink()
    lost.rename(root)
    await all_up(worker, time.time())

    gap = only_gap(worker, ON_DISK)
    prefix = camera_prefix(NAMESPACE, declared.name, declared.uid)
    around = gap.start_us - 5_000_000, gap.end_us + 1_000_000
    before, after = recorded_between(worker.folder / "recordings" / prefix, *around)
    exactly(gap, Cause.DISK, before[1] / 1e6, after[0] / 1e6)
    assert gaps(worker, ARRIVING) == gaps(worker, RELAYED) == []


async def test_a_planned_stop_is_planned_until_the_next_worker_streams(
    tmp_path: Path,
    simulator: Simulator,
    objects: CameraObjects,
    secrets: SecretObjects,
    vms: RecordServer,
) -> None:
    async with WorkerParts(tmp_path, objects, secrets) as first:
        _, declared = await started(first, simulator, objects, vms)
        stopping_s = time.time()
    async with WorkerParts(tmp_path, objects, secrets) as second:
        await second.run(policy_to(vms), declared)
        began_s = time.time()
        await all_up(second, began_s)
        for fact in ALL:
            planned, *starting = gaps(second, fact)
            exactly(planned, Cause.PLANNED, stopping_s, began_s)
            assert [one.condition.cause for one in starting] == [Cause.SYSTEM]


ANOTHER_WORKER = """
import asyncio, json, sys
from pathlib import Path
from camfleet_api.ingest_shard import IngestShardSpec
from worker_parts import PASSWORD, CameraObjects, SecretObjects, WorkerParts

async def main():
    spec = IngestShardSpec.read(json.loads(sys.argv[2]))
    objects, secrets = CameraObjects(), SecretObjects()
    secrets.put("cameras", username="ingest", password=PASSWORD)
    for camera in spec.cameras:
        objects.create(camera.name)
        objects.objects[camera.name]["metadata"]["uid"] = camera.uid
    async with WorkerParts(Path(sys.argv[1]), objects, secrets) as worker:
        await worker.run(spec.policies[0], *spec.cameras)
        await asyncio.Event().wait()

asyncio.run(main())
"""


@asynccontextmanager
async def another_worker(
    folder: Path, policy: Policy, camera: ShardCamera
) -> AsyncIterator[subprocess.Popen[bytes]]:
    """A worker in a process of its own, gone at the end."""
    spec = IngestShardSpec(hash="h", policies=[policy], cameras=[camera])
    process = subprocess.Popen(
        [sys.executable, "-c", ANOTHER_WORKER, str(folder), json.dumps(spec.to_wire())],
        env={"PYTHONPATH": ":".join(sys.path)},
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.kill()
        await asyncio.to_thread(process.wait)


async def test_what_a_killed_worker_left_open_is_ours_from_its_last_picture_on_disk(
    tmp_path: Path,
    simulator: Simulator,
    objects: CameraObjects,
    secrets: SecretObjects,
    vms: RecordServer,
) -> None:
    camera = await simulator.add(CameraSettings("gate", password=PASSWORD))
    declared, policy = entry(objects, camera), policy_to(vms)
    prefix = camera_prefix(NAMESPACE, declared.name, declared.uid)
    folder = tmp_path / "recordings" / prefix
    async with another_worker(tmp_path, policy, declared) as process:
        await eventually_async(
            lambda: folder.is_dir() and len(list(folder.rglob("*.mp4"))) > 2, within_s=40
        )
        process.send_signal(signal.SIGKILL)
        killed_s = time.time()
        await asyncio.to_thread(process.wait)
    (lies,) = recorded_between(folder, 0, int(time.time() * 1e6))

    began_s = time.time()
    async with WorkerParts(tmp_path, objects, secrets) as worker:
        await worker.run(policy, declared)
        await all_up(worker, began_s)
        all_up_s = time.time()
        for fact in (ARRIVING, ON_DISK):
            up = next(one for one in told(worker, fact) if one.condition.state is State.SPAN)
            assert (up.start_us, up.end_us) == lies
            hole = gaps(worker, fact)[0]
            assert hole.condition.cause is Cause.SYSTEM
            assert lies[1] == hole.start_us <= killed_s * 1e6
            assert began_s < hole.end_us / 1e6 < all_up_s
        causes = {one.condition.cause for one in told(worker, RELAYED)}
        assert causes == {None, Cause.SYSTEM}
