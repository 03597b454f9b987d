# SPDX-License-Identifier: Apache-2.0
"""FLV out of access units: the door to av for RTMP.

Called by the RTMP relay. H.264 as FLV always had it, H.265 as Enhanced RTMP has it. The socket is
not its business: it hands out octets.
"""

from __future__ import annotations

import av
from av.container import OutputContainer

from camfleet_worker.media.access_unit import VideoFormat
from camfleet_worker.sinks.mp4 import CLOCK_RATE, TIME_BASE, Written, format_template


class FlvStream:
    """One FLV stream without end; its decoding times begin at 0."""

    def __init__(self, video: VideoFormat) -> None:
        self._written = Written()
        self._first_dts: int | None = None
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
