# SPDX-License-Identifier: Apache-2.0
"""Fragmented MP4 out of access units: the door to av for muxing.

Called by the recording sink, and for the template by the RTMP relay. av makes the header, fragments
are fragment.py's. No encoder is involved: the bytes of every access unit pass unchanged. Files are
not its business: it hands out whole fragments, each playable with the header before it, so that a
torn file loses at most its last fragment.

Compiled by mypyc (workers/compile_media.py): no attribute may be added from outside, none may be of
another type than declared, and nothing may be set on the class by a test.
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO, NamedTuple

import av
from av.container import OutputContainer
from av.packet import Packet
from av.stream import Stream

from camfleet_worker.containers.boxes import with_edit_list
from camfleet_worker.containers.codec_template import (
    CLOCK_RATE,
    TIME_BASE,
    Written,
    aac_template,
    format_template,
)
from camfleet_worker.containers.fragment import (
    AccessUnitSamples,
    AudioSamples,
    Octets,
    fragment,
    random_access,
)
from camfleet_worker.media_types.access_unit import VideoFormat
from camfleet_worker.media_types.audio_unit import AudioFormat, AudioUnit
from camfleet_worker.media_types.codec_outputs import VIDEO_OUTPUTS
from camfleet_worker.media_types.sink_state import Units

_FRAGMENT_90K = CLOCK_RATE
"""A fragment ends at a key frame or after one second, whichever comes first."""
_HEADER_OPTIONS = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
_HEADERS_KEPT = 1024
"""A camera's next segment mostly has the header of the last one."""
_AAC_SAMPLES = 1024
"""How long the last audio unit lasts; any other lasts until the next one begins."""


class Muxed(NamedTuple):
    """What is ready to be written: whole fragments, and what stands in them. Often nothing."""

    octets: Octets
    units: Units


NOTHING = Muxed(Octets([]), Units(0, 0))


class Mp4Segment:
    """One fragmented MP4 being written; its first access unit is shown at 0."""

    def __init__(
        self, video: VideoFormat, first_offset_90k: int = 0, audio: AudioFormat | None = None
    ) -> None:
        """`first_offset_90k`: the composition offset of the first access unit. `audio`: AAC,
        announced as a second track whether or not any comes."""
        self._header = header(video, first_offset_90k, audio)
        self._samples = None if audio is None else SampleClock(audio.clock_hz)
        self._access_units, self._audio_units = AccessUnitSamples(), AudioSamples()
        self._first_pts: int | None = None
        self._first_dts = 0
        self._fragments = 0
        self._written = 0
        self._key_shown: int | None = None
        """When the key frame is shown that the fragment under construction begins with."""
        self._key_fragments: list[tuple[int, int]] = []

    def add(self, data: bytes, pts_90k: int, dts_90k: int, duration_90k: int, key: bool) -> Muxed:
        """Add one access unit; answers what is ready to be written.

        The duration is the one between decoding times, which MP4 counts.
        """
        video, ready = self._access_units, NOTHING
        if self._first_pts is None:
            self._first_pts, self._first_dts = pts_90k, dts_90k
        dts = dts_90k - self._first_dts
        if video.count and (key or dts - video.begin >= _FRAGMENT_90K):
            ready = self._fragment()
        if not video.count and key:
            self._key_shown = pts_90k - self._first_dts
        video.add_access_unit(data, dts, duration_90k, key, pts_90k - dts_90k)
        return ready

    def add_audio(self, unit: AudioUnit) -> None:
        """Add one audio unit in the announced format, not before the first access unit."""
        assert self._samples is not None
        assert self._first_pts is not None
        at = self._samples.at(unit.pts_90k - self._first_pts)
        self._audio_units.add_unit(unit.data, at, _AAC_SAMPLES)

    @property
    def waiting(self) -> Units:
        """What was added and is not ready yet."""
        return Units(self._access_units.count, self._audio_units.count)

    def finish(self) -> Muxed:
        """The last fragment and the MovieFragmentRandomAccessBox that the annex asks for."""
        last = self._fragment() if any(self.waiting) else NOTHING
        index = random_access(self._key_fragments)
        return Muxed(Octets([*last.octets.parts, index]), last.units)

    def _fragment(self) -> Muxed:
        units = self.waiting
        header, self._header = self._header, b""
        self._written += len(header)
        if self._key_shown is not None:
            self._key_fragments.append((self._key_shown, self._written))
            self._key_shown = None
        self._fragments += 1
        octets = Octets(fragment(self._fragments, [self._access_units, self._audio_units]))
        self._written += len(octets)
        return Muxed(Octets([header, *octets.parts]) if header else octets, units)


@lru_cache(_HEADERS_KEPT)
def header(video: VideoFormat, first_offset_90k: int, audio: AudioFormat | None) -> bytes:
    """FileTypeBox and MovieBox, by av: the video is the first track, counted in 1/90000 s, audio
    is the second, counted in its samples."""
    written = Written()
    with av.open(written, "w", format="mp4", options=_HEADER_OPTIONS) as container:
        with format_template(video) as template:
            stream = container.add_stream_from_template(template)
        stream.codec_context.codec_tag = VIDEO_OUTPUTS[video.codec].sample_entry
        stream.codec_context.width, stream.codec_context.height = video.width, video.height
        stream.time_base = TIME_BASE
        if audio is not None:
            AacTrack(container, audio)
        container.start_encoding()
        made = written.take()
    if first_offset_90k:
        # An edit list says that decoding begins before the first access unit is shown. Rejected:
        # negative offsets, which need none, but FFmpeg's demuxer shows such fragments late.
        return with_edit_list(made, first_offset_90k)
    return made


class SampleClock:
    """Times of audio in samples, from those in 1/90000 s; rising."""

    def __init__(self, clock_hz: int) -> None:
        self._clock_hz = clock_hz
        self._last = -1

    def at(self, at_90k: int) -> int:
        """The number of the sample that plays at this time, or the one after the last."""
        # Rounded: what was scaled up to 1/90000 s must be the sample it was.
        at = (at_90k * self._clock_hz + CLOCK_RATE // 2) // CLOCK_RATE
        self._last = max(at, self._last + 1)
        return self._last


class AacTrack:
    """The AAC track of a container: packets with times by its own clock."""

    def __init__(self, container: OutputContainer, audio: AudioFormat) -> None:
        self._samples = SampleClock(audio.clock_hz)
        with aac_template(audio) as template:
            self._stream = container.add_stream_from_template(template)
        self._stream.codec_context.sample_rate = audio.clock_hz
        self._stream.codec_context.layout = f"{audio.channels}c"
        self._time_base = self._stream.time_base = Fraction(1, audio.clock_hz)

    def packet(self, data: bytes, at_90k: int) -> Packet[Stream]:
        """Add one unit that plays so long after the container's beginning."""
        packet = av.Packet(data)
        packet.stream = self._stream
        packet.time_base = self._time_base
        packet.pts = packet.dts = self._samples.at(at_90k)
        packet.duration = _AAC_SAMPLES
        packet.is_keyframe = True
        return packet


def played_90k(path: Path) -> int:
    """How long the file plays, by its packets; 0 where it holds no whole fragment."""
    end = 0
    try:
        with av.open(str(path), "r") as container:
            for packet in container.demux(video=0):
                if packet.size and packet.pts is not None and packet.time_base is not None:
                    seconds = (packet.pts + (packet.duration or 0)) * packet.time_base
                    end = max(end, int(seconds * CLOCK_RATE))
    except av.error.InvalidDataError:
        return 0
    return end


def whole_boxes_bytes(file: BinaryIO, size: int) -> int:
    """Where the last whole fragment of a file of `size` bytes ends; 0 where there is none.

    A fragment is a MovieFragmentBox and the MediaDataBox after it.
    """
    at = good = 0
    while size - at >= 8:
        file.seek(at)
        head = file.read(16)
        length, kind = int.from_bytes(head[:4], "big"), head[4:8]
        if length == 1 and len(head) == 16:
            length = int.from_bytes(head[8:16], "big")
        if length < 8 or at + length > size:
            break
        at += length
        if kind == b"mdat":
            good = at
    return at if good and kind == b"mfra" and at <= size else good
