# SPDX-License-Identifier: Apache-2.0
"""`make prove-kills`: a worker is killed with SIGKILL again and again while it records.

After each kill the volume is read as it lies there, before anybody repairs it; then the next worker
begins on it. Cameras number their pictures, so what was lost is what they had sent by the moment
of the kill and what lies on the disk then.
"""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
import tempfile
import uuid
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median

import av

from camera_simulator import Camera, Simulator
from camfleet_worker.record.layout import ObjectKey, Span

from ..figures import Figures
from .account import Sighting, account
from .evidence import decoded_in, files_on, pictures_in, pictures_on, spans_on
from .proving_ground import labelled_camera, say
from .recorder import DistantCamera

FIRST_S, LAST_S = 0.3, 8.0
"""A worker is killed some time after it was Ready."""
START_WITHIN_S = 90.0
END_WITHIN_S = 30.0
FRAME_S = 0.04
UNDER_WAY = 4
"""Pictures that the worker had not handed on: one is held back until the next one tells how long
it is shown, the others lay in the socket until the media loop's next tick."""


@dataclass
class _Kept:
    """One camera, and what each kill cost it."""

    camera: Camera
    distant: DistantCamera
    losses: list[int] = field(default_factory=list)
    """Pictures sent by the moment of a kill that were not on the disk."""
    killed_at: list[int] = field(default_factory=list)
    """How many it had sent then."""
    begun_at: list[int] = field(default_factory=list)
    """How many it had sent before the worker of that kill began."""


def prove(kills: int, seed: int) -> int:
    """The exit status: 0 if every demand was met."""
    return asyncio.run(_prove(kills, random.Random(seed)))


async def _prove(kills: int, chance: random.Random) -> int:
    figures = Figures()
    with tempfile.TemporaryDirectory(prefix="camfleet-kills-") as name:
        folder = Path(name)
        volume = folder / "volume"
        async with Simulator() as simulator:
            kept = [
                await _install(simulator, "short-gop", resolution="240p"),
                await _install(simulator, "long-gop", resolution="720p"),
                await _install(simulator, "b-frames", faults=("b-frames",)),
            ]
            for number in range(1, kills + 1):
                await _kill_one(folder, volume, kept, chance)
                lost = ", ".join(str(one.losses[-1]) for one in kept)
                say(f"kill {number} of {kills}: {lost} pictures lost")
            await _end_in_order(folder, volume, kept)
        for one in kept:
            _account_for(figures, one, volume, kills)
    return figures.print()


async def _install(simulator: Simulator, name: str, **settings: object) -> _Kept:
    camera = await labelled_camera(simulator, name, **settings)
    uid = str(uuid.uuid4())
    place = DistantCamera(name, uid, camera.host, camera.onvif_port, camera.rtsp_port)
    return _Kept(camera, place)


async def _kill_one(folder: Path, volume: Path, kept: list[_Kept], chance: random.Random) -> None:
    for one in kept:
        one.begun_at.append(one.camera.labeller.count)
    with await _started(folder, volume, kept) as worker:
        await asyncio.sleep(chance.uniform(FIRST_S, LAST_S))
        # Nothing else runs between these: cameras send from this very loop.
        worker.kill()
        for one in kept:
            one.killed_at.append(one.camera.labeller.count)
        await asyncio.to_thread(worker.wait)
    for one in kept:
        newest = await asyncio.to_thread(_newest_number, volume, one.camera.name)
        one.losses.append(one.killed_at[-1] - 1 - max(newest, one.begun_at[-1] - 1))


async def _end_in_order(folder: Path, volume: Path, kept: list[_Kept]) -> None:
    with await _started(folder, volume, kept) as worker:
        assert worker.stdin is not None
        worker.stdin.close()
        await asyncio.to_thread(worker.wait, END_WITHIN_S)


async def _started(folder: Path, volume: Path, kept: list[_Kept]) -> subprocess.Popen[str]:
    worker = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.ingest_proof.recorder"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert worker.stdin is not None
    assert worker.stdout is not None
    cameras = [asdict(one.distant) for one in kept]
    told = {"folder": str(folder / "worker"), "volume": str(volume), "cameras": cameras}
    worker.stdin.write(json.dumps(told) + "\n")
    worker.stdin.flush()
    try:
        async with asyncio.timeout(START_WITHIN_S):
            said = await asyncio.to_thread(worker.stdout.readline)
    except TimeoutError:
        said = ""
    if said != "ready\n":
        worker.kill()
        raise RuntimeError("the worker did not become ready; its error is above")
    return worker


def _newest_number(volume: Path, camera: str) -> int:
    """Of the pictures that can be read on the volume as it lies there; -1 where there is none."""
    for key in reversed(files_on(volume, camera)):
        numbers = [one.label.number for one in _readable(volume, key) if one.label is not None]
        if numbers:
            return max(numbers)
    return -1


def _readable(volume: Path, key: ObjectKey) -> list[Sighting]:
    try:
        return pictures_in(volume, key)
    except av.error.InvalidDataError:
        return []  # no fragment of it was ever whole


def _account_for(figures: Figures, one: _Kept, volume: Path, kills: int) -> None:
    name, gop = one.camera.name, one.camera.clips["main"].gop
    worst = max(one.losses)
    figures.add(
        f"{name}: lost a kill, worst / median, pictures",
        f"{worst} / {median(one.losses):.0f}",
        f"{gop} and {UNDER_WAY} under way",
    )
    figures.add("  kills that cost more than a group of pictures", str(_above(one.losses, gop)))
    figures.demand(worst <= gop + UNDER_WAY, f"{name}: a kill cost {worst} pictures")
    on_disk = pictures_on(volume, name)
    found = account(name, one.camera.labeller.count, on_disk)
    unexplained = set(found.lost) - _of_kills(one)
    figures.add(
        "  pictures on disk, lost other than by a kill", f"{found.found}, {len(unexplained)}", "0"
    )
    figures.demand(not unexplained, f"{name}: {sorted(unexplained)[:20]} are missing")
    wrong = found.doubled + found.disordered + found.altered
    figures.add("  doubled, out of order or altered", str(wrong), "0")
    figures.demand(not wrong, f"{name}: {found}")
    files = files_on(volume, name)
    shown = sum(decoded_in(volume / str(key)) for key in files)
    figures.add("  segments, pictures that decode", f"{len(files)}, {shown}", str(found.found))
    figures.demand(shown == found.found, f"{name}: {shown} of {found.found} decode")
    _index(figures, name, spans_on(volume, name), on_disk, kills)


def _above(losses: list[int], most: int) -> int:
    return sum(loss > most for loss in losses)


def _of_kills(one: _Kept) -> set[int]:
    """Numbers that a kill explains: the last before it, and what the camera sent to nobody."""
    following = [*one.begun_at[1:], one.camera.labeller.count]
    return {
        number
        for killed_at, loss, next_begun in zip(one.killed_at, one.losses, following, strict=True)
        for number in range(killed_at - loss, next_begun)
    }


def _index(
    figures: Figures, name: str, spans: list[Span], on_disk: list[Sighting], kills: int
) -> None:
    """Every span has an end, and ends where its last picture does."""
    open_ones = sum(span.end_us is None for span in spans)
    errors = [
        abs((span.end_us or 0) / 1e6 - FRAME_S - _last_shown_s(span, following, on_disk))
        for span, following in zip(spans, [*spans[1:], None], strict=True)
    ]
    told = f"{len(spans)}, {open_ones}; {max(errors):.3f}"
    figures.add(
        "  spans, without end; worst error of an end, s", told, f"≥ {kills}, 0; one picture"
    )
    figures.demand(not open_ones, f"{name}: {open_ones} spans have no end")
    figures.demand(max(errors) <= FRAME_S, f"{name}: a span's end is wrong by {max(errors):.3f} s")


def _last_shown_s(span: Span, following: Span | None, on_disk: list[Sighting]) -> float:
    until_s = following.start_us / 1e6 if following is not None else float("inf")
    return max(
        one.at_s for one in on_disk if span.start_us / 1e6 <= one.at_s + 1e-6 and one.at_s < until_s
    )
