# SPDX-License-Identifier: Apache-2.0
"""Real CCTV footage as a camera with a fault of its picture would send it, in virtual time.

The footage of footage.py at its true pace (`vtest.avi`: ten frames a second for 79 s), seen through
a smaller window so that a camera can be turned, with fresh sensor noise in every frame, harmed,
darkened, encoded by x264 or x265. What comes out are access units as a source hands them to its
sinks, one GOP each two seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from camera_simulator.clips import Codec as ClipCodec
from camera_simulator.clips import group_access_units, is_parameter_set, split_annex_b
from camera_simulator.footage import source_footage
from camfleet_worker.media_types.access_unit import AccessUnit, Codec, VideoFormat

SOURCE_FPS = 10
FPS = 5
GOP_S = 2
WINDOW = (100, 130, 560, 316)
"""x, y, width and height of what the camera sees of the source's 768 by 576."""

Yuv = NDArray[np.uint8]
Harm = Callable[[Yuv, int], Yuv]
"""Luma and chroma of one frame (rows of yuv420p, and how many of them are luma)."""


@dataclass(frozen=True)
class Scene:
    """How the pictures come to be. The fault, if any, begins with frame `since`."""

    width: int = 640
    height: int = 360
    codec: ClipCodec = "h264"
    kbps: int = 800
    light: float = 1.0
    noise: float = 2.0
    first_frame: int = 0
    """Of the footage."""
    still: bool = False
    """Nobody moves: one frame of the footage, with fresh noise."""
    harm: str = ""
    turned: tuple[int, int] = (0, 0)
    """By how many pixels of the source the camera is turned; it takes a second."""
    frozen: bool = False
    """One frame is repeated, noise and all."""
    since: int = 0
    seed: int = 1


def black(yuv: Yuv, luma_rows: int) -> Yuv:
    """A covered sensor, or a dead one."""
    yuv[:luma_rows] = 17
    yuv[luma_rows:] = 128
    return yuv


def overexposed(yuv: Yuv, luma_rows: int) -> Yuv:
    """The iris stands open."""
    yuv[:luma_rows] = np.clip(yuv[:luma_rows].astype(np.int16) * 0.3 + 215, 16, 235)
    return yuv


def covered(yuv: Yuv, luma_rows: int) -> Yuv:
    """A hand or a bag close before the lens: light comes through, shapes do not."""
    width = yuv.shape[1]
    shade = 40 + 20 * np.linspace(0, 1, width)[None, :] + 8 * np.linspace(0, 1, luma_rows)[:, None]
    yuv[:luma_rows] = shade
    yuv[luma_rows:] = 135
    return yuv


def blurred(yuv: Yuv, luma_rows: int) -> Yuv:
    """Out of focus, or grease on the glass: a box of some twelve pixels of 720p, three times."""
    luma = yuv[:luma_rows].astype(np.float32)
    size = max(3, yuv.shape[1] // 100) | 1
    for axis in (0, 1, 0, 1, 0, 1):
        luma = _box(luma, size, axis)
    yuv[:luma_rows] = luma
    return yuv


def _box(luma: NDArray[np.float32], size: int, axis: int) -> NDArray[np.float32]:
    pad = [(0, 0), (0, 0)]
    pad[axis] = (size // 2 + 1, size // 2)
    summed = np.pad(luma, pad, mode="edge").cumsum(axis=axis, dtype=np.float64)
    upper = np.take(summed, range(size, summed.shape[axis]), axis=axis)
    lower = np.take(summed, range(summed.shape[axis] - size), axis=axis)
    mean: NDArray[np.float32] = ((upper - lower) / size).astype(np.float32)
    return mean


HARMS: dict[str, Harm] = {
    "black": black,
    "overexposed": overexposed,
    "covered": covered,
    "blurred": blurred,
}


def access_units_of(scene: Scene, seconds: float, start_s: float = 0.0) -> list[AccessUnit]:
    """The scene, encoded; the first picture arrives at `start_s`."""
    units = islice(_encoded(scene, int(seconds * FPS)), int(seconds * FPS))
    return [
        AccessUnit(unit.data, unit.key, n * 90_000 // FPS, start_s + n / FPS, start_s, unit.format)
        for n, unit in enumerate(units)
    ]


def _encoded(scene: Scene, frames: int) -> Iterator[AccessUnit]:
    stream: Any = av.CodecContext.create("libx264" if scene.codec == "h264" else "libx265", "w")
    stream.width, stream.height, stream.pix_fmt = scene.width, scene.height, "yuv420p"
    stream.time_base, stream.framerate = Fraction(1, FPS), Fraction(FPS)
    stream.gop_size, stream.thread_count = FPS * GOP_S, 1
    name = "x264-params" if scene.codec == "h264" else "x265-params"
    quiet = "" if scene.codec == "h264" else ":info=0:log-level=error:frame-threads=1:pools=1"
    # Variable rate with a ceiling, as cameras have it by default.
    rate = f":crf=26:vbv-maxrate={scene.kbps}:vbv-bufsize={scene.kbps}"
    stream.options = {
        "preset": "veryfast",
        name: "bframes=0:scenecut=0:open-gop=0:repeat-headers=1:rc-lookahead=0" + rate + quiet,
    }
    video: VideoFormat | None = None
    for picture in (*islice(_pictures(scene), frames), None):
        for packet in stream.encode(picture):
            for unit in group_access_units(split_annex_b(bytes(packet)), scene.codec):
                sets = tuple(u for u in unit.units if is_parameter_set(u, scene.codec))
                if sets and (video is None or video.parameter_sets != sets):
                    codec = Codec(scene.codec.upper())
                    video = VideoFormat(codec, sets, scene.width, scene.height)
                assert video is not None
                data = b"".join(
                    len(u).to_bytes(4, "big") + u
                    for u in unit.units
                    if not is_parameter_set(u, scene.codec)
                )
                yield AccessUnit(data, unit.key, 0, 0.0, 0.0, video)


def _pictures(scene: Scene) -> Iterator[av.VideoFrame]:
    """What the encoder is given."""
    noise = np.random.default_rng(scene.seed)
    held: Yuv | None = None
    for number, frame in enumerate(_footage(scene)):
        if held is None or not scene.frozen or number <= scene.since:
            held = _seen(scene, number, frame, noise)
        picture = av.VideoFrame.from_ndarray(held, "yuv420p")
        picture.pts, picture.time_base = number, Fraction(1, FPS)
        yield picture


def _seen(scene: Scene, number: int, frame: av.VideoFrame, noise: np.random.Generator) -> Yuv:
    """What the sensor makes of one frame of the source."""
    turned = min(1.0, max(0, number - scene.since) / FPS)
    right, down = (2 * round(turned * by / 2) for by in scene.turned)
    seen = _window(frame, right, down).reformat(scene.width, scene.height)
    yuv: Yuv = seen.to_ndarray().astype(np.uint8)
    rows = scene.height
    yuv[:rows] = (yuv[:rows].astype(np.float32) - 16) * scene.light + 16
    yuv[rows:] = (yuv[rows:].astype(np.float32) - 128) * scene.light + 128
    if scene.harm and number >= scene.since:
        yuv = HARMS[scene.harm](yuv, rows)
    luma = yuv[:rows] + noise.normal(0, scene.noise, (rows, scene.width)).astype(np.float32)
    yuv[:rows] = np.clip(luma, 16, 235)
    return yuv


def _window(frame: av.VideoFrame, right: int, down: int) -> av.VideoFrame:
    """The part of the source that the camera sees."""
    x, y, wide, high = WINDOW
    x, y = x + right, y + down
    planes = [
        np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)[
            y // sub : (y + high) // sub, x // sub : (x + wide) // sub
        ]
        for plane, sub in zip(frame.planes, (1, 2, 2), strict=True)
    ]
    seen = np.concatenate([plane.ravel() for plane in planes]).reshape(-1, wide)
    return av.VideoFrame.from_ndarray(seen, "yuv420p")


def _footage(scene: Scene) -> Iterator[av.VideoFrame]:
    """Frames of the source at our pace, in a circle without end."""
    step = SOURCE_FPS // FPS
    skip = scene.first_frame * step
    while True:
        with av.open(str(source_footage())) as footage:
            for number, frame in enumerate(footage.decode(video=0)):
                while number >= skip and (scene.still or (number - skip) % step == 0):
                    yield frame
                    if not scene.still:
                        break
        skip = 0


FAULTS = ("Black", "Overexposed", "Covered", "Blurred", "Moved", "Frozen")


def with_fault(scene: Scene, fault: str) -> Scene:
    """The scene with a fault from `since` on."""
    if fault == "Moved":
        return replace(scene, turned=(60, 20))
    if fault == "Frozen":
        return replace(scene, frozen=True)
    return replace(scene, harm=fault.lower())


def darkened(scene: Scene) -> Scene:
    """The same after dusk: a third of the light, more noise."""
    return replace(scene, light=0.3, noise=3.0)
