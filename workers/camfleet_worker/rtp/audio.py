# SPDX-License-Identifier: Apache-2.0
"""Audio in RTP: payloads to units. Pure; the media loop's receiver feeds an `AudioDepacketiser`.

AAC by RFC 3640 (several access units a packet, or one in fragments, never interleaved), G.711 by
RFC 3551 section 4.5.14, Opus by RFC 7587.

A packet that contradicts itself is dropped whole and counted; nothing is guessed from it.

Compiled by mypyc (workers/compile_media.py): no attribute may be added from outside, none may be of
another type than declared, and nothing may be set on the class by a test.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from camfleet_worker.media_types.audio_unit import AudioFormat
from camfleet_worker.rtp.bits import BitReader

_ADTS_BYTES, _ADTS_CRC_BYTES = 7, 2


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
            self._take(bytes(view[at : at + size]), ticks)
            at += size

    def _take(self, unit: bytes, timestamp: int) -> None:
        """A whole access unit. Some cameras leave the ADTS header on it (quirk 52)."""
        if unit[0] == 0xFF:
            unit = _without_adts_header(unit)
            if not unit:
                self.damaged += 1
                return
        self.frames.append(AudioFrame(unit, timestamp))

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
            self._take(bytes(self._part), timestamp)
            self._part.clear()
        elif marker or len(self._part) > size:
            self._part.clear()
            self.damaged += 1

    def _drop_part(self) -> None:
        if self._part:
            self._part.clear()
            self.damaged += 1


def _without_adts_header(unit: bytes) -> bytes:
    """The access unit in one ADTS frame (ISO/IEC 14496-3 section 1.A.2.2); as it is where it is
    none, and empty where the frame does not fit: no access unit of AAC begins like one."""
    if len(unit) < _ADTS_BYTES or unit[1] & 0xF6 != 0xF0:
        return unit
    length = (unit[3] & 3) << 11 | unit[4] << 3 | unit[5] >> 5
    header = _ADTS_BYTES if unit[1] & 1 else _ADTS_BYTES + _ADTS_CRC_BYTES
    return unit[header:] if length == len(unit) else b""
