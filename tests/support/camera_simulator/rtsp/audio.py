# SPDX-License-Identifier: Apache-2.0
"""The audio of a replay camera: a sweeping tone, made once, in the codecs that cameras send.

G.711 is computed here; AAC and Opus are encoded by PyAV the first time a camera asks for them,
so a simulator without PyAV has G.711 alone. Every unit of the tone differs from every other, so a
receiver can be held to the exact sequence. Packets follow RFC 3551 (G.711), RFC 3640 (AAC) and
RFC 7587 (Opus).
"""

from __future__ import annotations

import functools
import itertools
import math
import secrets
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction

from camera_simulator.rtsp.packets import sender_report
from camera_simulator.settings import Audio, AudioPacking, CameraSettings

TRACK = "track2"
_REPORT_EVERY_S = 5.0
_FRAGMENTS = 3
_AGGREGATED = 4
_HOSTILE_EVERY = 3
_SECONDS = 2


@dataclass(frozen=True)
class AudioPacket:
    """One packet without its header; `units` is how many whole units end in it."""

    payload: bytes
    marker: bool
    ticks: int
    """Of its first unit, since the tone began."""
    units: int


@dataclass(frozen=True)
class AudioTrack:
    """A tone to be sent round and round, and the SDP that describes it."""

    payload_type: int
    clock_hz: int
    unit_ticks: int
    units: tuple[bytes, ...]
    packets: tuple[AudioPacket, ...]
    description: tuple[str, ...]
    config: bytes = b""
    """AudioSpecificConfig of AAC (ISO/IEC 14496-3 §1.6.2.1)."""

    @property
    def ticks(self) -> int:
        return self.unit_ticks * len(self.units)


@dataclass
class PlayedAudio:
    """The audio of one session. Times are of the event loop's clock."""

    track: AudioTrack
    rtp_channel: int
    rtcp_channel: int
    ssrc: int = field(default_factory=lambda: secrets.randbits(32))
    sequence: int = field(default_factory=lambda: secrets.randbits(16))
    base_timestamp: int = field(default_factory=lambda: secrets.randbits(32))
    packets_sent: int = 0
    packets_left_out: int = 0
    _began_s: float | None = None
    _next: int = 0
    _report_due_s: float = 0.0

    @property
    def packets_told(self) -> int:
        """Sent, without those left out."""
        return self.packets_sent - self.packets_left_out

    def due(self, now_s: float, settings: CameraSettings, unix_s: float) -> bytes:
        """Everything that should have been sent by now, as interleaved frames."""
        if self._began_s is None:
            self._began_s = self._report_due_s = now_s
        elapsed = int((now_s - self._began_s) * self.track.clock_hz)
        frames = bytearray()
        while (packet := self._packet())[1] <= elapsed:
            frames += self._framed(*packet, settings)
            self._next += 1
        if settings.sender_reports and now_s >= self._report_due_s:
            self._report_due_s = now_s + _REPORT_EVERY_S
            timestamp = self.base_timestamp + elapsed
            sent = self.packets_sent
            frames += sender_report(self.rtcp_channel, self.ssrc, unix_s, timestamp, sent, sent)
        return bytes(frames)

    def _packet(self) -> tuple[AudioPacket, int]:
        """The next one, and its ticks since PLAY."""
        rounds, place = divmod(self._next, len(self.track.packets))
        packet = self.track.packets[place]
        return packet, rounds * self.track.ticks + packet.ticks

    def _framed(self, packet: AudioPacket, ticks: int, settings: CameraSettings) -> bytes:
        number, self.sequence = self.sequence, self.sequence + 1 & 0xFFFF
        self.packets_sent += 1
        if settings.audio_loss and self.packets_sent % settings.audio_loss == 0:
            self.packets_left_out += 1
            return b""
        kind = self.track.payload_type | (0x80 if packet.marker else 0)
        timestamp = self.base_timestamp + ticks & 0xFFFFFFFF
        head = struct.pack("!BBHII", 0x80, kind, number, timestamp, self.ssrc)
        length = len(head) + len(packet.payload)
        return struct.pack("!sBH", b"$", self.rtp_channel, length) + head + packet.payload


@functools.cache
def audio_track(audio: Audio, packing: AudioPacking = "single") -> AudioTrack:
    """The tone in that codec, packed like that."""
    if audio in ("pcmu", "pcma"):
        return _g711(audio)
    if audio == "opus":
        _, units = _encoded("libopus", 48_000, "s16", 960)
        lines = ("a=rtpmap:97 opus/48000/2", "a=fmtp:97 sprop-stereo=0")
        return _track(97, 48_000, 960, units, _one_each(units, 960), lines)
    return _aac(audio, packing)


def _track(
    payload_type: int,
    clock_hz: int,
    unit_ticks: int,
    units: tuple[bytes, ...],
    packets: Iterator[AudioPacket],
    lines: tuple[str, ...],
    config: bytes = b"",
) -> AudioTrack:
    description = (f"m=audio 0 RTP/AVP {payload_type}", *lines, f"a=control:{TRACK}")
    return AudioTrack(
        payload_type, clock_hz, unit_ticks, units, tuple(packets), description, config
    )


def _one_each(units: tuple[bytes, ...], ticks: int) -> Iterator[AudioPacket]:
    for number, unit in enumerate(units):
        yield AudioPacket(unit, False, number * ticks, 1)


# G.711 (ITU-T G.711, by the folding of its tables that every codec uses).


def _g711(audio: Audio) -> AudioTrack:
    law = _mu_law if audio == "pcmu" else _a_law
    samples = bytes(law(value) for value in _tone(8000, 8000 * _SECONDS))
    units = tuple(samples[at : at + 160] for at in range(0, len(samples), 160))
    payload_type = 0 if audio == "pcmu" else 8
    return _track(payload_type, 8000, 160, units, _one_each(units, 160), ())


def _tone(rate: int, count: int) -> Iterator[int]:
    """A tone that rises, so that no stretch of it repeats; 16 bits."""
    for number in range(count):
        at = number / rate
        yield int(12_000 * math.sin(2 * math.pi * (300 * at + 150 * at * at)))


def _mu_law(value: int) -> int:
    sign, value = (0x80, -value) if value < 0 else (0, value)
    value = min(value, 32_635) + 132
    exponent = value.bit_length() - 8
    return ~(sign | exponent << 4 | value >> exponent + 3 & 0x0F) & 0xFF


def _a_law(value: int) -> int:
    sign, value = (0, -value - 1) if value < 0 else (0x80, value)
    value = min(value, 32_767)
    exponent = max(value.bit_length() - 8, 0)
    mantissa = value >> (exponent + 3 if exponent else 4) & 0x0F
    return (sign | exponent << 4 | mantissa) ^ 0x55


# AAC (RFC 3640, AAC-hbr): size in 13 bits, index and index delta in 3.


def _aac(audio: Audio, packing: AudioPacking) -> AudioTrack:
    config, units = _encoded("aac", 16_000, "fltp", 1024)
    parameters = (
        "streamtype=5; profile-level-id=15; mode=AAC-hbr; sizeLength=13; indexLength=3; "
        f"indexDeltaLength=3; config={config.hex().upper()}"
    )
    lines = ("a=rtpmap:97 MPEG4-GENERIC/16000/1", f"a=fmtp:97 {parameters}")
    if audio == "latm":
        lines = ("a=rtpmap:97 MP4A-LATM/16000/1", "a=fmtp:97 cpresent=0;config=400028103FC0")
    packets = {
        "single": _aggregated(units, 1),
        "aggregated": _aggregated(units, _AGGREGATED),
        "fragmented": _fragmented(units),
        "hostile": _hostile(units),
        "adts": _aggregated(tuple(_adts_header(len(unit)) + unit for unit in units), 1),
    }[packing]
    return _track(97, 16_000, 1024, units, packets, lines, config)


def _adts_header(size: int) -> bytes:
    """ISO/IEC 14496-3 section 1.A.2.2, without a checksum: AAC LC, 16 kHz, one channel."""
    length = size + 7
    sized = (0x40 | length >> 11, length >> 3 & 0xFF, 0x1F | length << 5 & 0xFF)
    return bytes((0xFF, 0xF1, 0x60, *sized, 0xFC))


def _headers(sizes: list[int]) -> bytes:
    return struct.pack("!H", 16 * len(sizes)) + b"".join(
        struct.pack("!H", size << 3) for size in sizes
    )


def _aggregated(units: tuple[bytes, ...], at_once: int) -> Iterator[AudioPacket]:
    for first in range(0, len(units), at_once):
        group = units[first : first + at_once]
        payload = _headers([len(unit) for unit in group]) + b"".join(group)
        yield AudioPacket(payload, True, first * 1024, len(group))


def _fragmented(units: tuple[bytes, ...]) -> Iterator[AudioPacket]:
    """RFC 3640 §3.2.3: each fragment names the size of the whole, the last has the marker."""
    for number, unit in enumerate(units):
        step = -(-len(unit) // _FRAGMENTS)
        for at in range(0, len(unit), step):
            last = at + step >= len(unit)
            payload = _headers([len(unit)]) + unit[at : at + step]
            yield AudioPacket(payload, last, number * 1024, int(last))


_NONSENSE = (
    _headers([8000]) + b"short",
    _headers([40, 4000]) + bytes(60),
    _headers([0]) + b"nothing of it",
    _headers([]) + b"no headers",
    struct.pack("!H", 0xFFFF) + b"headers beyond the end",
    b"\x00",
    b"",
)


def _hostile(units: tuple[bytes, ...]) -> Iterator[AudioPacket]:
    """Whole units with packets between them that make no sense."""
    nonsense = itertools.cycle(_NONSENSE)
    for number, packet in enumerate(_aggregated(units, 1)):
        yield packet
        if number % _HOSTILE_EVERY == 0:
            yield AudioPacket(next(nonsense), True, packet.ticks, 0)


@functools.cache
def _encoded(codec: str, rate: int, form: str, size: int) -> tuple[bytes, tuple[bytes, ...]]:
    """Configuration and units of the tone. Imported late: the image has no PyAV."""
    import av
    import numpy as np

    encoder = av.codec.CodecContext.create(codec, "w")
    assert isinstance(encoder, av.AudioCodecContext)
    encoder.sample_rate, encoder.layout, encoder.bit_rate = rate, "mono", 32_000
    encoder.format, encoder.time_base = form, Fraction(1, rate)
    whole = np.fromiter(_tone(rate, rate * _SECONDS // size * size), dtype=np.int16)
    units: list[bytes] = []
    for at in range(0, len(whole), size):
        samples = whole[at : at + size].reshape(1, -1)
        if form == "fltp":
            samples = (samples / 32_768).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(samples, format=form, layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = rate, at, Fraction(1, rate)
        units += [bytes(packet) for packet in encoder.encode(frame)]
    units += [bytes(packet) for packet in encoder.encode(None)]
    return encoder.extradata or b"", tuple(units)
