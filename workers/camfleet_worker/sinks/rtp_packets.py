# SPDX-License-Identifier: Apache-2.0
"""Access units as RTP packets in interleaved frames, and the sender reports beside them.

Pure; called by the RTSP relay. RFC 6184 (H.264: single NAL unit, STAP-A for parameter sets, FU-A),
RFC 7798 (H.265: the same as single, AP, FU), RFC 3550 section 6.4.1 (sender report), RFC 2326
section 10.12 (interleaved frames). One packetiser is one SSRC with sequence numbers without a gap:
they are given out here, after whatever had to be dropped was dropped.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from camfleet_worker.media.access_unit import AccessUnit, Codec, VideoFormat

PAYLOAD_TYPE = 96
RTP_CHANNEL = 0
RTCP_CHANNEL = 1

MAX_PAYLOAD = 1400
"""Interleaved frames could hold 64 KiB, but servers that hand packets on by UDP refuse them."""

# `$`, channel, length of the packet; V=2, marker and type, sequence number, timestamp, SSRC.
RTP_HEAD = struct.Struct("!BBHBBHII")
RTP_HEAD_BYTES = 12
_MARKER = 0x80
_SENDER_REPORT = struct.Struct("!BBHBBHIIIIII")
_SENDER_REPORT_BYTES = 28
_NTP_EPOCH_S = 2_208_988_800
"""From 1900 to 1970 (RFC 3550 section 4)."""

Emit = Callable[[bytes, memoryview | bytes, bool], None]


class Packetiser:
    """The RTP side of one announced stream."""

    def __init__(self, codec: Codec, ssrc: int, first_sequence: int, timestamp_offset: int) -> None:
        self.packets = 0
        self.octets = 0
        self._ssrc = ssrc
        self._sequence = first_sequence & 0xFFFF
        self._offset = timestamp_offset
        self._aggregate, self._split = (
            (_stap_a, _fu_a) if codec is Codec.H264 else (_aggregation_packet, _fragmentation_unit)
        )

    def append(self, unit: AccessUnit, out: list[bytes | memoryview]) -> None:
        """Append the packets of one access unit, each behind its interleaved head."""
        timestamp = (unit.pts_90k + self._offset) & 0xFFFFFFFF

        def emit(lead: bytes, body: memoryview | bytes, last: bool) -> None:
            size = len(lead) + len(body)
            out.append(
                RTP_HEAD.pack(
                    0x24,
                    RTP_CHANNEL,
                    RTP_HEAD_BYTES + size,
                    0x80,
                    PAYLOAD_TYPE | (_MARKER if last else 0),
                    self._sequence,
                    timestamp,
                    self._ssrc,
                )
                + lead
            )
            out.append(body)
            self._sequence = (self._sequence + 1) & 0xFFFF
            self.packets += 1
            self.octets += size

        if unit.key:
            self._parameter_sets(unit.format, emit)
        data = memoryview(unit.data)
        at, end = 0, len(data)
        while at < end:
            size = int.from_bytes(data[at : at + 4], "big")
            nal = data[at + 4 : at + 4 + size]
            at += 4 + size
            # The marker stands on the last packet of the picture (RFC 6184 section 5.1).
            if size <= MAX_PAYLOAD:
                emit(b"", nal, at >= end)
            else:
                self._split(nal, emit, at >= end)

    def sender_report(self, pts_90k: int, taken_at: float) -> bytes:
        """That the picture with this time was taken at this wall clock, as an interleaved frame."""
        return sender_report(
            RTCP_CHANNEL, self._ssrc, pts_90k + self._offset, taken_at, self.packets, self.octets
        )

    def _parameter_sets(self, video: VideoFormat, emit: Emit) -> None:
        together = self._aggregate(video.parameter_sets)
        if len(together) <= MAX_PAYLOAD:
            emit(b"", together, False)
            return
        for parameter_set in video.parameter_sets:
            if len(parameter_set) <= MAX_PAYLOAD:
                emit(b"", parameter_set, False)
            else:
                self._split(memoryview(parameter_set), emit, False)


def sender_report(
    channel: int, ssrc: int, rtp_time: int, taken_at: float, packets: int, octets: int
) -> bytes:
    """RFC 3550 section 6.4.1, without reception reports, as an interleaved frame."""
    ntp_s = int(taken_at) + _NTP_EPOCH_S
    ntp_fraction = int((taken_at % 1.0) * (1 << 32))
    return _SENDER_REPORT.pack(
        0x24,
        channel,
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


def _fu_a(nal: memoryview, emit: Emit, last: bool) -> None:
    """RFC 6184 section 5.8."""
    indicator, kind = nal[0] & 0xE0 | 28, nal[0] & 0x1F
    _fragments(nal[1:], bytes((indicator,)), kind, emit, last)


def _fragmentation_unit(nal: memoryview, emit: Emit, last: bool) -> None:
    """RFC 7798 section 4.4.3."""
    lead = bytes((nal[0] & 0x81 | 49 << 1, nal[1]))
    _fragments(nal[2:], lead, nal[0] >> 1 & 0x3F, emit, last)


def _fragments(payload: memoryview, lead: bytes, kind: int, emit: Emit, last: bool) -> None:
    step = MAX_PAYLOAD - len(lead) - 1
    first_lead = lead + bytes((0x80 | kind,))
    middle_lead = lead + bytes((kind,))
    last_lead = lead + bytes((0x40 | kind,))
    end = len(payload)
    emit(first_lead, payload[:step], False)
    at = step
    while at + step < end:
        emit(middle_lead, payload[at : at + step], False)
        at += step
    emit(last_lead, payload[at:], last)
