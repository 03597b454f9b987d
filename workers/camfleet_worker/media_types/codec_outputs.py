# SPDX-License-Identifier: Apache-2.0
"""Which output takes which codec, and as what: a row for each codec of the media path.

Recordings, exports, relays and the watch on the picture read their row here and name no codec to
accept or refuse one; `make generate` writes CODECS.md from the same rows. How a codec is packed
into RTP, and what its parameter sets mean, is not said here.

A field that is neither optional nor a bool is what the output needs to take the codec at all: such
an output takes every codec of its kind. The watch on the picture takes no audio.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from camfleet_worker.media_types.access_unit import Codec
from camfleet_worker.media_types.audio_unit import AudioCodec


@dataclass(frozen=True, slots=True)
class VideoOutputs:
    """What the outputs make of one video codec."""

    ffmpeg_name: str
    """What FFmpeg calls it: recordings and exports are muxed by it, pictures decoded."""
    sample_entry: str
    """Recording and export: the sample entry of its track (ISO/IEC 14496-15)."""
    relayed_only_if_listed: bool
    """Relay: whether the MonitoringSystem has to list it."""
    rtmp_four_cc: str | None
    """Relay by RTMP: its code in enhanced RTMP; None where FLV has a number for it."""


@dataclass(frozen=True, slots=True)
class AudioOutputs:
    """What the outputs make of one audio codec."""

    recorded: bool
    """Recording and export."""
    rtsp_encoding: str
    """Relay by RTSP: its encoding name in the SDP (RFC 3640, RFC 3551, RFC 7587)."""
    relayed_by_rtmp: bool
    """Relay by RTMP."""


VIDEO_OUTPUTS: Final[Mapping[Codec, VideoOutputs]] = {
    Codec.H264: VideoOutputs(
        ffmpeg_name="h264",
        sample_entry="avc1",
        relayed_only_if_listed=True,
        rtmp_four_cc=None,
    ),
    Codec.H265: VideoOutputs(
        ffmpeg_name="hevc",
        # Parameter sets out of band: Apple's players refuse hev1.
        sample_entry="hvc1",
        # Some servers swallow H.265 without a word.
        relayed_only_if_listed=True,
        rtmp_four_cc="hvc1",
    ),
}

# G.711 and Opus are not recorded: players take neither out of an MP4 as they take AAC.
AUDIO_OUTPUTS: Final[Mapping[AudioCodec, AudioOutputs]] = {
    AudioCodec.AAC: AudioOutputs(
        recorded=True, rtsp_encoding="mpeg4-generic", relayed_by_rtmp=True
    ),
    AudioCodec.PCMU: AudioOutputs(recorded=False, rtsp_encoding="PCMU", relayed_by_rtmp=False),
    AudioCodec.PCMA: AudioOutputs(recorded=False, rtsp_encoding="PCMA", relayed_by_rtmp=False),
    AudioCodec.OPUS: AudioOutputs(recorded=False, rtsp_encoding="opus", relayed_by_rtmp=False),
}

# Asked for every audio unit. A tuple finds a member by identity; a mapping or a set would first
# call the enumeration's hash, which is Python.
RECORDED_AUDIO: Final[tuple[AudioCodec, ...]] = tuple(
    codec for codec, outputs in AUDIO_OUTPUTS.items() if outputs.recorded
)
RTMP_AUDIO: Final[tuple[AudioCodec, ...]] = tuple(
    codec for codec, outputs in AUDIO_OUTPUTS.items() if outputs.relayed_by_rtmp
)
