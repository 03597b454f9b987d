# SPDX-License-Identifier: Apache-2.0
"""RTCP (RFC 3550 section 6): reading sender reports, writing receiver reports. Pure.

Compiled by mypyc (workers/compile_media.py): no attribute may be added from outside, none may be of
another type than declared, and nothing may be set on the class by a test.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

_HEADER = struct.Struct("!BBH")
_SENDER_INFO = struct.Struct("!IIII")
_RECEIVER_REPORT = struct.Struct("!BBHIIIIIII")
_VERSION = 0x80
_SENDER_REPORT_TYPE, _RECEIVER_REPORT_TYPE, _SOURCE_DESCRIPTION_TYPE = 200, 201, 202
_CNAME = b"camfleet"
_NTP_EPOCH_TO_UNIX_S = 2_208_988_800


@dataclass(frozen=True, slots=True)
class SenderReport:
    """The camera's two clocks at one instant (section 6.4.1), and ours when it arrived."""

    ssrc: int
    ntp: int
    """64 bits, as sent: seconds since 1900 and their fraction."""
    timestamp: int
    arrived_at: float
    """time.monotonic()."""

    @property
    def camera_time(self) -> float:
        """The camera's wall clock, seconds since the Unix epoch; recorded, never trusted."""
        return self.ntp / (1 << 32) - _NTP_EPOCH_TO_UNIX_S


def find_sender_report(
    view: memoryview, start: int, end: int, arrived_at: float
) -> SenderReport | None:
    """The first sender report of a compound packet; None where there is none."""
    while end - start >= _HEADER.size:
        first, kind, words = _HEADER.unpack_from(view, start)
        length = 4 * (words + 1)
        if first & 0xC0 != _VERSION or start + length > end:
            return None
        if kind == _SENDER_REPORT_TYPE and length >= 24:
            ssrc, high, low, timestamp = _SENDER_INFO.unpack_from(view, start + 4)
            return SenderReport(ssrc, high << 32 | low, timestamp, arrived_at)
        start += length
    return None


def receiver_report(
    own_ssrc: int,
    ssrc: int,
    *,
    lost: int,
    highest_sequence: int,
    last_report: SenderReport | None,
    now: float,
) -> bytes:
    """A compound packet: RR and SDES with CNAME (sections 6.1, 6.4.2, 6.5).

    Fraction lost and jitter are zero: no camera acts on them over TCP. The report is a sign of
    life, which some servers count instead of a keepalive.
    """
    middle_ntp, delay = 0, 0
    if last_report is not None:
        middle_ntp = last_report.ntp >> 16 & 0xFFFFFFFF
        delay = int((now - last_report.arrived_at) * 65536) & 0xFFFFFFFF
    report = _RECEIVER_REPORT.pack(
        _VERSION | 1,
        _RECEIVER_REPORT_TYPE,
        7,
        own_ssrc,
        ssrc,
        min(lost, 0x7FFFFF),
        highest_sequence & 0xFFFFFFFF,
        0,
        middle_ntp,
        delay,
    )
    item = struct.pack("!I", own_ssrc) + bytes((1, len(_CNAME))) + _CNAME
    item += bytes(4 - len(item) % 4)  # at least one null octet ends the list of items
    words = len(item) // 4
    return report + _HEADER.pack(_VERSION | 1, _SOURCE_DESCRIPTION_TYPE, words) + item
