# SPDX-License-Identifier: Apache-2.0
"""A recording made hostile: the same number always gives the same input."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

_TOKENS = (
    b"$", b"$\x00\xff\xff", b"$\x01\x00\x00", b"\r\n", b"\r\n\r\n", b"\n", b"\x00", b"\xff" * 4,
    b"Content-Length: 999999999\r\n", b"Content-Length: -1\r\n", b"Session: ;timeout=0\r\n",
    b"CSeq: 99999999999999999999\r\n", b"RTSP/1.0 200 OK\r\n", b"RTSP/1.0 401 Unauthorized\r\n",
    b"WWW-Authenticate: Digest realm=\"\\\"", b"WWW-Authenticate: Digest nonce=\"" + b"n" * 300,
    b"Transport: RTP/AVP/TCP;interleaved=255-256\r\n", b"Location: rtsp://203.0.113.9/\r\n",
    b"m=video 0 RTP/AVP 96\r\n", b"a=control:rtsp://203.0.113.9:1/x\r\n", b"a=rtpmap:96 H265/0\r\n",
    b"a=fmtp:96 sprop-parameter-sets=,,====\r\n", b"\x00\x00\x00\x01", b"\x7c\x85", b"\x7c\x45",
    b"\x7c\x05", b"\x78\x00\x00", b"\x62\x01\x93", b"\x60\x01\xff\xff", b"\x67\x42\x00\x1f\xff",
    b"<!DOCTYPE x [<!ENTITY a \"b\">]>", b"&a;", b"<![CDATA[", b"]]>", b"<s:Body/>", b"&#x0;",
    b"xmlns=\"\"", b"</s:Envelope>", b"\xe2\x80\xae", b"\xed\xa0\x80", b"{password}", b"%", b"%zz",
    b"9" * 40, b"-1", b"1e999", b"NaN", b"[::1", b"http://203.0.113.9/", b"A" * 5000,
)  # fmt: skip
"""What parsers stumble over. 203.0.113.9 is of a block for documentation (RFC 5737): an input that
made us connect there would be a finding."""

_EDGES = (0, 1, 2, 0x7F, 0x80, 0xFE, 0xFF)


def mutated(recordings: Sequence[bytes], number: int) -> bytes:
    """Input `number` of the endless sequence that these recordings give."""
    chance = random.Random(number)
    data = bytearray(chance.choice(recordings))
    if len(data) > 4096 and chance.random() < 0.8:
        start = chance.randrange(len(data))
        data = data[start : start + chance.randint(64, 4096)]
    for _ in range(1 + int(chance.expovariate(0.35))):
        chance.choice(_CHANGES)(data, chance)
    if chance.random() < 0.1:
        other = chance.choice(recordings)
        data += other[chance.randrange(len(other)) :][:2048]
    return bytes(data)


def cuts(data: bytes, number: int) -> list[bytes]:
    """The input in pieces, as a network may deliver it."""
    chance = random.Random(number ^ 0x5EED)
    pieces, at = [], 0
    while at < len(data):
        size = chance.choice((1, 3, 17, 200, 1460, len(data)))
        pieces.append(data[at : at + size])
        at += size
    return pieces


def _flip(data: bytearray, chance: random.Random) -> None:
    if data:
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def _edge(data: bytearray, chance: random.Random) -> None:
    if data:
        data[chance.randrange(len(data))] = chance.choice(_EDGES)


def _drop(data: bytearray, chance: random.Random) -> None:
    if data:
        start = chance.randrange(len(data))
        del data[start : start + chance.randint(1, 64)]


def _repeat(data: bytearray, chance: random.Random) -> None:
    if data:
        start = chance.randrange(len(data))
        piece = data[start : start + chance.randint(1, 64)]
        data[start:start] = piece * chance.choice((1, 2, 40))


def _move(data: bytearray, chance: random.Random) -> None:
    if data:
        start = chance.randrange(len(data))
        piece = data[start : start + 32]
        del data[start : start + 32]
        at = chance.randrange(len(data) + 1)
        data[at:at] = piece


def _end(data: bytearray, chance: random.Random) -> None:
    del data[chance.randrange(len(data) + 1) :]


def _token(data: bytearray, chance: random.Random) -> None:
    at = chance.randrange(len(data) + 1)
    data[at:at] = chance.choice(_TOKENS)


def _line(data: bytearray, chance: random.Random) -> None:
    """Repeat or drop a whole line: the unit of RTSP, SDP and HTTP."""
    lines = bytes(data).split(b"\n")
    at = chance.randrange(len(lines))
    lines[at : at + 1] = [lines[at]] * chance.choice((0, 2, 50))
    data[:] = b"\n".join(lines)


_CHANGES: tuple[Callable[[bytearray, random.Random], None], ...] = (
    _flip, _flip, _edge, _edge, _drop, _repeat, _move, _end, _token, _token, _line,
)  # fmt: skip
