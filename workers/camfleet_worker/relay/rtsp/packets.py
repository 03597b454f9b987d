# SPDX-License-Identifier: Apache-2.0
"""Access units as RTP packets in interleaved frames, and the sender reports beside them.

Pure; called by the RTSP publisher. RFC 6184 (H.264: single NAL unit, STAP-A for parameter sets,
FU-A), RFC 7798 (H.265: the same as single, AP, FU), RFC 3550 section 6.4.1 (sender report), RFC
2326 section 10.12 (interleaved frames). One packetiser is one SSRC with sequence numbers without a
gap: they are given out here, after whatever had to be dropped was dropped.

Compiled by mypyc (workers/compile_media.py): no attribute may be added from outside, none may be of
another type than declared, and nothing may be set on the class by a test.
"""

from __future__ import annotations

import struct

from camfleet_worker.media_types.access_unit import AccessUnit, Codec, VideoFormat, length_prefixed
from camfleet_worker.rtsp.headers import InterleavedIds

PAYLOAD_TYPE = 96
VIDEO_IDS = InterleavedIds(0, 1)
_RTP_ID, _RTCP_ID = VIDEO_IDS.rtp, VIDEO_IDS.rtcp

MAX_PAYLOAD = 1400
"""Interleaved frames could hold 64 KiB, but servers that hand packets on by UDP refuse them."""

# `$`, interleaved id, length of the packet; V=2, marker and type, sequence number, timestamp, SSRC.
RTP_HEAD = struct.Struct("!BBHBBHII")
RTP_HEAD_BYTES = 12
_MARKER = 0x80
# The same for a fragment, in parts: of those of one slice, most differ in the number only.
_UP_TO_TYPE = struct.Struct("!BBHBB")
_UP_TO_TYPE_WHEN_FULL = _UP_TO_TYPE.pack(
    0x24, _RTP_ID, RTP_HEAD_BYTES + MAX_PAYLOAD, 0x80, PAYLOAD_TYPE
)
_START, _END = 0x80, 0x40
_NAL_LENGTH = struct.Struct("!I")
_SENDER_REPORT = struct.Struct("!BBHBBHIIIIII")
_SENDER_REPORT_BYTES = 28
_NTP_EPOCH_S = 2_208_988_800
"""From 1900 to 1970 (RFC 3550 section 4)."""


class Packetiser:
    """The RTP side of one announced stream."""

    def __init__(
        self, video: VideoFormat, ssrc: int, first_sequence: int, timestamp_offset: int
    ) -> None:
        """`video`: what was announced, which is in force to whoever reads the description."""
        self.packets = 0
        self.octets = 0
        self._ssrc = ssrc
        self._sequence = first_sequence & 0xFFFF
        self._offset = timestamp_offset
        self._in_force = video
        if video.codec is Codec.H264:
            self._aggregate, self._split, self._nal_head_bytes = _stap_a, _fu_a, 1
        else:
            self._aggregate, self._split = _aggregation_packet, _fragmentation_unit
            self._nal_head_bytes = 2
        self._from_timestamp = struct.Struct(f"!II{self._nal_head_bytes}s")
        self._fragment_head = struct.Struct(f"!{_UP_TO_TYPE.size}sH{self._from_timestamp.size}sB")

    def append(self, unit: AccessUnit, out: list[bytes | memoryview]) -> None:
        """Append the packets of one access unit, each behind its interleaved head."""
        timestamp = (unit.pts_90k + self._offset) & 0xFFFFFFFF
        if unit.key:
            self._append_sets(unit.format.parameter_sets, timestamp, out)
        elif unit.format is not self._in_force:
            self._append_sets(unit.format.sets_unknown_to(self._in_force), timestamp, out)
        self._in_force = unit.format
        # The marker stands on the last packet of the access unit (RFC 6184 section 5.1).
        self._append_nals(unit.data, timestamp, _MARKER, out)

    def sender_report(self, pts_90k: int, taken_at: float) -> bytes:
        """An interleaved frame that says when the access unit of this time was taken, in UTC."""
        return sender_report(
            _RTCP_ID, self._ssrc, pts_90k + self._offset, taken_at, self.packets, self.octets
        )

    def _append_sets(
        self, units: tuple[bytes, ...], timestamp: int, out: list[bytes | memoryview]
    ) -> None:
        """In one packet where they fit."""
        if len(units) > 1:
            together = self._aggregate(units)
            units = (together,) if len(together) <= MAX_PAYLOAD else units
        self._append_nals(length_prefixed(units), timestamp, 0, out)

    def _append_nals(
        self, data: bytes, timestamp: int, last_marker: int, out: list[bytes | memoryview]
    ) -> None:
        view = memoryview(data)
        at, end = 0, len(data)
        while at < end:
            begin = at + 4
            at = begin + _NAL_LENGTH.unpack_from(data, at)[0]
            payload_type = PAYLOAD_TYPE if at < end else PAYLOAD_TYPE | last_marker
            if at - begin <= MAX_PAYLOAD:
                self._append_whole(view[begin:at], timestamp, payload_type, out)
            else:
                self._append_fragments(view[begin:at], timestamp, payload_type, out)

    def _append_whole(
        self, nal: memoryview, timestamp: int, payload_type: int, out: list[bytes | memoryview]
    ) -> None:
        size = len(nal)
        out.append(
            RTP_HEAD.pack(
                0x24,
                _RTP_ID,
                RTP_HEAD_BYTES + size,
                0x80,
                payload_type,
                self._sequence,
                timestamp,
                self._ssrc,
            )
        )
        out.append(nal)
        self._sequence = (self._sequence + 1) & 0xFFFF
        self.packets += 1
        self.octets += size

    def _append_fragments(
        self, nal: memoryview, timestamp: int, payload_type: int, out: list[bytes | memoryview]
    ) -> None:
        """Nearly every packet is made here, so each costs no more than its number and its place."""
        payload_head, kind = self._split(nal)
        from_timestamp = self._from_timestamp.pack(timestamp, self._ssrc, payload_head)
        head, append = self._fragment_head.pack, out.append
        lead_bytes = self._nal_head_bytes + 1
        step = MAX_PAYLOAD - lead_bytes
        at, end = self._nal_head_bytes, len(nal)
        sequence, fu_header = self._sequence, _START | kind
        while at + step < end:
            append(head(_UP_TO_TYPE_WHEN_FULL, sequence & 0xFFFF, from_timestamp, fu_header))
            append(nal[at : at + step])
            at += step
            sequence += 1
            fu_header = kind
        size = RTP_HEAD_BYTES + lead_bytes + end - at
        up_to_type = _UP_TO_TYPE.pack(0x24, _RTP_ID, size, 0x80, payload_type)
        append(head(up_to_type, sequence & 0xFFFF, from_timestamp, _END | kind))
        append(nal[at:])
        packets = sequence + 1 - self._sequence
        self._sequence = (sequence + 1) & 0xFFFF
        self.packets += packets
        self.octets += end - self._nal_head_bytes + packets * lead_bytes


def sender_report(
    rtcp_id: int, ssrc: int, rtp_time: int, taken_at: float, packets: int, octets: int
) -> bytes:
    """RFC 3550 section 6.4.1, without reception reports, as an interleaved frame."""
    ntp_s = int(taken_at) + _NTP_EPOCH_S
    ntp_fraction = int((taken_at % 1.0) * (1 << 32))
    return _SENDER_REPORT.pack(
        0x24,
        rtcp_id,
        _SENDER_REPORT_BYTES,
        0x80,
        200,
        _SENDER_REPORT_BYTES // 4 - 1,
        ssrc,
        ntp_s & 0xFFFFFFFF,
        ntp_fraction,
        rtp_time & 0xFFFFFFFF,
        packets & 0xFFFFFFFF,
        octets & 0xFFFFFFFF,
    )


def _sized(units: tuple[bytes, ...]) -> bytes:
    return b"".join(len(unit).to_bytes(2, "big") + unit for unit in units)


def _stap_a(units: tuple[bytes, ...]) -> bytes:
    """RFC 6184 section 5.7.1; NRI is the highest of those inside."""
    importance = max(unit[0] & 0x60 for unit in units)
    return bytes((importance | 24,)) + _sized(units)


def _aggregation_packet(units: tuple[bytes, ...]) -> bytes:
    """RFC 7798 section 4.4.2; layer and temporal id are the lowest of those inside."""
    layer = min((unit[0] & 1) << 5 | unit[1] >> 3 for unit in units)
    temporal = min(unit[1] & 7 for unit in units)
    return bytes((48 << 1 | layer >> 5, (layer & 31) << 3 | temporal)) + _sized(units)


def _fu_a(nal: memoryview) -> tuple[bytes, int]:
    """RFC 6184 section 5.8: FU indicator, and the type that goes into the FU header."""
    first = nal[0]
    return bytes((first & 0xE0 | 28,)), first & 0x1F


def _fragmentation_unit(nal: memoryview) -> tuple[bytes, int]:
    """RFC 7798 section 4.4.3: payload header, and the type that goes into the FU header."""
    first = nal[0]
    return bytes((first & 0x81 | 49 << 1, nal[1])), first >> 1 & 0x3F
