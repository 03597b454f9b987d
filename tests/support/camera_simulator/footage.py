# SPDX-License-Identifier: Apache-2.0
"""Prepare the clips that the cameras play: real CCTV footage, encoded once and kept in a cache.

The footage is `vtest.avi` of Debian's package opencv-doc: a fixed camera above a square with
people. It was taken at 10 frames a second; we play its frames at 25 a second, every frame
different, because repeated frames would cost an encoder and a network next to nothing. Each recipe
makes one clip folder (see clips.py), named by a hash of the recipe and of this file's encoder
settings, so a changed recipe is a new clip and an interrupted one is made again.

Called by the simulator in tests, by `python -m camera_simulator.footage`, and by the image build.
It is the only module here that needs PyAV; inside the image the clips are already there.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from camera_simulator.clips import (
    Clip,
    Codec,
    frame_hash,
    group_access_units,
    is_parameter_set,
    load_clip,
    split_annex_b,
)
from camera_simulator.vui import stream_without_vui

if TYPE_CHECKING:
    import av

Progress = Callable[[str], None]

SOURCE_PACKAGE = "opencv-doc"
SOURCE_FILE = "usr/share/doc/opencv-doc/examples/data/vtest.avi"


@dataclass(frozen=True)
class Recipe:
    """What to encode. `crop` is x, y, width, height in the 768×576 source."""

    name: str
    codec: Codec
    width: int
    height: int
    gop: int
    bitrate_kbps: int
    seconds: int
    crop: tuple[int, int, int, int] = (0, 72, 768, 432)
    fps: int = 25
    first_frame: int = 0
    b_frames: int = 0
    """B-frames between two others, one of them a reference; decoding order is not display order."""
    declares_reordering: bool = True
    """Without it the SPS has no VUI that would say how many pictures change places."""
    open_gops: bool = False
    """Only the first picture is an IDR picture; the others to start at are behind recovery points,
    and B-frames refer across them."""
    changes_sets: bool = False
    """The picture parameter set changes before the sixth picture of each group, and back with the
    next group; what lies between decodes by that one only."""


# Sizes and rates are those of the cameras in the field: a sub-stream, a stream that a 10 Mbit/s
# site can send sixteen times, and the 720p main stream at 2 Mbit/s on which the figures are
# measured.
RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        Recipe("240p-h264", "h264", 320, 240, 25, 150, 12, crop=(0, 0, 768, 576)),
        Recipe("240p-h265", "h265", 320, 240, 25, 100, 12, crop=(0, 0, 768, 576)),
        Recipe("360p-h264", "h264", 640, 360, 25, 500, 20),
        Recipe("360p-h265", "h265", 640, 360, 25, 350, 20),
        Recipe("720p-h264", "h264", 1280, 720, 50, 2000, 16),
        Recipe("720p-h265", "h265", 1280, 720, 50, 1400, 16),
        Recipe("240p-h264-b", "h264", 320, 240, 25, 150, 4, crop=(0, 0, 768, 576), b_frames=2),
        Recipe("240p-h265-b", "h265", 320, 240, 25, 100, 4, crop=(0, 0, 768, 576), b_frames=2),
        Recipe(
            "240p-h264-b-undeclared",
            "h264",
            320,
            240,
            25,
            150,
            4,
            crop=(0, 0, 768, 576),
            b_frames=2,
            declares_reordering=False,
        ),
        Recipe(
            "240p-h264-open",
            "h264",
            320,
            240,
            24,
            150,
            4,
            crop=(0, 0, 768, 576),
            b_frames=2,
            open_gops=True,
        ),
        Recipe("240p-h264-sets", "h264", 320, 240, 25, 150, 4, (0, 0, 768, 576), changes_sets=True),
        Recipe("240p-h265-sets", "h265", 320, 240, 25, 100, 4, (0, 0, 768, 576), changes_sets=True),
    )
}


def cache_folder() -> Path:
    """Where everything built once a machine is kept: `$CAMFLEET_CACHE`, else ~/.cache/camfleet."""
    return Path(os.environ.get("CAMFLEET_CACHE") or Path.home() / ".cache" / "camfleet") / "footage"


def prepared_clip(name: str, progress: Progress = lambda _: None) -> Clip:
    """The clip of that recipe, made now if this machine does not have it yet."""
    return load_clip(prepare(RECIPES[name], progress))


def prepare(recipe: Recipe, progress: Progress = lambda _: None) -> Path:
    """Encode one recipe into the cache unless it is there, and return its folder."""
    folder = cache_folder() / f"{recipe.name}-{_key(recipe)}"
    if (folder / "clip.json").exists():
        return folder
    source = source_footage(progress)
    folder.parent.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    progress(f"footage: encoding {recipe.name} ({recipe.seconds} s)")
    # A folder of its own, renamed into place when whole: two test runs may race for the same clip.
    work = Path(tempfile.mkdtemp(prefix=f".{recipe.name}-", dir=folder.parent))
    try:
        _encode(recipe, source, work)
        work.chmod(0o755)
        try:
            work.rename(folder)
        except OSError:
            if not (folder / "clip.json").exists():
                raise
    finally:
        shutil.rmtree(work, ignore_errors=True)
    progress(f"footage: {recipe.name} ready after {time.monotonic() - started:.1f} s")
    return folder


def _key(recipe: Recipe) -> str:
    fields = asdict(recipe)
    if not recipe.b_frames:  # clips encoded before there were any keep their names
        del fields["b_frames"], fields["declares_reordering"]
    for added in ("open_gops", "changes_sets"):  # the same of those encoded before these
        if not fields[added]:
            del fields[added]
    what = json.dumps([fields, _encoder_options(recipe), "layout 1"], sort_keys=True)
    return hashlib.sha256(what.encode()).hexdigest()[:12]


def _encoder_options(recipe: Recipe) -> dict[str, str]:
    options = _ENCODER_OPTIONS[recipe.codec]
    if not recipe.b_frames:
        return options
    bframes = f"bframes={recipe.b_frames}:b-adapt=0"
    options = {name: value.replace("bframes=0", bframes) for name, value in options.items()}
    if recipe.open_gops:
        options = {
            name: value.replace("open-gop=0", "open-gop=1") for name, value in options.items()
        }
    return options


# No B-frames, one slice, closed GOPs of fixed length, parameter sets before every key frame: what
# the great majority of cameras send. open-gop=0 also makes the clip safe to play in a circle.
_ENCODER_OPTIONS: dict[Codec, dict[str, str]] = {
    "h264": {
        "preset": "veryfast",
        "profile": "main",
        "x264-params": "bframes=0:scenecut=0:open-gop=0:slices=1:sliced-threads=0:repeat-headers=1:"
        "aud=0:force-cfr=1:nal-hrd=vbr",
    },
    "h265": {
        "preset": "veryfast",
        "x265-params": "bframes=0:scenecut=0:open-gop=0:repeat-headers=1:aud=0:info=0:"
        "log-level=error:frame-threads=1",
    },
}


_OTHER_SETS: dict[Codec, dict[str, str]] = {
    "h264": {"x264-params": ":cabac=0"},
    "h265": {"x265-params": ":signhide=0"},
}
"""What changes the picture parameter set and nothing else: pictures do not decode by the other."""
_OTHER_SETS_FROM = 5


def _encode(recipe: Recipe, source: Path, folder: Path) -> None:
    path = folder / f"stream.{recipe.codec}"
    options = _encoder_options(recipe)
    shown = _encode_stream(recipe, options, source, path)
    if not recipe.declares_reordering:
        path.write_bytes(stream_without_vui(path.read_bytes()))
    if recipe.changes_sets:
        other = {
            name: value + _OTHER_SETS[recipe.codec].get(name, "") for name, value in options.items()
        }
        beside = folder / "other"
        _encode_stream(recipe, other, source, beside)
        path.write_bytes(_with_other_sets(recipe, path.read_bytes(), beside.read_bytes()))
        beside.unlink()
    _describe(recipe, folder, shown)


def _with_other_sets(recipe: Recipe, data: bytes, other: bytes) -> bytes:
    """The first pictures of each group of one stream, the rest of the other behind its set."""
    streams = [list(group_access_units(split_annex_b(one), recipe.codec)) for one in (data, other)]
    (changed,) = (
        set(streams[1][0].units)
        - set(streams[0][0].units)
        - {unit for unit in streams[1][0].units if not is_parameter_set(unit, recipe.codec)}
    )
    units: list[bytes] = []
    for number in range(len(streams[0])):
        place = number % recipe.gop
        if place == _OTHER_SETS_FROM:
            units.append(changed)
        units += streams[place >= _OTHER_SETS_FROM][number].units
    return b"".join(b"\0\0\0\1" + unit for unit in units)


def _encode_stream(recipe: Recipe, options: dict[str, str], source: Path, path: Path) -> list[int]:
    """The display numbers of the pictures, in decoding order."""
    import av

    container = av.open(str(path), "w", format=_MUXER[recipe.codec])
    stream = container.add_stream(
        "libx264" if recipe.codec == "h264" else "libx265", rate=recipe.fps
    )
    stream.width, stream.height, stream.pix_fmt = recipe.width, recipe.height, "yuv420p"
    stream.bit_rate = recipe.bitrate_kbps * 1000
    stream.gop_size = recipe.gop
    stream.codec_context.options = options | {
        "maxrate": f"{recipe.bitrate_kbps}k",
        "bufsize": f"{recipe.bitrate_kbps}k",
        "keyint_min": str(recipe.gop),
    }
    shown: list[int] = []
    for number, picture in enumerate(_pictures(recipe, source)):
        if number == 0:
            _write_jpeg(picture, path.with_name("snapshot.jpg"))
        picture.pts = number
        picture.time_base = Fraction(1, recipe.fps)
        if recipe.b_frames:
            # What the source's encoder made of it would be asked of ours: no B-frames.
            picture.pict_type = av.video.frame.PictureType.NONE
        shown += _encode_into(container, stream, picture)
    shown += _encode_into(container, stream, None)
    container.close()
    return shown


def _encode_into(
    container: av.container.OutputContainer,
    stream: av.VideoStream,
    picture: av.VideoFrame | None,
) -> list[int]:
    """The display numbers of the pictures that came out, in decoding order."""
    packets = stream.encode(picture)
    # The encoder counts in the time base of the pictures that it was given.
    shown = [packet.pts for packet in packets if packet.pts is not None]
    container.mux(packets)
    return shown


_MUXER: dict[Codec, str] = {"h264": "h264", "h265": "hevc"}


def _describe(recipe: Recipe, folder: Path, shown: list[int]) -> None:
    """Write clip.json beside the stream, having proved that the encoder gave what was asked."""
    data = (folder / f"stream.{recipe.codec}").read_bytes()
    frames = list(group_access_units(split_annex_b(data), recipe.codec))
    wanted = recipe.seconds * recipe.fps
    keys = [number for number, frame in enumerate(frames) if frame.key]
    expected = list(range(0, wanted, recipe.gop))
    if recipe.open_gops:  # decoded before the B-frames that are shown before them
        expected = [0, *sorted(shown.index(number) for number in expected[1:])]
    if len(frames) != wanted or keys != expected:
        raise RuntimeError(
            f"{recipe.name}: the encoder gave {len(frames)} frames with key frames at {keys[:5]}…"
        )
    if sorted(shown) != list(range(wanted)) or (shown != sorted(shown)) != bool(recipe.b_frames):
        raise RuntimeError(f"{recipe.name}: the encoder ordered its frames {shown[:5]}…")
    about = {
        **asdict(recipe),
        "source": SOURCE_PACKAGE,
        "frames": [
            {"size": frame.size, "key": frame.key, "sha256": frame_hash(frame.units, recipe.codec)}
            for frame in frames
        ],
        "shown": shown,
    }
    (folder / "clip.json").write_text(json.dumps(about))


def _pictures(recipe: Recipe, source: Path) -> Iterator[av.VideoFrame]:
    """The source's pictures, cropped and scaled to the recipe, as many as the recipe lasts."""
    import av

    x, y, width, height = recipe.crop
    wanted = recipe.seconds * recipe.fps
    with av.open(str(source)) as footage:
        graph = av.filter.Graph()
        entry = graph.add_buffer(template=footage.streams.video[0])
        crop = graph.add("crop", f"{width}:{height}:{x}:{y}")
        scale = graph.add("scale", f"{recipe.width}:{recipe.height}")
        pixels = graph.add("format", "yuv420p")
        sink = graph.add("buffersink")
        graph.link_nodes(entry, crop, scale, pixels, sink).configure()
        given = 0
        for number, picture in enumerate(footage.decode(video=0)):
            if number < recipe.first_frame:
                continue
            graph.vpush(picture)
            yield graph.vpull()
            given += 1
            if given == wanted:
                return
    raise RuntimeError(f"{recipe.name}: the footage ends after {given} of {wanted} frames")


def _write_jpeg(picture: av.VideoFrame, path: Path) -> None:
    import av

    with av.open(str(path), "w", format="mjpeg") as container:
        stream = container.add_stream("mjpeg", rate=1)
        stream.width, stream.height, stream.pix_fmt = picture.width, picture.height, "yuvj420p"
        container.mux(stream.encode(picture.reformat(format="yuvj420p")))
        container.mux(stream.encode(None))


def source_footage(progress: Progress = lambda _: None) -> Path:
    """vtest.avi: of the installed package, else of the cache, else unpacked from a download of the
    package."""
    installed = Path("/") / SOURCE_FILE
    if installed.exists():
        return installed
    kept = cache_folder() / "source" / Path(SOURCE_FILE).name
    if kept.exists():
        return kept
    progress(f"footage: fetching Debian's {SOURCE_PACKAGE} (96 MB, once)")
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=kept.parent) as work:
        _run(["apt-get", "download", SOURCE_PACKAGE], cwd=work)
        (package,) = Path(work).glob("*.deb")
        _run(["dpkg-deb", "--extract", str(package), work], cwd=work)
        (Path(work) / SOURCE_FILE).rename(kept)
    return kept


def _run(command: list[str], cwd: str) -> None:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(
            f"{' '.join(command)} failed: {done.stderr.strip() or done.stdout.strip()}"
        )


def main() -> None:
    """Make every clip, or those named on the command line, and print where they are."""
    for name in sys.argv[1:] or RECIPES:
        folder = prepare(
            RECIPES[name], progress=lambda line: print(line, file=sys.stderr, flush=True)
        )
        print(folder)


if __name__ == "__main__":
    main()
