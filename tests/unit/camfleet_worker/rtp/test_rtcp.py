# SPDX-License-Identifier: Apache-2.0
"""Sender reports in, receiver reports out, and the numbers in them."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camfleet_worker.rtp.reception import Reception
from camfleet_worker.rtp.rtcp import SenderReport, find_sender_report, receiver_report

SDES = bytes.fromhex("81ca0003 11223344 01046d65 6f770000".replace(" ", ""))


def sender_report(ntp: int, timestamp: int) -> bytes:
    return struct.pack("!BBHIQIII", 0x80, 200, 6, 0x11223344, ntp, timestamp, 10, 1000)


@pytest.mark.parametrize("before", [b"", SDES], ids=["first", "behind-another"])
def test_both_clocks_of_a_sender_report_are_recorded(before: bytes) -> None:
    ntp = (1_700_000_000 + 2_208_988_800) << 32 | 1 << 31
    packet = before + sender_report(ntp, 90_000) + SDES
    report = find_sender_report(memoryview(packet), 0, len(packet), 12.5)
    assert report == SenderReport(0x11223344, ntp, 90_000, 12.5)
    assert report.camera_time == 1_700_000_000.5


@given(st.binary(max_size=80))
def test_no_bytes_break_the_reader(data: bytes) -> None:
    find_sender_report(memoryview(data), 0, len(data), 0.0)


def test_a_receiver_report_is_a_compound_packet_that_answers_the_sender() -> None:
    last = SenderReport(7, 0x1111_2222_3333_4444, 0, arrived_at=10.0)
    packet = receiver_report(1, 7, lost=3, highest_sequence=0x1_0005, last_report=last, now=12.5)
    first, kind, words, own, ssrc, lost, highest, _, middle, delay = struct.unpack_from(
        "!BBHIIIIIII", packet
    )
    assert (first, kind, words) == (0x81, 201, 7)
    assert (own, ssrc, lost, highest) == (1, 7, 3, 0x1_0005)
    assert (middle, delay) == (0x2222_3333, int(2.5 * 65536))
    head, kind, words = struct.unpack_from("!BBH", packet, 32)
    assert (head, kind) == (0x81, 202)
    assert len(packet) == 32 + 4 * (words + 1)
    assert packet[36:40] == packet[4:8]
    assert packet[42:50] == b"camfleet"


def arrive(reception: Reception, ssrc: int, sequence: int) -> bool:
    """As the receiver does."""
    lost = False
    if sequence != reception.expected or ssrc != reception.ssrc:
        lost = reception.arrived(ssrc, sequence)
    reception.expected = sequence + 1 & 0xFFFF
    reception.packets += 1
    return lost


@given(st.integers(0, 0xFFFF), st.lists(st.integers(0, 50), min_size=1, max_size=50))
def test_losses_and_the_highest_number_are_counted_across_the_wrap(
    first: int, skipped: list[int]
) -> None:
    reception, sequence = Reception(), first
    arrive(reception, 9, first)
    for skip in skipped:
        sequence += 1 + skip
        assert arrive(reception, 9, sequence & 0xFFFF) is (skip > 0)
    assert reception.lost == sum(skipped)
    assert reception.highest_sequence == sequence
    assert reception.restarts == 0


def test_a_source_that_begins_anew_counts_no_losses_but_breaks_the_picture() -> None:
    reception = Reception()
    for ssrc, sequence in ((1, 100), (1, 101), (2, 40_000), (2, 40_001), (2, 30_000)):
        last = arrive(reception, ssrc, sequence)
    assert last is True
    assert (reception.lost, reception.restarts, reception.packets) == (0, 2, 5)
    assert reception.highest_sequence == 30_000
