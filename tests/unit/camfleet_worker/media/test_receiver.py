# SPDX-License-Identifier: Apache-2.0
"""The octets of a session: however they are cut, the same pictures and messages come out."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camfleet_worker.media.counters import StreamCounters
from camfleet_worker.media.receiver import StreamReceiver
from camfleet_worker.media_types.access_unit import Codec
from camfleet_worker.rtp.depacketiser import UntimedAccessUnit
from camfleet_worker.rtsp.client import PlayingStream
from camfleet_worker.rtsp.headers import InterleavedIds
from camfleet_worker.rtsp.message import (
    MessageError,
    Request,
    Response,
    serialise_frame,
    serialise_request,
    serialise_response,
)
from camfleet_worker.rtsp.session import RtspSession

SETS = (bytes.fromhex("6742c00addec0440000003004000000c83c489a8"), bytes.fromhex("68ce0fc8"))
H265_SETS = (
    bytes.fromhex("40010c01ffff01600000030090000003000003001e959809"),
    bytes.fromhex("42010101600000030090000003000003001ea020810596566924caf01680"),
    bytes.fromhex("4401c172b46240"),
)
SETS_OF = {Codec.H264: SETS, Codec.H265: H265_SETS}
NO_SOCKET = socket.socket()
NO_SOCKET.close()


class Heard:
    """A receiver with what has come out of it."""

    def __init__(self, codec: Codec = Codec.H264) -> None:
        self.messages: list[Request | Response] = []
        self.counters = StreamCounters()
        stream = PlayingStream(
            NO_SOCKET, RtspSession(None), InterleavedIds(2, 3), codec, 96, SETS_OF[codec], b""
        )
        self.receiver = StreamReceiver(stream, self.counters, self.messages.append)
        self.access_units: list[UntimedAccessUnit] = []
        self._rest = b""

    def feed(self, data: bytes) -> None:
        """As the loop does: one buffer for all, overwritten after each call."""
        buffer = bytearray(self._rest + data + b"\xaa" * 8)
        end = len(self._rest) + len(data)
        consumed = self.receiver.consume(memoryview(buffer), end, 5.0)
        self._rest = bytes(buffer[consumed:end])
        buffer[:] = bytes(len(buffer))
        self.access_units += self.receiver.take_access_units()


def rtp(
    sequence: int,
    timestamp: int,
    payload: bytes,
    *,
    kind: int = 96,
    first: int = 0x80,
    options: bytes = b"",
) -> bytes:
    head = struct.pack("!BBHII", first, 0x80 | kind, sequence & 0xFFFF, timestamp, 0xCAFE)
    return head + options + payload


def key(index: int) -> bytes:
    return b"\x65\x88key" + bytes([index])


def video(count: int, first: int = 65_533) -> Iterator[bytes]:
    for index in range(count):
        yield serialise_frame(2, rtp(first + index, index * 3600, key(index)))


def fragmented(codec: Codec, sizes: list[int], *, key_frame: bool) -> list[bytes]:
    """A slice in fragments of these sizes (RFC 6184 section 5.8, RFC 7798 section 4.4.3)."""
    kind = (5 if key_frame else 1) if codec is Codec.H264 else (19 if key_frame else 1)
    head = b"\x7c" if codec is Codec.H264 else bytes([49 << 1, 1])
    bits = [kind] * len(sizes)
    bits[0] |= 0x80
    bits[-1] |= 0x40
    return [
        head + bytes([bit, 0x88 if bit & 0x80 else index % 251]) + b"\x5a" * size
        for index, (bit, size) in enumerate(zip(bits, sizes, strict=True))
    ]


SIZES = st.integers(1, 12).flatmap(
    lambda count: st.lists(st.sampled_from([3, 9, 9, 9]), min_size=count + 1, max_size=count + 1)
)
HARM = st.lists(
    st.tuples(
        st.integers(0, 200),
        st.sampled_from(["lost", "twice", "swapped", "marker", "source", "stamp", "type", "end"]),
    ),
    max_size=4,
)


def harmed(packets: list[bytes], harm: list[tuple[int, str]]) -> list[bytes]:
    """The same packets after a bad line, or from a camera that has its own ideas."""
    packets = list(packets)
    for place, what in harm:
        at = place % len(packets)
        changed = bytearray(packets[at])
        if what == "lost":
            del packets[at : at + 1 if len(packets) > 1 else at]
        elif what == "twice":
            packets.insert(at, packets[at])
        elif what == "swapped":
            packets[at - 1], packets[at] = packets[at], packets[at - 1]
        else:
            byte, flip = {
                "marker": (1, 0x80),
                "source": (11, 1),
                "stamp": (7, 1),
                "type": (12, 1),
                "end": (13, 0x40),
            }[what]
            changed[byte] ^= flip
            packets[at] = bytes(changed)
    return packets


@given(
    st.sampled_from(list(Codec)),
    st.lists(SIZES, min_size=1, max_size=6),
    HARM,
    st.integers(65_500, 65_535),
)
def test_fragments_taken_in_a_run_are_what_they_are_one_by_one(
    codec: Codec, pictures: list[list[int]], harm: list[tuple[int, str]], first: int
) -> None:
    packets: list[bytes] = []
    for number, sizes in enumerate(pictures):
        payloads = fragmented(codec, sizes, key_frame=number % 3 == 0)
        for payload in payloads:
            packet = bytearray(rtp(first + len(packets), number * 3600, payload))
            packet[1] = 96 | 0x80 * (payload is payloads[-1])
            packets.append(bytes(packet))
    sent = [serialise_frame(2, packet) for packet in harmed(packets, harm)]
    together, one_by_one = Heard(codec), Heard(codec)
    together.feed(b"".join(sent))
    for frame in sent:
        one_by_one.feed(frame)
    assert together.access_units == one_by_one.access_units
    assert together.counters == one_by_one.counters
    if not harm:
        assert len(together.access_units) == len(pictures)


OTHERS = st.sampled_from(
    [
        b"",
        b"\r\n",
        serialise_frame(3, b"\x80\xc8\x00\x06" + bytes(24)),
        serialise_frame(0, b"a dead session's frame, longer than a header"),
        serialise_frame(2, b"tiny"),
        serialise_frame(9, b""),
        serialise_frame(2, rtp(7, 7, b"\x65\x88audio?", kind=97)),
        serialise_response(200, "OK", [("CSeq", "3")]),
        serialise_request("OPTIONS", "*", [("CSeq", "1")]),
    ]
)


@given(st.lists(OTHERS, min_size=12, max_size=12), st.lists(st.integers(1, 40), max_size=80))
def test_pictures_come_whole_however_the_stream_is_cut(
    others: list[bytes], cuts: list[int]
) -> None:
    data = b"".join(a + b for a, b in zip(others, video(12), strict=True))
    heard, at = Heard(), 0
    for size in [*cuts, len(data)]:
        heard.feed(data[at : at + size])
        at += size
    assert [p.data for p in heard.access_units] == [b"\0\0\0\x06" + key(i) for i in range(12)]
    assert (heard.counters.packets, heard.counters.lost_packets) == (12, 0)
    assert len(heard.messages) == sum(o[:1] in (b"R", b"O") for o in others)


@pytest.mark.parametrize(
    ("first", "options", "tail"),
    [
        (0x81, b"csrc", b""),
        (0x90, b"\xbe\xde\x00\x01word", b""),
        (0xA0, b"", b"\x00\x00\x03"),
        (0xB2, b"csrccsrc\xbe\xde\x00\x00", b"\x01"),
    ],
    ids=["csrc", "extension", "padding", "all"],
)
def test_the_options_of_an_rtp_header_are_taken_off(
    first: int, options: bytes, tail: bytes
) -> None:
    heard = Heard()
    heard.feed(serialise_frame(2, rtp(1, 1, key(1) + tail, first=first, options=options)))
    assert [p.data for p in heard.access_units] == [b"\0\0\0\x06" + key(1)]


def test_a_missing_packet_is_counted() -> None:
    heard = Heard()
    frames = list(video(5))
    heard.feed(b"".join(frames[:2] + frames[4:]))
    assert heard.counters.lost_packets == 2
    assert len(heard.access_units) == 3


def test_a_sender_report_is_kept_and_a_receiver_report_answers_it() -> None:
    heard = Heard()
    assert heard.receiver.receiver_report(6.0) is None
    report = struct.pack("!BBHIQIII", 0x80, 200, 6, 0xCAFE, 1 << 40, 90_000, 1, 1)
    heard.feed(next(video(1)) + serialise_frame(3, report))
    assert heard.receiver.sender_report is not None
    assert heard.receiver.sender_report.timestamp == 90_000
    answer = heard.receiver.receiver_report(6.0)
    assert answer is not None
    assert answer[:2] == b"$\x03"
    assert struct.unpack_from("!I", answer, 4 + 8) == (0xCAFE,)


@pytest.mark.parametrize(
    "garbage",
    [b"\x00" * 20, b"\x17$\x09\xff\xff$", b"\xff$\x02\x00\x01$\x02\x00\x40\x00", b"\x00RTSP"],
)
def test_octets_between_packets_are_passed_over(garbage: bytes) -> None:
    first, *rest = video(3)
    heard = Heard()
    heard.feed(first + garbage + b"".join(rest))
    assert len(heard.access_units) == 3
    assert heard.counters.garbage_bytes == len(garbage)


def test_garbage_is_passed_over_however_it_is_cut() -> None:
    first, *rest = video(3)
    heard = Heard()
    for octet in first + b"\x00\x17\xff$\x09\xff\xffzz$\x00\x00" + b"".join(rest):
        heard.feed(bytes([octet]))
    assert len(heard.access_units) == 3


def test_a_little_garbage_for_ever_is_borne_and_much_of_it_is_not() -> None:
    heard = Heard()
    for packet in video(100):
        heard.feed(b"\x00" * 1000 + packet)
    assert len(heard.access_units) == 100
    with pytest.raises(MessageError):
        heard.feed(b"\x00" * 70_000)


@given(st.lists(st.binary(max_size=60) | OTHERS, max_size=20))
def test_no_octets_raise_anything_but_message_error(parts: list[bytes]) -> None:
    heard = Heard()
    try:
        for part in parts:
            heard.feed(part)
    except MessageError:
        pass


@given(st.binary(min_size=12, max_size=80))
def test_no_rtp_packet_breaks_the_receiver(packet: bytes) -> None:
    heard = Heard()
    heard.feed(serialise_frame(2, packet[:1] + b"\xe0" + packet[2:]) + next(video(1)))
    assert heard.access_units or heard.counters.packets == 2
