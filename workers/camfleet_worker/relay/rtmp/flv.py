# SPDX-License-Identifier: Apache-2.0
"""Access units and audio as FLV tags, which RTMP carries one to a message.

Called by the RTMP relay's thread. H.264 as FLV always had it (Adobe's FLV specification 10.1 annex
E.4.3), H.265 as enhanced RTMP version 1 has it, AAC (annex E.4.2). The sequence header goes out
before the first access unit and again wherever parameter sets change.

Video and audio have one clock: milliseconds since the first access unit is decoded, 32 bits. (av's
muxer wrote 31 bits of them, 18.1: after 24.9 days the two were apart.)
"""

from __future__ import annotations

from typing import NamedTuple

from camfleet_worker.containers.configuration_record import configuration_record
from camfleet_worker.media_types.access_unit import AccessUnit, VideoFormat
from camfleet_worker.media_types.audio_unit import AudioFormat, AudioUnit
from camfleet_worker.media_types.codec_outputs import VIDEO_OUTPUTS
from camfleet_worker.relay.rtmp import amf0
from camfleet_worker.relay.rtmp.amf0 import AmfValue

AUDIO, VIDEO, SCRIPT_DATA = 8, 9, 18
"""TagType (annex E.4.1); the types of RTMP's messages are the same numbers."""

_KEY, _INTER = 1, 2
"""FrameType."""
_AVC = 7
"""CodecID of H.264."""
_AVC_SEQUENCE_HEADER, _AVC_NALU = 0, 1
_ENHANCED = 0x80
_SEQUENCE_START, _CODED_FRAMES, _CODED_FRAMES_X = 0, 1, 3
"""PacketType of enhanced RTMP; the last has no composition time, which is 0."""
_AAC = 0xAF
"""AAC; the rest of the octet is fixed for it, whatever rate and channels are."""
_AAC_CONFIG, _AAC_RAW = 0, 1


class FlvTag(NamedTuple):
    """One tag without its head."""

    kind: int
    at_ms: int
    """32 bits, and around again after 49.7 days."""
    body: bytes


class FlvStream:
    """One stream without end; its decoding times begin at 0."""

    def __init__(self) -> None:
        self._first_dts: int | None = None
        self._video: VideoFormat | None = None
        self._audio: AudioFormat | None = None

    def add(self, unit: AccessUnit) -> list[FlvTag]:
        """The tags of one access unit, behind those that describe it where that is new."""
        if self._first_dts is None:
            self._first_dts = unit.dts_90k
        at_ms = self._ms(unit.dts_90k, self._first_dts)
        tags = [] if unit.format is self._video else self._description(unit.format, at_ms)
        composition_ms = self._ms(unit.pts_90k, self._first_dts) - at_ms
        head = _frame_head(unit, composition_ms)
        return [*tags, FlvTag(VIDEO, at_ms & 0xFFFFFFFF, head + unit.data)]

    def add_audio(self, unit: AudioUnit) -> list[FlvTag]:
        """The tags of one unit of AAC, behind its configuration where that is new; none for one
        that belongs to access units before the first."""
        if self._first_dts is None or unit.pts_90k < self._first_dts:
            return []
        at_ms = self._ms(unit.pts_90k, self._first_dts) & 0xFFFFFFFF
        tags = []
        if unit.format != self._audio:
            self._audio = unit.format
            config = bytes((_AAC, _AAC_CONFIG)) + unit.format.config
            tags.append(FlvTag(AUDIO, at_ms, config))
        return [*tags, FlvTag(AUDIO, at_ms, bytes((_AAC, _AAC_RAW)) + unit.data)]

    def _description(self, video: VideoFormat, at_ms: int) -> list[FlvTag]:
        """Metadata where there is another size, and the sequence header where there are other
        parameter sets."""
        before, self._video = self._video, video
        tags = []
        if before is None or (before.width, before.height) != (video.width, video.height):
            tags.append(FlvTag(SCRIPT_DATA, at_ms & 0xFFFFFFFF, _metadata(video)))
        if before is None or before.parameter_sets != video.parameter_sets:
            header = _sequence_head(video) + configuration_record(video)
            tags.append(FlvTag(VIDEO, at_ms & 0xFFFFFFFF, header))
        return tags

    @staticmethod
    def _ms(at_90k: int, first_90k: int) -> int:
        return (at_90k - first_90k + 45) // 90


def _metadata(video: VideoFormat) -> bytes:
    """onMetaData (annex E.5)."""
    four_cc = VIDEO_OUTPUTS[video.codec].rtmp_four_cc
    codec = _AVC if four_cc is None else int.from_bytes(four_cc.encode(), "big")
    about: dict[str, AmfValue] = {
        "width": float(video.width),
        "height": float(video.height),
        "videocodecid": float(codec),
        "encoder": "camfleet",
    }
    return amf0.encode("onMetaData") + amf0.encode_array(about)


def _sequence_head(video: VideoFormat) -> bytes:
    four_cc = VIDEO_OUTPUTS[video.codec].rtmp_four_cc
    if four_cc is None:
        return bytes((_KEY << 4 | _AVC, _AVC_SEQUENCE_HEADER, 0, 0, 0))
    return bytes((_ENHANCED | _KEY << 4 | _SEQUENCE_START,)) + four_cc.encode()


def _frame_head(unit: AccessUnit, composition_ms: int) -> bytes:
    frame = (_KEY if unit.key else _INTER) << 4
    four_cc = VIDEO_OUTPUTS[unit.format.codec].rtmp_four_cc
    composition = composition_ms.to_bytes(3, "big", signed=True)
    if four_cc is None:
        return bytes((frame | _AVC, _AVC_NALU)) + composition
    if not composition_ms:
        return bytes((_ENHANCED | frame | _CODED_FRAMES_X,)) + four_cc.encode()
    return bytes((_ENHANCED | frame | _CODED_FRAMES,)) + four_cc.encode() + composition
