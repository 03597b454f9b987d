# SPDX-License-Identifier: Apache-2.0
"""`make prove-sinks`: a monitoring system that is down, one behind a narrow line, and a full disk.

All at the same time: one worker relays some cameras to a system that goes away, one camera over a
line of 100 kbit/s, and two as if nothing were; another worker records on a disk that is too small.
"""

from __future__ import annotations

import asyncio
import io
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import av
from av.container import InputContainer

from camera_simulator import Camera, Simulator
from camera_simulator.clips import Clip
from camfleet_worker.media_types.sink_state import SinkCounters
from camfleet_worker.record.housekeeping import VolumeSettings
from vms import RecordServer

from ..figures import Figures, percentile
from .account import Account, Sighting, account, runs, undecodable
from .evidence import decoded_in, files_on, pictures_at, pictures_on
from .narrow_line import NarrowLine
from .proving_ground import ProvenWorker, hush, labelled_camera, path_of, policy, say, template
from .small_disk import small_disk

BEFORE_S = 5.0
AFTER_S = 15.0
BACK_WITHIN_S = 10.0
LINE_BITS_PER_S = 100_000
CAMERAS_OF_DEAD_VMS = 12
CAMERAS_ON_SMALL_DISK = 3
FILLINGS = 2.5
"""What is recorded, in sizes of the small disk."""
MAIN_BYTES_PER_S = 250_000
"""A 720p stream of ours: 2 Mbit/s."""


def prove(minutes: float) -> int:
    """The exit status: 0 if every demand was met."""
    return asyncio.run(_prove(60 * minutes))


@dataclass
class _Cameras:
    """By what befalls their pictures."""

    dead: list[Camera]
    """Their monitoring system goes away."""
    slow: Camera
    """Relayed over the narrow line."""
    beside: list[Camera]
    """Of the same worker, with nothing wrong."""
    small: list[Camera]
    """Recorded on the small disk."""


async def _prove(down_s: float) -> int:
    figures = Figures()
    async with AsyncExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="camfleet-sinks-")))
        seconds = down_s + BEFORE_S + AFTER_S
        recorded_bytes = CAMERAS_ON_SMALL_DISK * MAIN_BYTES_PER_S * seconds
        disk = running.enter_context(small_disk(folder, int(recorded_bytes / FILLINGS)))
        simulator = await running.enter_async_context(Simulator())
        dead_vms = running.enter_context(RecordServer())
        vms = running.enter_context(RecordServer())
        line = running.enter_context(NarrowLine(("127.0.0.1", vms.rtsp_port), LINE_BITS_PER_S))
        cameras = await _install(simulator)
        small = VolumeSettings(disk, room_bytes=int(recorded_bytes / FILLINGS * 0.4))
        async with ProvenWorker(folder) as worker, ProvenWorker(folder / "2", small) as cramped:
            to_vms = policy(template("127.0.0.1", vms.rtsp_port), segment_s=5)
            await worker.take(
                (policy(template("127.0.0.1", dead_vms.rtsp_port)), cameras.dead),
                (policy(template("127.0.0.1", line.port)), [cameras.slow]),
                (to_vms, cameras.beside),
            )
            await cramped.take((to_vms, cameras.small))
            say("all cameras are Ready")
            await asyncio.sleep(BEFORE_S)
            returned_at = await _go_away(dead_vms, down_s)
            say("the VMS is back")
            await asyncio.sleep(AFTER_S)
            say("the cameras fall still")
            await cameras.slow.change(freeze=True)
            await hush(vms, *cameras.beside, *cameras.small)
            await hush(dead_vms, *cameras.dead)
            # They go on to count until the relay is closed.
            counters = worker.relay(cameras.slow.name).counters
            said = worker.said(cameras.slow.name, "Relaying")
            figures.note("narrow line: Relaying was False for", ", ".join(sorted(said)))
        say("accounting")
        recordings = folder / "recordings"
        _dead_vms(figures, cameras.dead, dead_vms, recordings, returned_at)
        _slow_line(figures, cameras.slow, vms, recordings, counters, line.carried / seconds)
        figures.demand(said == {"VmsTooSlow"}, f"narrow line: Relaying was False for {said}")
        _untouched(figures, cameras.beside, vms, recordings)
        _small_disk(figures, cameras.small, vms, disk, cramped)
    return figures.print()


async def _install(simulator: Simulator) -> _Cameras:
    async def several(name: str, count: int, resolution: str) -> list[Camera]:
        return [
            await labelled_camera(
                simulator, f"{name}{number}", resolution=resolution, start_frame=50 * number
            )
            for number in range(count)
        ]

    return _Cameras(
        dead=await several("dead", CAMERAS_OF_DEAD_VMS, "240p"),
        slow=await labelled_camera(simulator, "slow", resolution="720p"),
        beside=await several("beside", 2, "720p"),
        small=await several("small", CAMERAS_ON_SMALL_DISK, "720p"),
    )


async def _go_away(vms: RecordServer, down_s: float) -> float:
    """Refuse everybody for so long; when it came back, by the monotonic clock of the machine."""
    say(f"the VMS of {CAMERAS_OF_DEAD_VMS} cameras goes away for {down_s:.0f} s")
    await asyncio.to_thread(vms.refuse, True)
    await asyncio.sleep(down_s)
    returned_at = time.monotonic()
    await asyncio.to_thread(vms.refuse, False)
    return returned_at


def _dead_vms(
    figures: Figures,
    cameras: Sequence[Camera],
    vms: RecordServer,
    recordings: Path,
    returned_at: float,
) -> None:
    back = [
        min(
            (f.arrived_s for f in vms.frames(path_of(one.name)) if f.arrived_s > returned_at),
            default=returned_at + 1e6,
        )
        - returned_at
        for one in cameras
    ]
    spread = " / ".join(f"{percentile(back, share):.1f}" for share in (0.5, 0.95, 1.0))
    figures.add("VMS away: pictures again, p50 / p95 / max, s", spread, "10")
    figures.demand(max(back) <= BACK_WITHIN_S, f"back at the VMS after {max(back):.1f} s")
    broken = sum(undecodable(pictures_at(vms, path_of(one.name))) for one in cameras)
    figures.add("VMS away: pictures that arrive without those before", str(broken), "0")
    figures.demand(not broken, f"{broken} pictures arrived that cannot be decoded")
    _recorded_whole(figures, "VMS away", cameras, recordings)


def _recorded_whole(
    figures: Figures, what: str, cameras: Sequence[Camera], recordings: Path
) -> None:
    found = [
        account(one.name, one.labeller.count, pictures_on(recordings, one.name)) for one in cameras
    ]
    _whole(figures, f"{what}: on disk", cameras, found)


def _whole(
    figures: Figures, what: str, cameras: Sequence[Camera], accounts: Sequence[Account]
) -> None:
    """From the first picture on, nothing is missing."""
    missing = sum(len(one.lost) + one.before for one in accounts)
    wrong = sum(one.doubled + one.disordered + one.altered for one in accounts)
    sent = sum(one.sent for one in accounts)
    told = f"{sent - missing} of {sent}: {missing} lost, {wrong} wrong"
    figures.add(what, told, "0 lost, 0 wrong")
    figures.demand(not missing and not wrong, f"{what}: {told}")
    for camera, one in zip(cameras, accounts, strict=True):
        if one.lost or one.before:
            figures.note(f"{what}, {camera.name}", f"before {one.before}, {runs(one.lost)[:10]}")
        figures.demand(not camera.counters.frames_dropped, f"{camera.name} itself dropped pictures")


def _slow_line(
    figures: Figures,
    camera: Camera,
    vms: RecordServer,
    recordings: Path,
    counters: SinkCounters,
    octets_per_s: float,
) -> None:
    sent, arrived = camera.labeller.count, pictures_at(vms, path_of(camera.name))
    found = account(camera.name, sent, arrived)
    kept, dropped = counters.access_units, counters.dropped_access_units
    figures.add("narrow line: carried, kbit/s", f"{octets_per_s * 8 / 1000:.0f}", "100")
    figures.add("narrow line: sent by the camera / arrived", f"{sent} / {found.found}")
    figures.add("narrow line: relayed + dropped and counted", f"{kept} + {dropped}", str(sent))
    figures.demand(kept + dropped == sent, f"narrow line: {kept} + {dropped} of {sent} counted")
    figures.add("narrow line: connections", str(counters.connects), "1")
    figures.demand(counters.connects == 1, f"narrow line: connected {counters.connects} times")
    figures.add("narrow line: groups of pictures dropped", str(counters.dropped_gops), "> 0")
    figures.demand(counters.dropped_gops > 0, "narrow line: nothing had to be dropped")
    wrong = found.doubled + found.disordered + found.altered + undecodable(arrived)
    figures.add("narrow line: arrived wrong, or without those before", str(wrong), "0")
    figures.demand(not wrong, f"narrow line: {wrong} pictures arrived wrong")
    shown = _decoded(camera.clips["main"], arrived)
    figures.add("narrow line: of what arrived, decoded", f"{shown} of {found.found}")
    figures.demand(shown == found.found > 0, f"narrow line: {shown} of {found.found} decode")
    _recorded_whole(figures, "narrow line", [camera], recordings)


def _decoded(clip: Clip, arrived: Sequence[Sighting]) -> int:
    """How many pictures a decoder makes of the octets that arrived: hashes say which they were."""
    frames = dict(zip(clip.frame_hashes, clip.frames, strict=True))
    stream = b"".join(
        b"\0\0\0\1" + unit
        for sighting in arrived
        if sighting.sha256 in frames
        for unit in frames[sighting.sha256].units
    )
    if not stream:
        return 0
    with av.open(io.BytesIO(stream), format="h264") as container:
        assert isinstance(container, InputContainer)
        return sum(not picture.is_corrupt for picture in container.decode(video=0))


def _untouched(
    figures: Figures, cameras: Sequence[Camera], vms: RecordServer, recordings: Path
) -> None:
    _recorded_whole(figures, "cameras beside", cameras, recordings)
    _relayed_whole(figures, "cameras beside", cameras, vms)


def _relayed_whole(
    figures: Figures, what: str, cameras: Sequence[Camera], vms: RecordServer
) -> None:
    arrived = [
        account(one.name, one.labeller.count, pictures_at(vms, path_of(one.name)))
        for one in cameras
    ]
    _whole(figures, f"{what}: at the VMS", cameras, arrived)


def _small_disk(
    figures: Figures,
    cameras: Sequence[Camera],
    vms: RecordServer,
    disk: Path,
    worker: ProvenWorker,
) -> None:
    deleted = sum(worker.volume.housekeeper.deleted_for_space.values())
    figures.add("full disk: deleted, MB", f"{deleted / 1e6:.0f}", "> 0")
    figures.demand(deleted > 0, "the disk never was full")
    for camera in cameras:
        name, on_disk = camera.name, pictures_on(disk, camera.name)
        found = account(name, camera.labeller.count, on_disk)
        files = files_on(disk, name)
        shown = sum(decoded_in(disk / str(key)) for key in files)
        what = f"full disk, {name}"
        figures.add(f"{what}: newest on disk", str(found), "0 lost after the oldest kept")
        figures.add(
            "  oldest gone; segments, pictures decoded", f"{found.before}; {len(files)}, {shown}"
        )
        figures.demand(found.exact and found.found > 0, f"{what}: {found} {runs(found.lost)[:10]}")
        figures.demand(found.before > 0, f"{what}: nothing of it was deleted")
        figures.demand(shown == found.found, f"{what}: {shown} of {found.found} decode")
        told = worker.said(name, "Recording")
        figures.demand(not told, f"{what}: Recording was False for {told}")
    _relayed_whole(figures, "full disk", cameras, vms)
