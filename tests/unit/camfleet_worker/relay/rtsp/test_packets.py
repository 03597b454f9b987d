# SPDX-License-Identifier: Apache-2.0
"""RTP packets: whatever goes in can be put together again by the rules of the RFCs."""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camfleet_worker.media_types.access_unit import AccessUnit, Codec, VideoFormat
from camfleet_worker.relay.rtsp.packets import MAX_PAYLOAD, Packetiser

SETS = {
    Codec.H264: (b"\x67\x42\xc0\x0d\x01", b"\x68\xce\x3c"),
    Codec.H265: (b"\x40\x01\x0c", b"\x42\x01\x01", b"\x44\x01\xc0"),
}


@st.composite
def access_units(draw: st.DrawFn) -> AccessUnit:
    codec = draw(st.sampled_from(list(Codec)))
    first = {Codec.H264: [0x65, 0x41, 0x06], Codec.H265: [0x26, 0x02, 0x4E]}[codec]
    units = []
    for _ in range(draw(st.integers(1, 3))):
        size = draw(
            st.sampled_from(
                [3, 100, MAX_PAYLOAD - 1, MAX_PAYLOAD, MAX_PAYLOAD + 1, 2 * MAX_PAYLOAD]
            )
            | st.integers(3, 5 * MAX_PAYLOAD)
        )
        head = bytes((draw(st.sampled_from(first)), 1))
        units.append(head + draw(st.binary(min_size=8, max_size=8)) * (size // 8 + 1))
    return AccessUnit(
        data=b"".join(len(unit).to_bytes(4, "big") + unit for unit in units),
        key=draw(st.booleans()),
        pts_90k=draw(st.integers(0, 1 << 34)),
        arrived_at=0.0,
        origin_at=0.0,
        format=VideoFormat(codec, SETS[codec], 320, 240),
    )


class Packet:
    """One RTP packet behind its interleaved head."""

    def __init__(self, channel: int, data: bytes) -> None:
        self.channel = channel
        first, second, self.sequence, self.timestamp, self.ssrc = struct.unpack("!BBHII", data[:12])
        assert first == 0x80
        self.marker, self.payload_type = bool(second & 0x80), second & 0x7F
        self.payload = data[12:]


def interleaved(parts: list[bytes | memoryview]) -> Iterator[Packet]:
    stream = b"".join(parts)
    at = 0
    while at < len(stream):
        assert stream[at] == 0x24
        size = int.from_bytes(stream[at + 2 : at + 4], "big")
        yield Packet(stream[at + 1], stream[at + 4 : at + 4 + size])
        at += 4 + size
    assert at == len(stream)


def video(codec: Codec) -> VideoFormat:
    return VideoFormat(codec, SETS[codec], 1, 1)


def received(codec: Codec, packets: list[Packet]) -> list[bytes]:
    """The NAL units in packets: RFC 6184 section 5.2, RFC 7798 section 4.4."""
    lead = 1 if codec is Codec.H264 else 2
    aggregate, split = (24, 28) if codec is Codec.H264 else (48, 49)
    units: list[bytes] = []
    for packet in packets:
        payload = packet.payload
        kind = payload[0] & 0x1F if codec is Codec.H264 else payload[0] >> 1 & 0x3F
        if kind == aggregate:
            at = lead
            while at < len(payload):
                size = int.from_bytes(payload[at : at + 2], "big")
                units.append(payload[at + 2 : at + 2 + size])
                at += 2 + size
        elif kind == split:
            head = payload[lead]
            if head & 0x80:
                if codec is Codec.H264:
                    units.append(bytes((payload[0] & 0xE0 | head & 0x1F,)))
                else:
                    units.append(bytes((payload[0] & 0x81 | (head & 0x3F) << 1, payload[1])))
            assert (head & 0xC0) != 0xC0, "a start that is an end must not be split"
            units[-1] += payload[lead + 1 :]
        else:
            units.append(payload)
    return units


@given(st.lists(access_units(), min_size=1, max_size=4), st.integers(0, 0xFFFF))
def test_units_come_out_as_they_went_in_and_numbers_have_no_gap(
    units: list[AccessUnit], first_sequence: int
) -> None:
    expected_sequence = first_sequence
    for codec in Codec:
        packetiser = Packetiser(video(codec), 0xCAFE, expected_sequence, 12_345)
        sent: list[Packet] = []
        for unit in (unit for unit in units if unit.format.codec is codec):
            parts: list[bytes | memoryview] = []
            packetiser.append(unit, parts)
            packets = list(interleaved(parts))
            sets = SETS[codec] if unit.key else ()
            framed = b"".join(
                len(nal).to_bytes(4, "big") + nal for nal in received(codec, packets)[len(sets) :]
            )
            assert tuple(received(codec, packets)[: len(sets)]) == sets
            assert framed == unit.data
            assert [packet.marker for packet in packets] == [False] * (len(packets) - 1) + [True]
            assert {packet.timestamp for packet in packets} == {(unit.pts_90k + 12_345) % (1 << 32)}
            assert {(packet.ssrc, packet.channel) for packet in packets} == {(0xCAFE, 0)}
            assert max(len(packet.payload) for packet in packets) <= MAX_PAYLOAD
            for packet in packets:
                assert packet.sequence == expected_sequence
                expected_sequence = (expected_sequence + 1) % (1 << 16)
            sent += packets
        octets = sum(len(packet.payload) for packet in sent)
        assert (packetiser.packets, packetiser.octets) == (len(sent), octets)


@pytest.mark.parametrize("codec", Codec)
def test_parameter_sets_too_large_to_stand_together_stand_alone(codec: Codec) -> None:
    sets = tuple(unit + bytes([7]) * 1000 for unit in SETS[codec])
    nal = {Codec.H264: b"\x65\x01", Codec.H265: b"\x26\x01"}[codec] + b"picture"
    unit = AccessUnit(
        len(nal).to_bytes(4, "big") + nal, True, 0, 0.0, 0.0, VideoFormat(codec, sets, 1, 1)
    )
    parts: list[bytes | memoryview] = []
    Packetiser(unit.format, 1, 0, 0).append(unit, parts)
    assert received(codec, list(interleaved(parts))) == [*sets, nal]


@pytest.mark.parametrize("codec", Codec)
def test_a_set_that_changes_before_any_picture_stands_before_that_picture(codec: Codec) -> None:
    known = video(codec)
    *others, last = known.parameter_sets
    changed = dataclasses.replace(known, parameter_sets=(*others, last + b"\1"))
    nal = {Codec.H264: b"\x41\x01", Codec.H265: b"\x02\x01"}[codec] + b"picture"
    packetiser = Packetiser(known, 1, 0, 0)
    sent = []
    for one in (known, changed, changed, known):
        parts: list[bytes | memoryview] = []
        unit = AccessUnit(len(nal).to_bytes(4, "big") + nal, False, 0, 0.0, 0.0, one)
        packetiser.append(unit, parts)
        sent.append(received(codec, list(interleaved(parts))))
    assert sent == [[nal], [last + b"\1", nal], [nal], [last, nal]]


def test_a_sender_report_binds_the_timeline_to_the_wall_clock() -> None:
    """RFC 3550 section 6.4.1."""
    known = video(Codec.H264)
    packetiser = Packetiser(known, 0xCAFE, 0, 100)
    nal = b"\x41\x01\x02"
    parts: list[bytes | memoryview] = []
    packetiser.append(AccessUnit(b"\0\0\0\x03" + nal, False, 0, 0.0, 0.0, known), parts)
    report = packetiser.sender_report(90_000, 1.5)
    dollar, channel, size = struct.unpack("!BBH", report[:4])
    assert (dollar, channel, size) == (0x24, 1, len(report) - 4)
    head, kind, words, ssrc, ntp_s, ntp_fraction, rtp, packets, octets = struct.unpack(
        "!BBHIIIIII", report[4:]
    )
    assert (head, kind, words, ssrc) == (0x80, 200, 6, 0xCAFE)
    assert (ntp_s, ntp_fraction) == (2_208_988_801, 1 << 31)
    assert (rtp, packets, octets) == (90_100, 1, 3)
