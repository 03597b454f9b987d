# SPDX-License-Identifier: Apache-2.0
"""Fragmented MP4 out of access units: the door to av for muxing.

Called by the recording sink, and for the template by the RTMP relay. No encoder is involved: the
bytes of every access unit pass unchanged. Files are not its business: it hands out whole fragments
as bytes (ISO/IEC 14496-12 section 8.8), each playable with the header before it, so that a torn
file loses at most its last fragment.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO, NamedTuple

import av
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

from camfleet_worker.media.access_unit import Codec, VideoFormat
from camfleet_worker.media.audio_unit import AudioFormat, AudioUnit
from camfleet_worker.sinks.boxes import samples_by_track, with_edit_list
from camfleet_worker.sinks.sink import Units

CLOCK_RATE = 90_000
TIME_BASE = Fraction(1, CLOCK_RATE)
_CODEC_NAMES = {Codec.H264: "h264", Codec.H265: "hevc"}
_START_CODE = b"\0\0\0\1"

_BUFFER_BYTES = 1 << 20
"""The muxer writes once per fragment with this buffer, some fifteen times with the default one. It
is reserved, not touched: pages that no fragment needs cost no memory."""
_FRAGMENT_US = 1_000_000
"""A fragment ends at a key frame or after one second, whichever comes first."""
_OPTIONS = {
    # With frag_discont and use_editlist a track that begins late does so in the file, too; with
    # less its first unit is moved to the beginning. The muxer then counts on an edit list, which
    # it cannot write into an empty MovieBox: where one is needed, we do.
    "movflags": "frag_keyframe+empty_moov+default_base_moof+frag_discont",
    "use_editlist": "1",
    "frag_duration": str(_FRAGMENT_US),
    # Never wait for the other track: one that falls silent would hold back the pictures for 10 s
    # (0 means for ever). In microseconds.
    "max_interleave_delta": "1",
}
_VIDEO_TRACK, _SOUND_TRACK = 1, 2
_AAC_SAMPLES = 1024
"""Of a unit with none after it; else the time of the next one says how long it lasts."""


class Written:
    """What the muxer writes to: chunks of one mux call, taken together as one fragment."""

    def __init__(self) -> None:
        self._chunks: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._chunks.append(data)
        return len(data)

    def take(self) -> bytes:
        chunks, self._chunks = self._chunks, []
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)


class Muxed(NamedTuple):
    """What is ready to be written: whole fragments, and what stands in them. Often nothing."""

    data: bytes
    units: Units


class Mp4Segment:
    """One fragmented MP4 being written; its first picture is shown at 0."""

    def __init__(
        self, video: VideoFormat, first_offset_90k: int = 0, sound: AudioFormat | None = None
    ) -> None:
        """`first_offset_90k`: the first picture's composition offset. `sound`: AAC, announced as
        a second track whether or not any comes."""
        self._first_pts: int | None = None
        self._written = Written()
        self._container: OutputContainer = av.open(
            self._written,
            "w",
            format="mp4",
            buffer_size=_BUFFER_BYTES,
            options=_OPTIONS,
        )
        with format_template(video) as template:
            self._stream = self._container.add_stream_from_template(template)
        if video.codec is Codec.H265:
            # Parameter sets out of band (ISO/IEC 14496-15): Apple's players refuse hev1.
            self._stream.codec_context.codec_tag = "hvc1"
        self._stream.time_base = TIME_BASE
        self._sound = None if sound is None else SoundTrack(self._container, sound)
        self._container.start_encoding()
        self._header = self._written.take()
        if first_offset_90k:
            # Where decoding begins before the first picture is shown, an edit list says so.
            # Rejected: delay_moov, by which the muxer writes it, but only after a unit of every
            # track, and sound may never come; negative offsets, which need no edit list, but
            # FFmpeg's demuxer shows such fragments late.
            self._header = with_edit_list(self._header, first_offset_90k)

    def add(self, data: bytes, pts_90k: int, dts_90k: int, duration_90k: int, key: bool) -> Muxed:
        """Add one access unit; answers what is ready to be written.

        The duration is the one between decoding times, which MP4 counts.
        """
        if self._first_pts is None:
            self._first_pts = pts_90k
        packet = av.Packet(data)
        packet.stream = self._stream
        packet.time_base = TIME_BASE
        packet.pts, packet.dts = pts_90k - self._first_pts, dts_90k - self._first_pts
        packet.duration = duration_90k
        packet.is_keyframe = key
        self._container.mux(packet)
        return self._ready()

    def add_sound(self, unit: AudioUnit) -> Muxed:
        """Add one unit of sound in the announced format, not before the first picture."""
        assert self._sound is not None
        assert self._first_pts is not None
        self._container.mux(self._sound.packet(unit.data, unit.pts_90k - self._first_pts))
        return self._ready()

    def finish(self) -> Muxed:
        """The last fragment and the MovieFragmentRandomAccessBox that the annex asks for."""
        self._container.close()
        return self._ready()

    def _ready(self) -> Muxed:
        written = self._written.take()
        # Counted in what the muxer wrote: it alone knows what it held back.
        counted = samples_by_track(written) if written else {}
        header, self._header = self._header, b""
        units = Units(counted.get(_VIDEO_TRACK, 0), counted.get(_SOUND_TRACK, 0))
        return Muxed(header + written, units)


class SoundTrack:
    """The AAC track of a container: packets with times by its own clock."""

    def __init__(self, container: OutputContainer, sound: AudioFormat) -> None:
        self._clock_hz = sound.clock_hz
        self._last = -1
        with aac_template(sound) as template:
            self._stream = container.add_stream_from_template(template)
        self._stream.codec_context.sample_rate = sound.clock_hz
        self._stream.codec_context.layout = f"{sound.channels}c"
        self._stream.time_base = Fraction(1, sound.clock_hz)

    def packet(self, data: bytes, at_90k: int) -> Packet[Stream]:
        """One unit that is heard so long after the container's beginning."""
        # Rounded: what was scaled up to 1/90000 s must be the sample it was.
        at = (at_90k * self._clock_hz + CLOCK_RATE // 2) // CLOCK_RATE
        self._last = max(at, self._last + 1)
        packet = av.Packet(data)
        packet.stream = self._stream
        packet.time_base = Fraction(1, self._clock_hz)
        packet.pts = packet.dts = self._last
        packet.duration = _AAC_SAMPLES
        packet.is_keyframe = True
        return packet


@contextmanager
def format_template(video: VideoFormat) -> Iterator[VideoStream]:
    """A stream that carries the format's extradata (avcC or hvcC), made without an encoder.

    The muxer builds the configuration record from parameter sets in Annex B form; read back from
    memory, its stream is what `add_stream_from_template` wants.
    """
    memory = io.BytesIO()
    with av.open(memory, "w", format="mp4") as container:
        stream = container.add_mux_stream(
            _CODEC_NAMES[video.codec], width=video.width, height=video.height
        )
        packet = av.Packet(b"".join(_START_CODE + unit for unit in video.parameter_sets))
        packet.stream = stream
        packet.time_base = TIME_BASE
        packet.pts = packet.dts = 0
        packet.is_keyframe = True
        container.mux(packet)
    memory.seek(0)
    with av.open(memory, "r") as made:
        yield made.streams.video[0]


@contextmanager
def aac_template(sound: AudioFormat) -> Iterator[AudioStream]:
    """A stream that carries the AudioSpecificConfig, made without an encoder.

    Read back from an FLV of one tag, the plainest container that holds it as it is (FLV
    specification 10.1 annex E.4.2). Rate and channels are not read from it.
    """
    tag = b"\xaf\0" + sound.config
    head = b"\x08" + len(tag).to_bytes(3, "big") + bytes(7)
    flv = b"FLV\1\4\0\0\0\x09" + bytes(4) + head + tag + (len(head) + len(tag)).to_bytes(4, "big")
    with av.open(io.BytesIO(flv), "r", format="flv") as made:
        yield made.streams.audio[0]


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
