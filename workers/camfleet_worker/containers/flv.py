# SPDX-License-Identifier: Apache-2.0
"""FLV out of access units: the door to av for RTMP.

Called by the RTMP relay. H.264 as FLV always had it, H.265 as Enhanced RTMP has it. The socket is
not its business: it hands out octets.

AAC goes beside it in tags of ours (FLV specification 10.1 annex E.4.2): a second stream of the
muxer would have to be announced before the first access unit and would hold the video back.
"""

from __future__ import annotations

import av
from av.container import OutputContainer

from camfleet_worker.containers.codec_template import (
    CLOCK_RATE,
    TIME_BASE,
    Written,
    format_template,
)
from camfleet_worker.media_types.access_unit import VideoFormat
from camfleet_worker.media_types.audio_unit import AudioFormat, AudioUnit

_AUDIO_TAG = 8
_AAC = b"\xaf"
"""AAC; the rest of the octet is fixed for it, whatever rate and channels are."""
_CONFIG, _RAW = b"\0", b"\1"


class FlvStream:
    """One FLV stream without end; its decoding times begin at 0."""

    def __init__(self, video: VideoFormat) -> None:
        self._written = Written()
        self._first_dts: int | None = None
        self._audio: AudioFormat | None = None
        self._container: OutputContainer = av.open(
            self._written,
            "w",
            format="flv",
            # A live stream has no length to come back and write, and nothing may wait in a buffer.
            options={"flvflags": "no_duration_filesize", "flush_packets": "1"},
        )
        with format_template(video) as template:
            self._stream = self._container.add_stream_from_template(template)
        self._stream.time_base = TIME_BASE
        self._container.start_encoding()

    def add(self, data: bytes, pts_90k: int, dts_90k: int, key: bool) -> bytes:
        """The octets of one access unit; the first time behind header and configuration."""
        if self._first_dts is None:
            self._first_dts = dts_90k
        packet = av.Packet(data)
        packet.stream = self._stream
        packet.time_base = TIME_BASE
        packet.pts, packet.dts = pts_90k - self._first_dts, dts_90k - self._first_dts
        packet.duration = CLOCK_RATE // 25
        packet.is_keyframe = key
        self._container.mux(packet)
        return self._written.take()

    def add_audio(self, unit: AudioUnit) -> bytes:
        """The octets of one unit of AAC, behind its configuration where that is new; none for one
        that belongs to access units before the first."""
        if self._first_dts is None or unit.pts_90k < self._first_dts:
            return b""
        at_ms = (unit.pts_90k - self._first_dts + 45) // 90
        config = b""
        if unit.format != self._audio:
            self._audio = unit.format
            config = _audio_tag(_CONFIG + unit.format.config, at_ms)
        return config + _audio_tag(_RAW + unit.data, at_ms)


def _audio_tag(body: bytes, at_ms: int) -> bytes:
    body = _AAC + body
    time = (at_ms & 0xFFFFFF).to_bytes(3, "big") + bytes((at_ms >> 24 & 0xFF,))
    head = bytes((_AUDIO_TAG,)) + len(body).to_bytes(3, "big") + time + bytes(3)
    return head + body + (len(head) + len(body)).to_bytes(4, "big")
