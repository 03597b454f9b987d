# SPDX-License-Identifier: Apache-2.0
"""`make prove-players`: recordings and exports, opened by players that are not ours.

A worker records cameras for half a minute; one whole segment of each and an export of all of it are
then read by ffprobe, by GStreamer's qtdemux and by a browser.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import av

from camera_simulator import Simulator
from camfleet_worker.recordings.export import export
from camfleet_worker.recordings.listing import Interval, recorded_segments
from vms.record_server import SYSTEM_PYTHON

from ..figures import Figures
from .browser import Seen, play
from .evidence import prefix_of
from .frames import VARIANTS, Variant, change_size
from .proving_ground import ProvenWorker, labelled_camera, policy, say

SEGMENT_S = 10
PLAYED = {
    "cuts": "H.264",
    "size": "H.264, parameter sets change",
    "bframes": "H.264, B-frames",
    "hevc": "H.265",
    "silent": "H.264 with AAC",
}
"""Cameras of the proof of frames, by what their recordings are."""
FOREVER = Interval(0, 4_102_444_800_000_000)
"""Until 2100."""
_FLAT = 8.0
"""A picture whose brightness spreads by less is of one colour."""


@dataclass(frozen=True)
class _File:
    """A file to be played, and what lies in it by our own account."""

    what: str
    path: Path
    codec: str
    pictures: int
    audio_units: int
    """Audio units."""
    sizes: int
    """How many sizes of picture there are."""


def prove(seconds: float, screenshots: Path) -> int:
    """The exit status: 0 if every player that can took every file."""
    figures = Figures()
    screenshots.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="camfleet-players-") as name:
        folder = Path(name)
        asyncio.run(_record(folder, seconds))
        for variant in (one for one in VARIANTS if one.name in PLAYED):
            for file in _files(folder, variant):
                say(f"playing {file.what}")
                figures.add(file.what, _contents(file))
                heard = bool(file.audio_units) == ("audio" in variant.settings)
                figures.demand(heard, f"{file.what}: {file.audio_units} audio units")
                _ffprobe(figures, file)
                _qtdemux(figures, file)
                _browser(figures, file, screenshots)
    figures.note("screenshots", str(screenshots))
    return figures.print()


async def _record(folder: Path, seconds: float) -> None:
    async with Simulator() as simulator, ProvenWorker(folder) as worker:
        wanted = [variant for variant in VARIANTS if variant.name in PLAYED]
        cameras = {v.name: await labelled_camera(simulator, v.name, **v.settings) for v in wanted}
        await worker.take((policy("", SEGMENT_S), list(cameras.values())))
        say(f"{len(cameras)} cameras are Ready; recording for {seconds:.0f} s")
        await asyncio.gather(asyncio.sleep(seconds), change_size(cameras["size"]))


def _files(folder: Path, variant: Variant) -> list[_File]:
    root = folder / "recordings"
    segments = recorded_segments(root / prefix_of(root, variant.name), FOREVER)
    longest = max(segments, key=lambda segment: segment.end_us - segment.start_us)
    exported = export(segments, FOREVER, folder / f"{variant.name}.mp4")
    files = [_file(f"{PLAYED[variant.name]}: a segment", longest.path)]
    files += [
        _file(f"{PLAYED[variant.name]}: an export of {len(segments)}", one.path) for one in exported
    ]
    return files


def _file(what: str, path: Path) -> _File:
    with av.open(str(path)) as container:
        codec = container.streams.video[0].codec_context.name
        kinds = Counter(packet.stream.type for packet in container.demux() if packet.size)
    with av.open(str(path)) as container:
        sizes = {(picture.width, picture.height) for picture in container.decode(video=0)}
    return _File(what, path, codec, kinds["video"], kinds["audio"], len(sizes))


def _contents(file: _File) -> str:
    audio = f", {file.audio_units} audio units" if file.audio_units else ""
    return f"{file.codec}, {file.pictures} pictures of {file.sizes} size(s){audio}"


def _ffprobe(figures: Figures, file: _File) -> None:
    command = ["ffprobe", "-v", "error", "-count_packets", "-count_frames", "-of", "json"]
    command += ["-show_entries", "stream=codec_type,nb_read_packets,nb_read_frames"]
    done = subprocess.run([*command, str(file.path)], capture_output=True, text=True, check=False)
    tracks = json.loads(done.stdout or "{}").get("streams", [])
    packets = {t["codec_type"]: int(t.get("nb_read_packets", 0)) for t in tracks}
    frames = {t["codec_type"]: int(t.get("nb_read_frames", 0)) for t in tracks}
    told = f"{packets} packets, {frames} frames"
    figures.add("  ffprobe", _plain(packets, frames), "the same and no error")
    agrees = packets == frames == _kinds(file)
    figures.demand(
        agrees and not done.stderr,
        f"{file.what}: ffprobe counts {told}; it says {done.stderr[:200]!r}",
    )


def _kinds(file: _File) -> dict[str, int]:
    """Packets by the type of their track."""
    return {"video": file.pictures} | ({"audio": file.audio_units} if file.audio_units else {})


def _plain(packets: dict[str, int], frames: dict[str, int]) -> str:
    return "; ".join(
        f"{kind}: {count} packets, {frames.get(kind, 0)} frames" for kind, count in packets.items()
    )


def _qtdemux(figures: Figures, file: _File) -> None:
    script = Path(__file__).with_name("qtdemux_count.py")
    done = subprocess.run(
        [SYSTEM_PYTHON, str(script), str(file.path)], capture_output=True, text=True, check=False
    )
    counts = json.loads(done.stdout or "{}")
    told = ", ".join(f"{count} {kind}" for kind, count in counts.items()) or done.stderr[-200:]
    figures.add("  qtdemux", told, "the same")
    kinds = {kind.partition("/")[0]: count for kind, count in counts.items()}
    agrees = done.returncode == 0 and kinds == _kinds(file)
    figures.demand(agrees, f"{file.what}: qtdemux says {told}")


def _browser(figures: Figures, file: _File, screenshots: Path) -> None:
    browser = shutil.which("chromium")
    if browser is None:
        figures.add("  browser", "Chromium is not installed")
        figures.demand(met=False, failure="Chromium is not installed")
        return
    name = "".join(letter if letter.isalnum() else "-" for letter in file.what.lower())
    seen = play(browser, file.path, screenshots / f"{name}.png")
    if file.codec == "hevc":
        _unsupported(figures, seen)
        return
    told = (
        f"{seen.event} at {seen.at_s:.1f} of {seen.duration_s:.1f} s, {' '.join(seen.sizes)}, "
        f"readyState {seen.ready_state}, {seen.decoded} decoded, {seen.dropped} dropped"
    )
    figures.add("  browser", told, "ended, readyState ≥ 2, no error")
    played = seen.event == "ended" and seen.ready_state >= 2 and not seen.error
    whole = played and seen.decoded >= file.pictures
    figures.demand(whole, f"{file.what}: the browser says {seen}")
    figures.demand(len(seen.sizes) == file.sizes, f"{file.what}: {file.sizes} sizes, not {seen}")
    figures.demand(seen.spread > _FLAT, f"{file.what}: the browser shows a flat picture: {seen}")


def _unsupported(figures: Figures, seen: Seen) -> None:
    """Debian's Chromium is built without H.265: it is told, whatever it does."""
    told = seen.error or f"{seen.event}, {seen.decoded} decoded"
    figures.add("  browser, H.265", told[:90], "none: not built with H.265")
