# SPDX-License-Identifier: Apache-2.0
"""Clips and their RTP packets: whatever goes in comes out whole, numbered without a hole."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camera_simulator.clips import (
    AccessUnit,
    Clip,
    Codec,
    frame_hash,
    group_access_units,
    split_annex_b,
)
from camera_simulator.rtsp.packets import packetise, payloads_of
from camera_simulator.rtsp.session import Session
from camera_simulator.settings import CameraSettings

SLICE_HEADERS: dict[Codec, bytes] = {"h264": b"\x41\x9a", "h265": b"\x02\x01\xd0"}
KEY_HEADERS: dict[Codec, bytes] = {"h264": b"\x65\x88", "h265": b"\x26\x01\xaf"}
PARAMETERS: dict[Codec, list[bytes]] = {
    "h264": [b"\x67\x4d\x00\x1f", b"\x68\xee"],
    "h265": [b"\x40\x01\x0c", b"\x42\x01\x01", b"\x44\x01\xc0"],
}
codecs = st.sampled_from(["h264", "h265"])
# No byte below 4: emulation prevention keeps start codes out of real NAL units, and so do we.
contents = st.binary(min_size=1, max_size=6000).map(lambda b: bytes(x | 4 for x in b))


def clip_of(codec: Codec, frames: int = 50, gop: int = 10) -> Clip:
    units = []
    for number in range(frames):
        key = number % gop == 0
        header = (KEY_HEADERS if key else SLICE_HEADERS)[codec]
        picture = header + bytes([number % 100 + 100]) * (3000 if key else 500)
        units.append(AccessUnit((*(PARAMETERS[codec] if key else ()), picture), key))
    return Clip("test", Path(), codec, 640, 360, 25, gop, 500, tuple(units))


@given(codec=codecs, content=contents, limit=st.integers(10, 1500))
def test_fragments_put_together_are_the_nal_unit(codec: Codec, content: bytes, limit: int) -> None:
    unit = KEY_HEADERS[codec] + content
    payloads = list(payloads_of(unit, codec, limit))
    assert all(len(payload) <= limit for payload in payloads)
    assert put_together(payloads, codec) == unit


def put_together(payloads: list[bytes], codec: Codec) -> bytes:
    """A depacketiser written from RFC 6184 §5.8 and RFC 7798 §4.4.3, for one NAL unit."""
    if len(payloads) == 1:
        return payloads[0]
    header = 1 if codec == "h264" else 2
    marks = [payload[header] & 0xC0 for payload in payloads]
    assert marks == [0x80, *([0] * (len(payloads) - 2)), 0x40]
    first = payloads[0]
    if codec == "h264":
        restored = bytes([(first[0] & 0xE0) | (first[1] & 0x1F)])
    else:
        restored = bytes([(first[0] & 0x81) | ((first[2] & 0x3F) << 1), first[1]])
    return restored + b"".join(payload[header + 1 :] for payload in payloads)


@given(codec=codecs, pictures=st.lists(contents, min_size=1, max_size=5))
def test_a_byte_stream_is_split_where_it_was_joined(codec: Codec, pictures: list[bytes]) -> None:
    frames = [(*PARAMETERS[codec], KEY_HEADERS[codec] + picture) for picture in pictures]
    stream = b"".join(b"\x00\x00\x00\x01" + unit for frame in frames for unit in frame)
    found = list(group_access_units(split_annex_b(stream), codec))
    assert [frame.units for frame in found] == frames
    assert all(frame.key for frame in found)


@pytest.mark.parametrize("codec", ["h264", "h265"])
def test_the_hash_of_a_frame_ignores_everything_but_the_picture(codec: Codec) -> None:
    picture = KEY_HEADERS[codec] + b"picture"
    assert frame_hash([picture], codec) == frame_hash([*PARAMETERS[codec], picture], codec)
    assert frame_hash([picture], codec) != frame_hash([picture + b"x"], codec)
    assert frame_hash([picture, picture], codec) != frame_hash([picture], codec)


@pytest.mark.parametrize("codec", ["h264", "h265"])
def test_a_session_numbers_its_packets_without_a_hole_through_the_end_of_the_clip(
    codec: Codec,
) -> None:
    session = session_of(clip_of(codec), sequence=65_500)
    session.play(100.0)
    sent = [packet for now in steps(100.0, 104.0) for packet in packets_of(session, now)]
    sequences = [header(packet)[2] for packet in sent]
    assert sequences == [(65_500 + number) % 65_536 for number in range(len(sent))]
    timestamps = sorted({header(packet)[3] for packet in sent})
    assert len(timestamps) == 101, "one frame at once, then 25 a second, past the clip's 50"
    assert {b - a for a, b in itertools.pairwise(timestamps)} == {3600}


def test_every_frame_ends_with_a_marker_and_begins_with_a_key_frame() -> None:
    session = session_of(clip_of("h264"), start_frame=17)
    session.play(0.0)
    first = packets_of(session, 0.0)
    assert [header(packet)[1] >> 7 for packet in first] == [0] * (len(first) - 1) + [1]
    assert first[0][16] & 0x1F == 7, (
        "SPS before the key frame of frame 10, where frame 17's GOP begins"
    )


def test_a_session_that_was_held_up_skips_ahead_instead_of_bursting() -> None:
    session = session_of(clip_of("h264"))
    session.play(0.0)
    assert len(session.due(60.0, CameraSettings("gate"))) == 1


def test_without_keepalive_a_session_expires() -> None:
    session = session_of(clip_of("h264"))
    assert not session.expired(60.0)
    assert session.expired(60.1)


def session_of(clip: Clip, sequence: int = 0, start_frame: int = 0) -> Session:
    return Session(
        clip, packetise(clip), start_frame, 60.0, 0.0, sequence=sequence, base_timestamp=90_000
    )


def steps(start: float, end: float) -> Iterator[float]:
    now = start
    while now <= end + 1e-9:
        yield now
        now += 0.04


def packets_of(session: Session, now_s: float) -> list[bytes]:
    """What the session sends at that time, cut into its interleaved packets."""
    data = b"".join(session.due(now_s + 1e-6, CameraSettings("gate")))
    packets = []
    while data:
        length = 4 + int.from_bytes(data[2:4], "big")
        packets.append(data[:length])
        data = data[length:]
    return packets


def header(packet: bytes) -> tuple[int, int, int, int]:
    """First byte, marker and payload type, sequence number, timestamp."""
    first, second, sequence, timestamp = struct.unpack_from("!BBHI", packet, 4)
    return first, second, sequence, timestamp
