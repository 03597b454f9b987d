# SPDX-License-Identifier: Apache-2.0
"""Audio in RTP: whatever is packed comes out whole and once, and nothing else ever does."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camfleet_worker.rtp.audio import (
    AacDepacketiser,
    AacPacking,
    AudioDepacketiser,
    AudioFrame,
    WholePackets,
)

PACKING = AacPacking(13, 3, 3, 1024)
UNITS = st.lists(
    # No access unit of AAC begins like an ADTS header.
    st.binary(min_size=1, max_size=200).filter(lambda unit: unit[0] != 0xFF),
    min_size=1,
    max_size=40,
)

Packet = tuple[bytes, int, bool]
"""Payload, timestamp, marker."""


def headers(sizes: Sequence[int], packing: AacPacking = PACKING) -> bytes:
    """The AU header section of RFC 3640 section 3.2.1, for units that follow on each other."""
    value = bits = 0
    for number, size in enumerate(sizes):
        index = packing.index_delta_bits if number else packing.index_bits
        value = (value << packing.size_bits | size) << index
        bits += packing.size_bits + index
    padding = -bits % 8
    return struct.pack("!H", bits) + (value << padding).to_bytes((bits + padding) // 8, "big")


def aggregated(
    units: Sequence[bytes], counts: Sequence[int], packing: AacPacking = PACKING
) -> Iterator[Packet]:
    at = 0
    for count in itertools.cycle(counts):
        group = units[at : at + count]
        if not group:
            return
        payload = headers([len(unit) for unit in group], packing) + b"".join(group)
        yield payload, at * packing.unit_ticks & 0xFFFFFFFF, True
        at += len(group)


def fragmented(units: Sequence[bytes], step: int) -> Iterator[Packet]:
    for number, unit in enumerate(units):
        for at in range(0, len(unit), step):
            payload = headers([len(unit)]) + unit[at : at + step]
            yield payload, number * 1024, at + step >= len(unit)


def fed(depacketiser: AudioDepacketiser, packets: Sequence[Packet | None]) -> list[AudioFrame]:
    """What comes out; None is a packet that was lost. Each stands among other octets of a buffer
    that is overwritten, as the loop's is."""
    lost = False
    for packet in packets:
        if packet is None:
            lost = True
            continue
        payload, timestamp, marker = packet
        buffer = bytearray(b"\xee\xee" + payload + b"\xee\xee")
        depacketiser.push(memoryview(buffer), 2, 2 + len(payload), timestamp, marker, lost)
        buffer[:] = bytes(len(buffer))
        lost = False
    return depacketiser.frames


@given(UNITS, st.lists(st.integers(1, 7), min_size=1, max_size=5))
def test_aggregated_units_come_out_with_a_time_each(units: list[bytes], counts: list[int]) -> None:
    depacketiser = AacDepacketiser(PACKING)
    frames = fed(depacketiser, list(aggregated(units, counts)))
    assert [frame.data for frame in frames] == units
    assert [frame.timestamp for frame in frames] == [n * 1024 for n in range(len(units))]
    assert depacketiser.damaged == 0


@given(
    UNITS,
    st.builds(
        AacPacking,
        size_bits=st.integers(8, 16),
        index_bits=st.integers(0, 16),
        index_delta_bits=st.integers(0, 16),
        unit_ticks=st.integers(1, 4096),
    ),
)
def test_fields_of_any_width_are_read(units: list[bytes], packing: AacPacking) -> None:
    frames = fed(AacDepacketiser(packing), list(aggregated(units, [3], packing)))
    assert [frame.data for frame in frames] == units


@given(UNITS, st.integers(1, 90))
def test_fragments_are_put_together(units: list[bytes], step: int) -> None:
    depacketiser = AacDepacketiser(PACKING)
    frames = fed(depacketiser, list(fragmented(units, step)))
    assert [(f.data, f.timestamp) for f in frames] == [(u, n * 1024) for n, u in enumerate(units)]
    assert depacketiser.damaged == 0


@given(UNITS, st.integers(1, 90), st.data())
def test_units_after_losses_were_sent_and_are_in_order(
    units: list[bytes], step: int, data: st.DataObject
) -> None:
    numbered = [number.to_bytes(2, "big") + unit for number, unit in enumerate(units)]
    packets: list[Packet | None] = list(fragmented(numbered, step))
    missing = data.draw(st.sets(st.integers(0, len(packets) - 1)))
    touched = {
        packet[1] // 1024 for place, packet in enumerate(packets) if packet and place in missing
    }
    for place in missing:
        packets[place] = None
    frames = fed(AacDepacketiser(PACKING), packets)
    assert [f.data for f in frames] == [u for n, u in enumerate(numbered) if n not in touched]


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\x00",
        b"\x00\x00data",
        b"\xff\xffdata",
        b"\x00\x10\x00",
        b"\x00\x0f\x00\x08d",
        headers([0]) + b"data",
        headers([4, 0]) + b"data",
        headers([40]) + b"data",
        headers([2, 40]) + b"data",
    ],
    ids=[
        "nothing",
        "one octet",
        "no headers",
        "headers beyond the end",
        "half a header",
        "a header too short for its fields",
        "a unit of no length",
        "a second unit of no length",
        "a unit larger than the packet",
        "a second unit larger than the packet",
    ],
)
def test_a_packet_that_contradicts_itself_is_dropped_whole_and_counted(payload: bytes) -> None:
    depacketiser = AacDepacketiser(PACKING)
    assert fed(depacketiser, [(payload, 0, True)]) == []
    assert depacketiser.damaged == 1
    good = headers([4]) + b"good"
    assert [frame.data for frame in fed(depacketiser, [(good, 1024, True)])] == [b"good"]


@given(UNITS, st.booleans(), st.integers(1, 90))
def test_an_adts_header_is_taken_off_each_unit(
    units: list[bytes], with_checksum: bool, step: int
) -> None:
    def framed(unit: bytes) -> bytes:
        size = len(unit) + (9 if with_checksum else 7)
        fields = (0x40 | size >> 11, size >> 3 & 0xFF, 0x1F | size << 5 & 0xFF, 0xFC)
        checksum = b"\xab\xcd" if with_checksum else b""
        return bytes((0xFF, 0xF0 if with_checksum else 0xF1, 0x60, *fields)) + checksum + unit

    sent = list(map(framed, units))
    for packets in (aggregated(sent, [3]), fragmented(sent, step)):
        depacketiser = AacDepacketiser(PACKING)
        assert [frame.data for frame in fed(depacketiser, list(packets))] == units
        assert depacketiser.damaged == 0


@pytest.mark.parametrize("cut", [1, 30])
def test_a_unit_whose_adts_header_does_not_fit_it_is_dropped_and_counted(cut: int) -> None:
    frame = bytes((0xFF, 0xF1, 0x60, 0x40, 0x06, 0x5F, 0xFC)) + bytes(43)
    depacketiser = AacDepacketiser(PACKING)
    assert fed(depacketiser, list(aggregated([frame[:-cut], b"next"], [2])))[0].data == b"next"
    assert depacketiser.damaged == 1


def test_interleaved_units_are_refused() -> None:
    depacketiser = AacDepacketiser(PACKING)
    payload = b"\x00\x20" + struct.pack("!HH", 1 << 3, 1 << 3 | 2) + b"ab"
    assert fed(depacketiser, [(payload, 0, True)]) == []
    assert depacketiser.damaged == 1


def test_an_unfinished_unit_gives_way_to_the_next_and_is_counted() -> None:
    depacketiser = AacDepacketiser(PACKING)
    begun = (headers([9]) + b"begun", 0, False)
    whole = (headers([5]) + b"whole", 1024, True)
    assert [f.data for f in fed(depacketiser, [begun, whole])] == [b"whole"]
    assert depacketiser.damaged == 1


def test_fragments_with_a_loss_between_are_never_joined() -> None:
    depacketiser = AacDepacketiser(PACKING)
    first, last = (headers([8]) + b"head", 0, False), (headers([8]) + b"tail", 0, True)
    assert fed(depacketiser, [first, None, last]) == []
    assert depacketiser.damaged == 2


@given(st.lists(st.tuples(st.binary(max_size=60), st.integers(0, 3), st.booleans()), max_size=40))
def test_no_packets_break_it_or_make_it_hold_much(packets: list[Packet]) -> None:
    depacketiser = AacDepacketiser(PACKING)
    frames = fed(depacketiser, packets)
    assert sum(len(frame.data) for frame in frames) <= sum(len(packet[0]) for packet in packets)
    assert all(frame.data for frame in frames)
    assert len(depacketiser._part) < 1 << 13


@given(st.lists(st.binary(max_size=40), max_size=20))
def test_a_packet_of_g711_or_opus_is_a_unit(payloads: list[bytes]) -> None:
    depacketiser = WholePackets()
    packets = [(payload, number * 160, False) for number, payload in enumerate(payloads)]
    frames = fed(depacketiser, packets)
    assert [(f.data, f.timestamp) for f in frames] == [(p, t) for p, t, _ in packets if p]
    assert depacketiser.damaged == payloads.count(b"")
