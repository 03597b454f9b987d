# SPDX-License-Identifier: Apache-2.0
"""Audio in RTP: what a description offers, and payloads to units.

Pure. The handshake asks `audio_payload` whether a track can be taken, the media loop's receiver
feeds an `AudioDepacketiser`. AAC by RFC 3640 (several access units a packet, or one in fragments,
never interleaved), G.711 by RFC 3551 section 4.5.14, Opus by RFC 7587. Everything else has no
audio here: MP4A-LATM (RFC 6416) carries its configuration in band, G.726 and G.722 have no place
in the containers we write.

A packet that contradicts itself is dropped whole and counted; nothing is guessed from it.

Compiled by mypyc (workers/compile_media.py): no attribute may be added from outside, none may be of
another type than declared, and nothing may be set on the class by a test.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from camfleet_worker.base.whole_number import whole_number
from camfleet_worker.media_types.audio_unit import AudioCodec, AudioFormat
from camfleet_worker.rtp.bits import BitReader, BitsExhausted

_PACKET_IS_UNIT = {
    "PCMU": AudioCodec.PCMU,
    "PCMA": AudioCodec.PCMA,
    "OPUS": AudioCodec.OPUS,
}
_OPUS_CLOCK_HZ = 48_000
"""RFC 7587 section 4.1, whatever was sampled."""
_MOST_CHANNELS = 8
_CLOCKS_HZ = range(1, 384_001)

# ISO/IEC 14496-3 table 1.18; index 15 is followed by the frequency itself.
_FREQUENCIES_HZ = (
    *(96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000),
    *(22_050, 16_000, 12_000, 11_025, 8_000, 7_350),
)
_FREQUENCY_FOLLOWS = 15
_GENERAL_AUDIO = (1, 2, 3, 4)
"""Object types AAC Main, LC, SSR and LTP (table 1.17): 1024 or 960 samples a unit."""
_WITH_EXTENSION = (5, 29)
"""SBR and PS: the object type of the core comes behind (section 1.6.2.1)."""

# RFC 3640 sections 3.3.5 and 3.3.6: bits of size, index and index delta by mode.
_HIGH_BIT_RATE = (13, 3, 3)
_MODES = {"aac-hbr": _HIGH_BIT_RATE, "aac-lbr": (6, 2, 2)}
_WIDTHS = ("sizelength", "indexlength", "indexdeltalength")
_UNREAD_FIELDS = (
    "ctsdeltalength",
    "dtsdeltalength",
    "randomaccessindication",
    "streamstateindication",
    "auxiliarydatasizelength",
)
"""RFC 3640 section 4.1: fields that AAC modes do not have."""
_MOST_BITS = 16
_DIGITS = 6
"""Of a parameter of the format."""


@dataclass(frozen=True, slots=True)
class AacPacking:
    """How access units lie in packets (RFC 3640 section 3.2.1)."""

    size_bits: int
    index_bits: int
    index_delta_bits: int
    unit_ticks: int
    """From one access unit to the next, in ticks of the RTP clock."""


@dataclass(frozen=True, slots=True)
class AudioPayload:
    """A track that can be taken apart; `packing` is None where a packet is a unit."""

    format: AudioFormat
    packing: AacPacking | None = None


@dataclass(slots=True)
class AudioFrame:
    """One whole unit, still on the camera's clock."""

    data: bytes
    timestamp: int
    """RTP timestamp, 32 bits."""


class AudioDepacketiser(Protocol):
    """Puts units together."""

    frames: list[AudioFrame]
    """Whole units; the receiver takes them out."""
    damaged: int
    """Packets that made no sense, and units with a hole."""

    def push(
        self, view: memoryview, start: int, end: int, timestamp: int, marker: bool, lost: bool
    ) -> None:
        """One RTP payload, view[start:end]; `lost`: packets before it are missing."""
        ...


def audio_payload(
    encoding: str, clock_hz: int, channels: int, parameters: Mapping[str, str]
) -> AudioPayload | None:
    """What a=rtpmap and a=fmtp describe; None where it is nothing that we take.

    `encoding` in upper case, names of `parameters` in lower case.
    """
    if encoding == "MPEG4-GENERIC":
        return _aac_payload(clock_hz, channels, parameters)
    codec = _PACKET_IS_UNIT.get(encoding)
    # Opus is announced as opus/48000/2 whatever it holds (RFC 7587 section 7): a decoder that
    # gives two channels plays both kinds, one that gives one would lose a side.
    if codec is None or clock_hz not in _CLOCKS_HZ or not 1 <= channels <= _MOST_CHANNELS:
        return None
    if codec is AudioCodec.OPUS and clock_hz != _OPUS_CLOCK_HZ:
        return None
    return AudioPayload(AudioFormat(codec, clock_hz, channels))


def audio_depacketiser(payload: AudioPayload) -> AudioDepacketiser:
    """The depacketiser of a track."""
    return WholePackets() if payload.packing is None else AacDepacketiser(payload.packing)


class WholePackets:
    """G.711 and Opus: the payload of a packet is a unit."""

    def __init__(self) -> None:
        self.frames: list[AudioFrame] = []
        self.damaged = 0

    def push(
        self, view: memoryview, start: int, end: int, timestamp: int, marker: bool, lost: bool
    ) -> None:
        """A packet without a payload has no audio."""
        if start >= end:
            self.damaged += 1
            return
        self.frames.append(AudioFrame(bytes(view[start:end]), timestamp))


class AacDepacketiser:
    """RFC 3640 section 3.2: a header section with the sizes, then the access units."""

    def __init__(self, packing: AacPacking) -> None:
        self.frames: list[AudioFrame] = []
        self.damaged = 0
        self._packing = packing
        self._part = bytearray()
        """Of an access unit that goes on in the next packet; empty when there is none."""
        self._part_size = 0
        self._part_timestamp = -1

    def push(
        self, view: memoryview, start: int, end: int, timestamp: int, marker: bool, lost: bool
    ) -> None:
        """One packet: whole access units, or a fragment of one (section 3.2.3)."""
        if lost:
            self._drop_part()
        at, sizes = self._sizes(view, start, end)
        if len(sizes) == 1 and sizes[0] > end - at:
            self._fragment(view, at, end, sizes[0], timestamp, marker)
            return
        self._drop_part()
        if not all(sizes) or not sizes or sum(sizes) > end - at:
            self.damaged += 1
            return
        for number, size in enumerate(sizes):
            ticks = timestamp + number * self._packing.unit_ticks & 0xFFFFFFFF
            self.frames.append(AudioFrame(bytes(view[at : at + size]), ticks))
            at += size

    def _sizes(self, view: memoryview, start: int, end: int) -> tuple[int, list[int]]:
        """Where the data begins, and the size of each access unit; none where the header section
        makes no sense or its units are interleaved (section 3.2.3.2)."""
        if end - start < 2:
            return end, []
        bits = view[start] << 8 | view[start + 1]
        data = start + 2 + (bits + 7) // 8
        if data > end:
            return end, []
        packing, reader = self._packing, BitReader(bytes(view[start + 2 : data]))
        sizes: list[int] = []
        index_bits = packing.index_bits
        while bits >= packing.size_bits + index_bits:
            bits -= packing.size_bits + index_bits
            sizes.append(reader.bits(packing.size_bits))
            if reader.bits(index_bits):
                return end, []
            index_bits = packing.index_delta_bits
        return data, sizes

    def _fragment(
        self, view: memoryview, at: int, end: int, size: int, timestamp: int, marker: bool
    ) -> None:
        """Every fragment names the size of the whole; the last one has the marker. A unit whose
        first fragment was lost ends too short, and so is never taken for whole."""
        if self._part and (timestamp, size) != (self._part_timestamp, self._part_size):
            self._drop_part()
        self._part += view[at:end]
        self._part_timestamp, self._part_size = timestamp, size
        if len(self._part) == size:
            self.frames.append(AudioFrame(bytes(self._part), timestamp))
            self._part.clear()
        elif marker or len(self._part) > size:
            self._part.clear()
            self.damaged += 1

    def _drop_part(self) -> None:
        if self._part:
            self._part.clear()
            self.damaged += 1


def _aac_payload(
    clock_hz: int, channels: int, parameters: Mapping[str, str]
) -> AudioPayload | None:
    widths = _widths(parameters)
    config = _octets(parameters.get("config", ""))
    if widths is None or not config or clock_hz not in _CLOCKS_HZ:
        return None
    try:
        core_hz, samples, configured_channels = _read_config(config)
    except BitsExhausted:
        return None
    channels = configured_channels or channels
    if not core_hz or not 1 <= channels <= _MOST_CHANNELS:
        return None
    # The RTP clock may count the samples behind SBR, which doubles those of the core.
    ticks = _number(parameters.get("constantduration", "")) or samples * clock_hz // core_hz
    audio = AudioFormat(AudioCodec.AAC, clock_hz, channels, config)
    return AudioPayload(audio, AacPacking(*widths, ticks))


def _widths(parameters: Mapping[str, str]) -> tuple[int, int, int] | None:
    """Bits of size, index and index delta; None for a mode with fields that AAC does not have."""
    if any(_number(parameters.get(name, "")) for name in _UNREAD_FIELDS):
        return None
    mode = parameters.get("mode", "aac-hbr").lower()
    if mode not in _MODES:
        return None
    size, index, delta = (
        _number(parameters[name]) if name in parameters else usual
        for name, usual in zip(_WIDTHS, _MODES[mode], strict=True)
    )
    fits = 1 <= size <= _MOST_BITS and index <= _MOST_BITS and delta <= _MOST_BITS
    return (size, index, delta) if fits else None


def _read_config(config: bytes) -> tuple[int, int, int]:
    """Sampling frequency of the core, samples of it a unit, channels (0: stated elsewhere).

    ISO/IEC 14496-3 sections 1.6.2.1 and 4.4.1. A frequency of 0 is an object type that is not
    plain AAC.
    """
    reader = BitReader(config)
    kind = _object_type(reader)
    core_hz = _frequency(reader)
    channels = reader.bits(4)
    if kind in _WITH_EXTENSION:
        _frequency(reader)
        kind = _object_type(reader)
    if kind not in _GENERAL_AUDIO:
        return 0, 0, 0
    samples = 960 if reader.flag() else 1024
    return core_hz, samples, _MOST_CHANNELS if channels == 7 else channels


def _object_type(reader: BitReader) -> int:
    kind = reader.bits(5)
    return 32 + reader.bits(6) if kind == 31 else kind


def _frequency(reader: BitReader) -> int:
    index = reader.bits(4)
    if index == _FREQUENCY_FOLLOWS:
        return reader.bits(24)
    return _FREQUENCIES_HZ[index] if index < len(_FREQUENCIES_HZ) else 0


def _octets(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b""


def _number(text: str) -> int:
    """A parameter's value; 0 where it is none."""
    return whole_number(text, _DIGITS) or 0
