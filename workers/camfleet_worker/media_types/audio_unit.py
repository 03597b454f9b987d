# SPDX-License-Identifier: Apache-2.0
"""Audio units: the audio that a source yields beside its access units, where the policy asks for
it.

One unit is what a decoder takes at once: an AAC access unit, an Opus packet, the samples of one
G.711 packet. Sinks that take none never see one.

Compiled by mypyc (workers/compile_media.py): no attribute may be added from outside, none may be of
another type than declared, and nothing may be set on the class by a test.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class AudioCodec(StrEnum):
    """Audio codecs that pass through."""

    AAC = "AAC"
    PCMU = "PCMU"
    PCMA = "PCMA"
    OPUS = "OPUS"


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """What a decoder needs before the first unit; compare by value.

    `clock_hz`: of the RTP timestamps; for G.711 the sampling rate, for Opus always 48,000.
    `config`: the AudioSpecificConfig of AAC (ISO/IEC 14496-3 section 1.6.2.1); empty otherwise.
    """

    codec: AudioCodec
    clock_hz: int
    channels: int
    config: bytes = b""


@dataclass(slots=True)
class AudioUnit:
    """One audio unit.

    `pts_90k`: on the timeline of the camera's access units, ticks of 1/90000 s, strictly
    increasing, never negative.
    `arrived_at`: our clock when its last packet was read, seconds since the epoch.
    """

    data: bytes
    pts_90k: int
    arrived_at: float
    format: AudioFormat
