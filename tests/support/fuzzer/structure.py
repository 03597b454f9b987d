# SPDX-License-Identifier: Apache-2.0
"""Mutations that keep the outer form, so that what lies behind the first check is reached: frames
keep their length, XML stays well-formed, lines stay lines."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence

from fuzzer.mutation import mutated

_ELEMENT = re.compile(rb"<([A-Za-z][\w:.-]*)(?:\s[^<>]*)?>[^<>]*</\1>")
_TEXT = re.compile(rb">([^<>]+)<")
_TEXTS = (
    b"", b" ", b"0", b"-1", b"1e999", b"NaN", b"true", b"9" * 30, b"2147483648", b"x" * 3000,
    b"http://203.0.113.9/onvif", b"rtsp://203.0.113.9:1/x", b"rtsp://u:p@[::1]:554/y", b"//",
    b"\xe2\x80\xae",
    b"PT0S", b"2021-13-45T99:99:99Z", b"{password}", b"%00", b"&#10;&#9;", b"&lt;a&gt;", b"H265",
    b"JPEG", b"\xc3\x28".decode("latin-1").encode(),
)  # fmt: skip


def mutated_frames(recordings: Sequence[bytes], number: int) -> bytes:
    """Interleaved frames whose payloads and RTP headers are hostile, in whole frames."""
    chance = random.Random(number)
    frames = _frames(chance.choice(recordings))
    # From the start, where the key frame is: without it nothing gets past the depacketiser.
    frames = frames[: chance.randint(3, 60)]
    for _ in range(chance.randint(1, 6)):
        chance.choice(_FRAME_CHANGES)(frames, chance)
    return b"".join(
        bytes((0x24, channel)) + len(payload[:65535]).to_bytes(2, "big") + payload[:65535]
        for channel, payload in frames
    )


def _frames(data: bytes) -> list[tuple[int, bytes]]:
    frames, at = [], 0
    while at + 4 <= len(data) and data[at] == 0x24:
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        frames.append((data[at + 1], data[at + 4 : at + 4 + length]))
        at += 4 + length
    return frames


_Frames = list[tuple[int, bytes]]


def _hostile_payload(frames: _Frames, chance: random.Random) -> None:
    """Anything behind the RTP header."""
    at = chance.randrange(len(frames))
    channel, packet = frames[at]
    frames[at] = (channel, packet[:12] + mutated([packet[12:] or b"\0"], chance.getrandbits(32)))


def _hostile_header(frames: _Frames, chance: random.Random) -> None:
    """Version, padding, extension, marker, payload type, sequence, timestamp, SSRC."""
    at = chance.randrange(len(frames))
    channel, packet = frames[at]
    header = bytearray(packet[:12])
    if header:
        header[chance.randrange(len(header))] = chance.randrange(256)
    frames[at] = (channel, bytes(header) + packet[12:])


def _hostile_kind(frames: _Frames, chance: random.Random) -> None:
    """Another NAL unit type or fragment header: FU, aggregation, reserved."""
    at = chance.randrange(len(frames))
    channel, packet = frames[at]
    head = bytes(chance.randrange(256) for _ in range(chance.randint(1, 4)))
    frames[at] = (channel, packet[:12] + head + packet[12 + len(head) :])


def _lose(frames: _Frames, chance: random.Random) -> None:
    if len(frames) > 1:
        del frames[chance.randrange(len(frames))]


def _swap(frames: _Frames, chance: random.Random) -> None:
    first, second = chance.randrange(len(frames)), chance.randrange(len(frames))
    frames[first], frames[second] = frames[second], frames[first]


def _again(frames: _Frames, chance: random.Random) -> None:
    at = chance.randrange(len(frames))
    frames[at:at] = [frames[at]] * chance.choice((1, 3, 30))


def _other_channel(frames: _Frames, chance: random.Random) -> None:
    at = chance.randrange(len(frames))
    frames[at] = (chance.choice((0, 1, 2, 3, 255)), frames[at][1])


_FRAME_CHANGES: tuple[Callable[[_Frames, random.Random], None], ...] = (
    _hostile_payload, _hostile_payload, _hostile_kind, _hostile_header, _lose, _swap, _again,
    _other_channel,
)  # fmt: skip


def mutated_elements(recordings: Sequence[bytes], number: int) -> bytes:
    """A SOAP answer that stays well-formed while its elements and their texts are hostile."""
    chance = random.Random(number)
    data = chance.choice(recordings)
    for _ in range(chance.randint(1, 6)):
        data = chance.choice(_XML_CHANGES)(data, chance)
    return data


def _text(data: bytes, chance: random.Random) -> bytes:
    found = list(_TEXT.finditer(data))
    if not found:
        return data
    one = chance.choice(found)
    return data[: one.start(1)] + chance.choice(_TEXTS) + data[one.end(1) :]


def _drop_element(data: bytes, chance: random.Random) -> bytes:
    return _with_element(data, chance, lambda element: b"")


def _repeat_element(data: bytes, chance: random.Random) -> bytes:
    return _with_element(data, chance, lambda element: element * chance.choice((2, 9, 200)))


def _rename_element(data: bytes, chance: random.Random) -> bytes:
    return _with_element(data, chance, lambda element: b"<odd>" + element + b"</odd>")


def _nest_element(data: bytes, chance: random.Random) -> bytes:
    depth = chance.choice((3, 50, 400))
    return _with_element(data, chance, lambda element: b"<n>" * depth + element + b"</n>" * depth)


def _attribute(data: bytes, chance: random.Random) -> bytes:
    found = list(re.finditer(rb'([\w:]+)="([^"<>]*)"', data))
    if not found:
        return data
    one = chance.choice(found)
    return (
        data[: one.start(2)]
        + chance.choice((b"", b"x" * 500, b"\xc3\xa9", b"0"))
        + data[one.end(2) :]
    )


def _with_element(data: bytes, chance: random.Random, change: Callable[[bytes], bytes]) -> bytes:
    found = list(_ELEMENT.finditer(data))
    if not found:
        return data
    one = chance.choice(found)
    return data[: one.start()] + change(one.group()) + data[one.end() :]


_XML_CHANGES = (
    _text, _text, _text, _drop_element, _repeat_element, _rename_element, _nest_element, _attribute,
)  # fmt: skip


def mutated_lines(recordings: Sequence[bytes], number: int) -> bytes:
    """Lines dropped, repeated, swapped, and hostile behind their first colon or equals sign."""
    chance = random.Random(number)
    lines = chance.choice(recordings).split(b"\r\n")
    for _ in range(chance.randint(1, 6)):
        at = chance.randrange(len(lines))
        kind = chance.randrange(4)
        if kind == 0 and len(lines) > 1:
            del lines[at]
        elif kind == 1:
            lines[at:at] = [lines[at]] * chance.choice((1, 60))
        elif kind == 2:
            other = chance.randrange(len(lines))
            lines[at], lines[other] = lines[other], lines[at]
        else:
            name, sign, value = lines[at].partition(b":")
            lines[at] = name + sign + mutated([value or b" "], chance.getrandbits(32))
    return b"\r\n".join(lines)
