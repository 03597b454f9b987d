# SPDX-License-Identifier: Apache-2.0
"""One playable MP4 out of the segments of an interval, nothing transcoded: a door to av.

The file begins with the last key frame at or before the interval, ends with the last picture in it,
and plays in the time of the recording: a gap between segments stays a gap, in which players hold
the last picture. Where the parameter sets change, the new ones travel in band before their first
picture, which decoders take; where the codec changes no single track can go on, and the next file
begins. Files appear under their names when they are complete.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.container import OutputContainer
from av.stream import Stream
from av.video.stream import VideoStream

from camfleet_worker.media.access_unit import Codec
from camfleet_worker.recordings.configuration_record import parameter_sets
from camfleet_worker.recordings.listing import Interval, RecordedSegment, time_text
from camfleet_worker.sinks.mp4 import CLOCK_RATE, TIME_BASE

_CODECS = {"h264": Codec.H264, "hevc": Codec.H265}
_US_TO_90K = Fraction(CLOCK_RATE, 1_000_000)


class ExportError(Exception):
    """Nothing could be exported; the text says why and is for people."""


@dataclass(frozen=True, slots=True)
class ExportedFile:
    """One file and the time of its first picture and after its last."""

    path: Path
    codec: Codec
    covers: Interval
    pictures: int


@dataclass(frozen=True, slots=True)
class _Format:
    codec: Codec
    record: bytes


@dataclass(slots=True)
class _Picture:
    packet: av.Packet[VideoStream]
    format: _Format
    template: VideoStream
    key: bool
    shown_us: int
    decoded_us: int
    duration_us: int


def export(
    segments: Iterable[RecordedSegment],
    wanted: Interval,
    path: Path,
    progress: Callable[[int], None] = lambda at_us: None,
) -> list[ExportedFile]:
    """Write an interval to `path`, and to `path` with -2, -3… where the codec changes.

    `progress` is told how far it has come, in microseconds since the epoch. Raises ExportError when
    no picture of the interval is there, OSError when the disk says no.
    """
    writer = _Writer(path)
    try:
        for picture in _within(_pictures(segments), wanted):
            writer.add(picture)
            progress(picture.shown_us)
        return writer.finish()
    except BaseException:
        writer.discard()
        raise


def _pictures(segments: Iterable[RecordedSegment]) -> Iterator[_Picture]:
    """Every picture of the segments in decoding order; a segment that is gone or torn has fewer."""
    for segment in segments:
        try:
            container = av.open(str(segment.path), "r")
        except (FileNotFoundError, av.error.InvalidDataError):
            continue  # retention was faster, or nothing of it was ever whole
        with container:
            stream = container.streams.video[0]
            seen = _Format(
                _CODECS[stream.codec_context.name], stream.codec_context.extradata or b""
            )
            for packet in container.demux(stream):
                whole = packet.size and not packet.is_corrupt  # a torn file ends within one
                if whole and packet.pts is not None and packet.dts is not None:
                    yield _picture(packet, seen, stream, segment.start_us)


def _picture(
    packet: av.Packet[VideoStream], seen: _Format, stream: VideoStream, segment_us: int
) -> _Picture:
    second = Fraction(stream.time_base or TIME_BASE) * 1_000_000
    assert packet.pts is not None
    assert packet.dts is not None
    return _Picture(
        packet=packet,
        format=seen,
        template=stream,
        key=packet.is_keyframe,
        shown_us=segment_us + round(packet.pts * second),
        decoded_us=segment_us + round(packet.dts * second),
        duration_us=round((packet.duration or 0) * second),
    )


def _within(pictures: Iterable[_Picture], wanted: Interval) -> Iterator[_Picture]:
    """From the last key frame at or before the start to the last picture shown before the end."""
    return _until(_from(pictures, wanted.start_us), wanted.end_us)


def _from(pictures: Iterable[_Picture], start_us: int) -> Iterator[_Picture]:
    held: list[_Picture] = []
    begun = False
    for picture in pictures:
        if not begun and picture.shown_us <= start_us:
            if picture.key:
                held.clear()
            if picture.key or held:
                held.append(picture)
            continue
        if not begun:
            begun = True
            yield from held
        yield picture
    if not begun:
        yield from held


def _until(pictures: Iterable[_Picture], end_us: int) -> Iterator[_Picture]:
    """Without those shown later, but for the ones that B-frames shown earlier refer to."""
    later: list[_Picture] = []
    for picture in pictures:
        if picture.decoded_us >= end_us:
            return
        later.append(picture)
        if picture.shown_us < end_us:
            yield from later
            later.clear()


class _Writer:
    """Pictures in, files out."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._files: list[ExportedFile] = []
        self._open: _OpenFile | None = None

    def add(self, picture: _Picture) -> None:
        if self._open is not None and self._open.format.codec is not picture.format.codec:
            self._close()
        if self._open is None:
            if not picture.key:
                return
            self._open = _OpenFile(self._next_path(), picture)
        self._open.add(picture)

    def finish(self) -> list[ExportedFile]:
        self._close()
        if not self._files:
            raise ExportError("No picture of this camera is recorded in the interval.")
        return self._files

    def discard(self) -> None:
        """Leave nothing half-written behind; files that are complete stay."""
        if self._open is not None:
            self._open.discard()

    def _close(self) -> None:
        if self._open is not None:
            self._files.append(self._open.finish())
            self._open = None

    def _next_path(self) -> Path:
        if not self._files:
            return self._path
        return self._path.with_stem(f"{self._path.stem}-{len(self._files) + 1}")


class _OpenFile:
    def __init__(self, path: Path, first: _Picture) -> None:
        self.format = first.format
        self._in_force = first.format
        self._path = path
        self._partial = path.with_name(f".{path.name}.partial")
        self._start_us = self._end_us = first.shown_us
        self._last_dts: int | None = None
        self._pictures = 0
        self._container: OutputContainer = av.open(
            str(self._partial), "w", format="mp4", options={"movflags": "faststart"}
        )
        # What players show as the time of the recording (ISO/IEC 14496-12 section 8.2.2).
        self._container.metadata["creation_time"] = time_text(first.shown_us)
        self._stream = self._container.add_stream_from_template(first.template)
        if first.format.codec is Codec.H265:
            self._stream.codec_context.codec_tag = "hvc1"
        self._stream.time_base = TIME_BASE

    def add(self, picture: _Picture) -> None:
        packet = self._packet(picture)
        dts = self._in_file(picture.decoded_us)
        # Times of two segments may meet within a tick.
        self._last_dts = dts if self._last_dts is None else max(dts, self._last_dts + 1)
        packet.stream = self._stream
        packet.time_base = TIME_BASE
        packet.dts = self._last_dts
        packet.pts = max(self._in_file(picture.shown_us), self._last_dts)
        packet.duration = int(picture.duration_us * _US_TO_90K)
        packet.is_keyframe = picture.key
        self._container.mux(packet)
        self._pictures += 1
        self._end_us = max(self._end_us, picture.shown_us + picture.duration_us)

    def finish(self) -> ExportedFile:
        self._container.close()
        self._partial.replace(self._path)
        covers = Interval(self._start_us, self._end_us)
        return ExportedFile(self._path, self.format.codec, covers, self._pictures)

    def discard(self) -> None:
        self._container.close()
        self._partial.unlink(missing_ok=True)

    def _packet(self, picture: _Picture) -> av.Packet[Stream]:
        """The picture as it is, or behind the parameter sets that are new with it."""
        data = bytes(picture.packet)
        if picture.key and picture.format != self._in_force:
            self._in_force = picture.format
            units = parameter_sets(picture.format.codec, picture.format.record) or ()
            data = b"".join(len(unit).to_bytes(4, "big") + unit for unit in units) + data
        return av.Packet(data)

    def _in_file(self, at_us: int) -> int:
        return round((at_us - self._start_us) * _US_TO_90K)
