# SPDX-License-Identifier: Apache-2.0
"""Access units: what every source yields and every sink takes.

One access unit is one coded picture (ITU-T H.264 section 3.1, H.265 section 3.1). All sinks of a
camera share one copy of it.

Compiled by mypyc (workers/compile_media.py): no attribute may be added from outside, none may be of
another type than declared, and nothing may be set on the class by a test.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from camfleet_worker.base.moments import microseconds


class Codec(StrEnum):
    """Video codecs that pass through, by their SDP encoding name (RFC 6184, RFC 7798)."""

    H264 = "H264"
    H265 = "H265"


@dataclass(frozen=True, slots=True)
class SliceFields:
    """What of an H.264 SPS tells where a slice header holds the picture order count."""

    separate_planes: bool
    frame_num_bits: int
    frames_only: bool
    order_bits: int


@dataclass(frozen=True, slots=True)
class Reordering:
    """How many access units may come before another in decoding order and after it on the screen.

    `declared`: what the SPS says; None where it says nothing. `most`: what the standard allows it
    to say, 0 where access units are always shown in the order they are decoded. `slices` is known
    where the access units themselves have to tell.
    """

    declared: int | None = 0
    most: int = 0
    slices: SliceFields | None = None


@dataclass(frozen=True, slots=True)
class VideoFormat:
    """What a decoder needs before the first access unit.

    `parameter_sets` are NAL units without start code or length: (SPS, PPS…) for H.264, (VPS, SPS,
    PPS…) for H.265, as they are in force for an access unit. A source keeps handing out the same
    object while nothing changes. They may change before any access unit (ITU-T H.264 section
    7.4.1.2.1): what goes on with a decoder that knows the format before needs `sets_unknown_to`.
    """

    codec: Codec
    parameter_sets: tuple[bytes, ...]
    width: int
    height: int
    reordering: Reordering = Reordering()

    def sets_unknown_to(self, before: VideoFormat) -> tuple[bytes, ...]:
        """The parameter sets that a decoder lacks to which those of `before` are in force."""
        known = before.parameter_sets
        return tuple([one for one in self.parameter_sets if one not in known])


def length_prefixed(units: Iterable[bytes]) -> bytes:
    """NAL units as they stand in the data of an access unit."""
    return b"".join([len(unit).to_bytes(4, "big") + unit for unit in units])


@dataclass(slots=True)
class AccessUnit:
    """One coded picture.

    `data`: NAL units in decoding order, each behind its length in four bytes, big endian (the
    form of ISO/IEC 14496-15), parameter sets, access unit delimiters and filler left out: sinks
    take the parameter sets from `format`, and compare it with the one before.
    `key`: a decoder can start here (IDR, H.265 IRAP, or a recovery point whose recovery is at
    once: ITU-T H.264 section D.2.8, H.265 section D.3.8).
    `pts_90k`: presentation time on the camera's timeline, ticks of 1/90000 s, never negative;
    strictly increasing in decoding order for streams without B-frames.
    `arrived_at`: our clock when its last packet was read, seconds since the epoch. Of several that
    begin a session and are read at once, only the last one has just come: the others have their
    time on the timeline, but none from before the session.
    `origin_at`: where our clock, as it is set, puts the timeline's 0. No delay of an access unit
    moves it, only the setting of our clock does.
    `composition_offset_90k`: how much later it is shown than decoded, never negative; 0 for
    streams without B-frames (the name is that of ISO/IEC 14496-12 section 8.6.1.3).
    """

    data: bytes
    key: bool
    pts_90k: int
    arrived_at: float
    origin_at: float
    format: VideoFormat
    composition_offset_90k: int = 0

    @property
    def dts_90k(self) -> int:
        """Decoding time: strictly increasing. Below zero for the first access units of a timeline
        with B-frames."""
        return self.pts_90k - self.composition_offset_90k

    @property
    def shown_us(self) -> int:
        """Its presentation time by our clock, in microseconds since the epoch."""
        return microseconds(self.origin_at) + (self.pts_90k * 200 + 9) // 18
