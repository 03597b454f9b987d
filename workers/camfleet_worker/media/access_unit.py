# SPDX-License-Identifier: Apache-2.0
"""Access units: what every source yields and every sink takes.

One access unit is one coded picture (ITU-T H.264 section 3.1, H.265 section 3.1). All sinks of a
camera share one copy of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Codec(StrEnum):
    """Video codecs that pass through, by their SDP encoding name (RFC 6184, RFC 7798)."""

    H264 = "H264"
    H265 = "H265"


@dataclass(frozen=True, slots=True)
class VideoFormat:
    """What a decoder needs before the first picture.

    `parameter_sets` are NAL units without start code or length: (SPS, PPS…) for H.264, (VPS, SPS,
    PPS…) for H.265. A source keeps handing out the same object while nothing changes; another
    object means that a new segment and a new announcement are due.
    """

    codec: Codec
    parameter_sets: tuple[bytes, ...]
    width: int
    height: int


@dataclass(slots=True)
class AccessUnit:
    """One coded picture.

    `data`: NAL units in decoding order, each behind its length in four bytes, big endian (the
    form of ISO/IEC 14496-15), parameter sets, access unit delimiters and filler left out: sinks
    that need parameter sets in band take them from `format`.
    `key`: a decoder can start here (IDR, or H.265 IRAP).
    `pts_90k`: presentation time on the camera's timeline, ticks of 1/90000 s, strictly
    increasing in decoding order for streams without B-frames, never negative.
    `arrived_at`: our clock when its last packet was read, seconds since the epoch.
    """

    data: bytes
    key: bool
    pts_90k: int
    arrived_at: float
    format: VideoFormat
