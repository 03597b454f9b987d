# SPDX-License-Identifier: Apache-2.0
"""Exports the segments of an interval as one playable MP4, by av and without transcoding.

The file begins with the last key frame at or before the interval, ends with the last access unit in
it, and plays in the time of the recording: a gap between segments stays a gap, in which players
show the last picture. Where the parameter sets change, the new ones are in band before their first
access unit, which decoders accept; where the codec changes, no track can go on, and the next file
begins. Files appear under their names when they are complete.

Audio is in a second track where any is recorded, and the track is silent where none is; another
audio format counts as another codec. Access units and audio of a segment are read in parallel, each
in its own order, because a fragment has one after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

from camfleet_worker.containers.codec_template import CLOCK_RATE, TIME_BASE
from camfleet_worker.containers.configuration_record import (
    begins_with_parameter_set,
    parameter_sets,
)
from camfleet_worker.containers.mp4 import AacTrack
from camfleet_worker.media_types.access_unit import Codec, length_prefixed
from camfleet_worker.media_types.audio_unit import AudioCodec, AudioFormat
from camfleet_worker.media_types.codec_outputs import VIDEO_OUTPUTS
from camfleet_worker.recordings.listing import Interval, RecordedSegment, time_text

_CODECS = {outputs.ffmpeg_name: codec for codec, outputs in VIDEO_OUTPUTS.items()}
_US_TO_90K = Fraction(CLOCK_RATE, 1_000_000)


class ExportError(Exception):
    """Nothing could be exported; the text gives the reason for a person."""


@dataclass(frozen=True, slots=True)
class ExportedFile:
    """One file, the time of its first access unit and the time after its last."""

    path: Path
    codec: Codec
    covers: Interval
    pictures: int
    audio_units: int = 0


@dataclass(frozen=True, slots=True)
class _Format:
    codec: Codec
    record: bytes


@dataclass(slots=True)
class _Picture:
    packet: Packet[VideoStream]
    format: _Format
    template: VideoStream
    key: bool
    shown_us: int
    decoded_us: int
    duration_us: int
    audio: AudioFormat | None
    """The format of audio that its track announces, with or without audio units."""


@dataclass(frozen=True, slots=True)
class _RecordedUnit:
    data: bytes
    format: AudioFormat
    at_us: int


def export(
    segments: Sequence[RecordedSegment],
    wanted: Interval,
    path: Path,
    progress: Callable[[int], None] = lambda at_us: None,
) -> list[ExportedFile]:
    """Write an interval to `path`, and to `path` with -2, -3… where the codec changes.

    `progress` is called with how far it has come, in microseconds since the epoch. Raises
    ExportError where no access unit of the interval is there, OSError where the disk fails.
    """
    writer = _Writer(path, _AudioUnits(segments))
    try:
        for picture in _within(_pictures(segments), wanted):
            writer.add(picture)
            progress(picture.shown_us)
        return writer.finish()
    except BaseException:
        writer.discard()
        raise


def _pictures(segments: Iterable[RecordedSegment]) -> Iterator[_Picture]:
    """Every access unit of the segments in decoding order; a lost or torn segment has fewer."""
    for segment in segments:
        with _opened(segment) as container:
            if container is None:
                continue
            stream = container.streams.video[0]
            seen = _Format(
                _CODECS[stream.codec_context.name], stream.codec_context.extradata or b""
            )
            audio = _audio_format(container)
            for packet in filter(_is_whole, container.demux(stream)):
                yield _picture(packet, seen, stream, segment.start_us, audio)


def _audio_of(segments: Iterable[RecordedSegment]) -> Iterator[_RecordedUnit]:
    """All audio of the segments in the order of its times."""
    for segment in segments:
        with _opened(segment) as container:
            audio = None if container is None else _audio_format(container)
            if container is None or audio is None:
                continue
            stream = container.streams.audio[0]
            second = Fraction(stream.time_base or 1) * 1_000_000
            for packet in filter(_is_whole, container.demux(stream)):
                at_us = segment.start_us + round((packet.pts or 0) * second)
                yield _RecordedUnit(bytes(packet), audio, at_us)


@contextmanager
def _opened(segment: RecordedSegment) -> Iterator[InputContainer | None]:
    """The open file; None where retention has deleted it, or it has no whole fragment."""
    try:
        container = av.open(str(segment.path), "r")
    except (FileNotFoundError, av.error.InvalidDataError):
        yield None
        return
    with container:
        yield container


def _is_whole(packet: Packet[Any]) -> bool:
    """Whether the packet is whole; a torn file ends within one."""
    timed = packet.pts is not None and packet.dts is not None
    return bool(packet.size) and timed and not packet.is_corrupt


def _audio_format(container: InputContainer) -> AudioFormat | None:
    for stream in container.streams.audio:
        context = stream.codec_context
        config = context.extradata or b""
        return AudioFormat(AudioCodec.AAC, context.sample_rate, context.channels, config)
    return None


def _picture(
    packet: Packet[VideoStream],
    seen: _Format,
    stream: VideoStream,
    segment_us: int,
    audio: AudioFormat | None,
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
        audio=audio,
    )


def _within(pictures: Iterable[_Picture], wanted: Interval) -> Iterator[_Picture]:
    """From the last key frame at or before the start to the last access unit before the end."""
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
    """Without those shown later, except the ones to which B-frames shown earlier refer."""
    later: list[_Picture] = []
    for picture in pictures:
        if picture.decoded_us >= end_us:
            return
        later.append(picture)
        if picture.shown_us < end_us:
            yield from later
            later.clear()


class _AudioUnits:
    """The audio of all segments, read as the access units go on."""

    def __init__(self, segments: Sequence[RecordedSegment]) -> None:
        self._segments = segments
        self._rest = _audio_of(segments)
        self._next = next(self._rest, None)

    def format_at(self, picture: _Picture) -> AudioFormat | None:
        """The format that a file from here announces: of audio beside it, or the first after."""
        if picture.audio is not None:
            return picture.audio
        while self._next is not None and self._next.at_us < picture.shown_us:
            self._next = next(self._rest, None)
        return None if self._next is None else self._next.format

    def until(self, at_us: int) -> Iterator[_RecordedUnit]:
        """The audio units before this moment."""
        while self._next is not None and self._next.at_us < at_us:
            yield self._next
            self._next = next(self._rest, None)


class _Writer:
    """Writes access units and audio to files."""

    def __init__(self, path: Path, audio_units: _AudioUnits) -> None:
        self._path = path
        self._audio_units = audio_units
        self._files: list[ExportedFile] = []
        self._open: _OpenFile | None = None

    def add(self, picture: _Picture) -> None:
        if self._open is not None and not self._open.takes(picture):
            self._close()
        if self._open is None:
            if not picture.key:
                return
            audio = self._audio_units.format_at(picture)
            self._open = _OpenFile(self._next_path(), picture, audio)
        for unit in self._audio_units.until(picture.decoded_us):
            self._open.add_audio(unit)
        self._open.add(picture)

    def finish(self) -> list[ExportedFile]:
        self._close()
        if not self._files:
            raise ExportError("No picture of this camera is recorded in the interval.")
        return self._files

    def discard(self) -> None:
        """Remove the incomplete file; complete files stay."""
        if self._open is not None:
            self._open.discard()

    def _close(self) -> None:
        if self._open is not None:
            for unit in self._audio_units.until(self._open.end_us):
                self._open.add_audio(unit)
            self._files.append(self._open.finish())
            self._open = None

    def _next_path(self) -> Path:
        if not self._files:
            return self._path
        return self._path.with_stem(f"{self._path.stem}-{len(self._files) + 1}")


class _OpenFile:
    def __init__(self, path: Path, first: _Picture, audio: AudioFormat | None) -> None:
        self.format = first.format
        self.end_us = first.shown_us
        self._in_force: _Format | None = first.format
        """None behind parameter sets in band, which a recording has where they change often."""
        self._path = path
        self._partial = path.with_name(f".{path.name}.partial")
        self._start_us = first.shown_us
        self._last_dts: int | None = None
        self._pictures = 0
        self._audio_units = 0
        self._audio_format = audio
        self._container: OutputContainer = av.open(
            str(self._partial), "w", format="mp4", options={"movflags": "faststart"}
        )
        # Players show this as the time of the recording (ISO/IEC 14496-12 section 8.2.2).
        self._container.metadata["creation_time"] = time_text(first.shown_us)
        self._stream = self._container.add_stream_from_template(first.template)
        self._stream.codec_context.codec_tag = VIDEO_OUTPUTS[first.format.codec].sample_entry
        self._stream.time_base = TIME_BASE
        self._audio = None if audio is None else AacTrack(self._container, audio)

    def takes(self, picture: _Picture) -> bool:
        """Whether its tracks fit this access unit and the audio beside it."""
        both_audio = picture.audio is not None and self._audio_format is not None
        same_audio = not both_audio or picture.audio == self._audio_format
        return self.format.codec is picture.format.codec and same_audio

    def add_audio(self, unit: _RecordedUnit) -> None:
        """Add a unit of the announced format that is not before the first access unit."""
        at_90k = self._in_file(unit.at_us)
        if self._audio is not None and unit.format == self._audio_format and at_90k >= 0:
            self._container.mux(self._audio.packet(unit.data, at_90k))
            self._audio_units += 1

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
        self.end_us = max(self.end_us, picture.shown_us + picture.duration_us)

    def finish(self) -> ExportedFile:
        self._container.close()
        self._partial.replace(self._path)
        covers = Interval(self._start_us, self.end_us)
        return ExportedFile(
            self._path, self.format.codec, covers, self._pictures, self._audio_units
        )

    def discard(self) -> None:
        self._container.close()
        self._partial.unlink(missing_ok=True)

    def _packet(self, picture: _Picture) -> av.Packet[Stream]:
        """The access unit unchanged, or with new parameter sets before it."""
        data = bytes(picture.packet)
        if begins_with_parameter_set(data, picture.format.codec):
            self._in_force = None
        elif picture.key and picture.format != self._in_force:
            self._in_force = picture.format
            units = parameter_sets(picture.format.codec, picture.format.record) or ()
            data = length_prefixed(units) + data
        return av.Packet(data)

    def _in_file(self, at_us: int) -> int:
        return round((at_us - self._start_us) * _US_TO_90K)
