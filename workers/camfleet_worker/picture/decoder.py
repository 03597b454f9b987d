# SPDX-License-Identifier: Apache-2.0
"""Decodes one key frame into features and a snapshot; the only module that decodes with av.

Only the pool's threads call it. A decoder belongs to one thread and one codec and serves all
cameras, because each key frame brings its parameter sets and is decoded alone. A decoder that has
failed is thrown away. Nothing here judges a picture.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane

from camfleet_worker.media_types.access_unit import AccessUnit, Codec, VideoFormat
from camfleet_worker.media_types.codec_outputs import VIDEO_OUTPUTS
from camfleet_worker.picture.features import Features, Plane, features_of

SNAPSHOT_WIDTH = 640
SNAPSHOT_BYTES = 256 << 10
"""A snapshot of that width is always smaller; a larger one would be left out."""
MAX_PIXELS = 7680 * 4320
_EIGHT_BIT = {"yuv420p", "yuvj420p", "yuv422p", "yuvj422p", "yuv444p", "yuvj444p", "gray"}
_START_CODE = b"\0\0\0\1"


class NotDecodable(Exception):
    """The key frame gives no whole picture."""


@dataclass(frozen=True, slots=True)
class Result:
    """What one decoded picture gave."""

    features: Features
    jpeg: bytes


class KeyFrameDecoder:
    """Holds one decoder for each codec, made when it is first needed."""

    def __init__(self) -> None:
        self._contexts: dict[Codec, VideoCodecContext] = {}

    def decode(self, unit: AccessUnit) -> Result:
        """Decode a key frame; NotDecodable where that gives no whole picture."""
        frame = self._frame(unit)
        luma, *chroma = _planes(frame)
        return Result(features_of(luma, tuple(chroma)), _jpeg(frame))

    def _frame(self, unit: AccessUnit) -> VideoFrame:
        codec = unit.format.codec
        context = self._contexts.pop(codec, None) or _context(codec)
        try:
            frames = context.decode(av.Packet(_annex_b(unit))) + context.decode(None)
        except av.error.FFmpegError as error:
            raise NotDecodable(type(error).__name__) from error
        if len(frames) != 1 or frames[0].is_corrupt:
            raise NotDecodable(f"{len(frames)} pictures, or a damaged one")
        context.flush_buffers()
        self._contexts[codec] = context
        return frames[0]


def _context(codec: Codec) -> VideoCodecContext:
    """A decoder without threads of its own: the pool has threads, and more would only wait."""
    context = av.CodecContext.create(VIDEO_OUTPUTS[codec].ffmpeg_name, "r")
    assert isinstance(context, VideoCodecContext)
    context.thread_count = 1
    context.options = {"err_detect": "explode", "max_pixels": str(MAX_PIXELS)}
    return context


def _annex_b(unit: AccessUnit) -> bytes:
    """Parameter sets and picture as a byte stream (ITU-T H.264 and H.265 Annex B)."""
    return b"".join(_START_CODE + bytes(nal) for nal in _nal_units(unit.format, unit.data))


def _nal_units(video: VideoFormat, data: bytes) -> Iterator[bytes | memoryview]:
    yield from video.parameter_sets
    view, at = memoryview(data), 0
    while at + 4 <= len(view):
        length = int.from_bytes(view[at : at + 4], "big")
        yield view[at + 4 : at + 4 + length]
        at += 4 + length


def _planes(frame: VideoFrame) -> Iterator[Plane]:
    """Luma and chroma without a copy; a frame of another pixel format is converted first."""
    if frame.format.name not in _EIGHT_BIT:
        frame = frame.reformat(format="yuv420p")
    for plane in frame.planes:
        yield _pixels(plane)


def _pixels(plane: VideoPlane) -> Plane:
    lines: Plane = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
    return lines[: plane.height, : plane.width]


def _jpeg(frame: VideoFrame) -> bytes:
    """The picture as a JPEG of at most the snapshot's width; empty where it would be too large."""
    width = min(SNAPSHOT_WIDTH, frame.width) & ~1
    height = max(2, round(frame.height * width / frame.width) & ~1)
    picture = frame.reformat(width, height, "yuvj420p", interpolation="FAST_BILINEAR")
    encoder = av.CodecContext.create("mjpeg", "w")
    assert isinstance(encoder, VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuvj420p"
    encoder.time_base, encoder.thread_count = Fraction(1), 1
    picture.pts, picture.time_base = 0, encoder.time_base
    jpeg = b"".join(bytes(packet) for packet in (*encoder.encode(picture), *encoder.encode(None)))
    return jpeg if len(jpeg) <= SNAPSHOT_BYTES else b""
