# SPDX-License-Identifier: Apache-2.0
"""Pictures from RTP payloads: whatever the packets look like, whatever is lost on the way."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from camera_simulator.clips import split_annex_b
from camfleet_worker.media_types.access_unit import Codec
from camfleet_worker.rtp import depacketiser as module
from camfleet_worker.rtp.depacketiser import Depacketiser, UntimedAccessUnit, depacketiser_for

H264_SETS = (
    bytes.fromhex("6742c00addec0440000003004000000c83c489a8"),
    bytes.fromhex("68ce0fc8"),
)
H265_SETS = (
    bytes.fromhex("40010c01ffff01600000030090000003000003001e959809"),
    bytes.fromhex("42010101600000030090000003000003001ea020810596566924caf01680"),
    bytes.fromhex("4401c172b46240"),
)
SETS = {Codec.H264: H264_SETS, Codec.H265: H265_SETS}


@dataclass(frozen=True)
class Packet:
    payload: bytes
    timestamp: int
    marker: bool
    picture_data: bool = True


def unit(codec: Codec, kind: int, body: bytes) -> bytes:
    return (bytes([0x60 | kind]) if codec is Codec.H264 else bytes([kind << 1, 1])) + body


def head_size(codec: Codec) -> int:
    return 1 if codec is Codec.H264 else 2


def fragments(codec: Codec, nal: bytes, size: int) -> Iterator[bytes]:
    """FU-A (RFC 6184 section 5.8) or FU (RFC 7798 section 4.4.3)."""
    head, body = nal[: head_size(codec)], nal[head_size(codec) :]
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    for index, part in enumerate(parts):
        flags = 0x80 * (index == 0) | 0x40 * (index == len(parts) - 1)
        if codec is Codec.H264:
            yield bytes([head[0] & 0xE0 | 28, flags | head[0] & 0x1F]) + part
        else:
            yield bytes([49 << 1, head[1], flags | head[0] >> 1]) + part


def aggregate(codec: Codec, nals: list[bytes]) -> bytes:
    """STAP-A (RFC 6184 section 5.7.1) or AP (RFC 7798 section 4.4.2)."""
    head = bytes([24]) if codec is Codec.H264 else bytes([48 << 1, 1])
    return head + b"".join(struct.pack("!H", len(nal)) + nal for nal in nals)


def key_kind(codec: Codec) -> int:
    return 5 if codec is Codec.H264 else 19


def delta_kind(codec: Codec) -> int:
    return 1


def make_picture(codec: Codec, key: bool, bodies: list[bytes]) -> list[bytes]:
    """Slices: only the first has its first-slice bit set."""
    kind = key_kind(codec) if key else delta_kind(codec)
    return [
        unit(codec, kind, (b"\x88" if index == 0 else b"\x08") + body)
        for index, body in enumerate(bodies)
    ]


def prefixed(nals: list[bytes]) -> bytes:
    return b"".join(struct.pack("!I", len(nal)) + nal for nal in nals)


def feed(
    target: Depacketiser, packets: list[Packet], lost: frozenset[int] = frozenset()
) -> list[UntimedAccessUnit]:
    gap = False
    for index, packet in enumerate(packets):
        if index in lost:
            gap = True
            continue
        # The payload stands somewhere in a larger buffer, which is overwritten right after.
        buffer = bytearray(b"\xee" * 7 + packet.payload + b"\xdd" * 5)
        end = 7 + len(packet.payload)
        target.push(memoryview(buffer), 7, end, packet.timestamp, packet.marker, gap)
        buffer[:] = bytes(len(buffer))
        gap = False
    return target.access_units


@st.composite
def streams(draw: st.DrawFn) -> tuple[Codec, list[tuple[bool, list[bytes]]], list[list[Packet]]]:
    """Pictures, and the packets of each in whatever mixture of forms a camera may choose."""
    codec = draw(st.sampled_from(list(Codec)))
    bodies = st.lists(st.binary(min_size=1, max_size=60), min_size=1, max_size=3)
    plans = draw(st.lists(st.tuples(st.booleans(), bodies), min_size=1, max_size=8))
    pictures, packets = [], []
    for index, (key, slices) in enumerate(plans):
        nals = make_picture(codec, key or index == 0, slices)
        pictures.append((key or index == 0, nals))
        sent = [*SETS[codec], *nals] if draw(st.booleans()) else nals
        packets.append(
            list(
                packetise(codec, sent, index * 3600, draw(st.integers(5, 50)), draw(st.booleans()))
            )
        )
    return codec, pictures, packets


def packetise(
    codec: Codec, nals: list[bytes], timestamp: int, size: int, together: bool
) -> Iterator[Packet]:
    payloads: list[tuple[bytes, bool]] = []
    if together and all(len(nal) <= size for nal in nals):
        end_of_sequence = unit(codec, 10 if codec is Codec.H264 else 36, b"")
        padded = aggregate(codec, [*nals, end_of_sequence]) + bytes(size % 7)
        payloads = [(padded if size % 2 else aggregate(codec, nals), True)]
    else:
        for nal in nals:
            parts = [nal] if len(nal) <= size else fragments(codec, nal, size)
            payloads += [(part, nal not in SETS[codec]) for part in parts]
    for index, (payload, picture_data) in enumerate(payloads):
        yield Packet(payload, timestamp, index == len(payloads) - 1, picture_data)


@given(streams(), st.booleans())
def test_every_picture_comes_out_as_it_went_in(
    stream: tuple[Codec, list[tuple[bool, list[bytes]]], list[list[Packet]]], markers: bool
) -> None:
    codec, pictures, packets = stream
    sent = [
        Packet(p.payload, p.timestamp, p.marker and markers) for group in packets for p in group
    ]
    flush = Packet(unit(codec, delta_kind(codec), b"\x88"), 99_999_999, False)
    received = feed(depacketiser_for(codec, SETS[codec]), [*sent, flush])
    assert [(p.key, p.data) for p in received] == [(key, prefixed(n)) for key, n in pictures]
    assert [p.timestamp for p in received] == [index * 3600 for index in range(len(pictures))]


@given(streams(), st.data())
def test_what_comes_out_after_a_loss_is_whole_and_refers_to_nothing_lost(
    stream: tuple[Codec, list[tuple[bool, list[bytes]]], list[list[Packet]]], data: st.DataObject
) -> None:
    codec, pictures, groups = stream
    packets = [packet for group in groups for packet in group]
    owner = [index for index, group in enumerate(groups) for _ in group]
    lost = data.draw(st.frozensets(st.integers(0, len(packets) - 1), max_size=4))
    received = feed(depacketiser_for(codec, SETS[codec]), packets, lost)

    harmed = {owner[index] for index in lost if packets[index].picture_data}
    usable, allowed = False, []
    for index, (key, nals) in enumerate(pictures):
        usable = index not in harmed and (key or usable)
        if usable:
            allowed.append((index * 3600, prefixed(nals)))
    delivered = [(p.timestamp, p.data) for p in received]
    # A picture may be dropped for the loss of parameter sets alone; none may have a hole.
    assert set(delivered) <= set(allowed)
    assert delivered == sorted(delivered)
    if not lost:
        assert delivered == allowed


@pytest.mark.parametrize("codec", list(Codec))
def test_after_a_loss_pictures_come_again_from_the_next_key_frame_on(codec: Codec) -> None:
    target = depacketiser_for(codec, SETS[codec])
    packets = [
        Packet(make_picture(codec, index % 4 == 0, [b"picture"])[0], index * 3600, True)
        for index in range(9)
    ]
    received = feed(target, packets, frozenset({1}))
    assert [p.timestamp // 3600 for p in received] == [0, 4, 5, 6, 7, 8]
    assert target.losses.awaiting_key == 2
    assert not target.awaiting_key


@pytest.mark.parametrize("codec", list(Codec))
def test_a_picture_that_lost_any_of_its_fragments_never_comes_out(codec: Codec) -> None:
    (key,) = make_picture(codec, True, [bytes(range(90))])
    parts = list(packetise(codec, [key], 0, 10, False))
    (following,) = make_picture(codec, True, [b"whole"])
    for lost in range(len(parts)):
        target = depacketiser_for(codec, SETS[codec])
        received = feed(target, [*parts, Packet(following, 1, True)], frozenset({lost}))
        assert [p.timestamp for p in received] == [1], f"fragment {lost} of {len(parts)} lost"


@pytest.mark.parametrize("codec", list(Codec))
def test_nothing_is_handed_out_before_the_first_key_frame(codec: Codec) -> None:
    target = depacketiser_for(codec, SETS[codec])
    packets = [
        Packet(make_picture(codec, index == 2, [b"x"])[0], index, True) for index in range(4)
    ]
    assert [p.timestamp for p in feed(target, packets)] == [2, 3]


@pytest.mark.parametrize("codec", list(Codec))
def test_joining_in_the_middle_of_a_key_frame_waits_for_a_whole_one(codec: Codec) -> None:
    slices = make_picture(codec, True, [b"one", b"two"])
    packets = [Packet(slices[1], 1, True), Packet(slices[0], 2, False), Packet(slices[1], 2, True)]
    target = depacketiser_for(codec, SETS[codec])
    assert [p.data for p in feed(target, packets)] == [prefixed(slices)]
    assert target.losses.damaged == 1


@pytest.mark.parametrize("codec", list(Codec))
def test_a_marker_on_every_slice_is_found_out(codec: Codec) -> None:
    pictures = [make_picture(codec, index % 2 == 0, [b"one", b"two"]) for index in range(8)]
    packets = [Packet(nal, index, True) for index, nals in enumerate(pictures) for nal in nals]
    received = feed(depacketiser_for(codec, SETS[codec]), packets)
    assert [p.data for p in received[1:]] == [prefixed(n) for n in pictures[2:-1]]


@pytest.mark.parametrize("codec", list(Codec))
def test_a_key_frame_without_any_parameter_sets_is_counted_and_dropped(codec: Codec) -> None:
    target = depacketiser_for(codec, ())
    (key,) = make_picture(codec, True, [b"x"])
    assert not feed(target, [Packet(key, 0, True)])
    assert target.losses.without_format == 1
    sets = [Packet(nal, 1, False) for nal in SETS[codec]]
    (picture,) = feed(target, [*sets, Packet(key, 1, True)])
    assert picture.format.parameter_sets == SETS[codec]
    assert picture.data == prefixed([key])


@pytest.mark.parametrize("codec", list(Codec))
def test_a_fragment_unit_that_never_ends_is_bounded(
    codec: Codec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_ACCESS_UNIT_BYTES", 10_000)
    target = depacketiser_for(codec, SETS[codec])
    first, *rest = fragments(codec, make_picture(codec, True, [bytes(1000)])[0], 100)
    endless = [Packet(first, 0, False)] + [Packet(rest[0], 0, False)] * 500
    (key,) = make_picture(codec, True, [b"x"])
    received = feed(target, [*endless, Packet(key, 1, True)])
    assert [p.timestamp for p in received] == [1]
    assert target.losses.damaged == 1
    assert target._size <= 10_000


@pytest.mark.parametrize("codec", list(Codec))
def test_a_picture_in_countless_tiny_fragments_is_bounded(
    codec: Codec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_PARTS", 100)
    target = depacketiser_for(codec, SETS[codec])
    first, *rest = fragments(codec, make_picture(codec, True, [bytes(1000)])[0], 1)
    tiny = [Packet(first, 0, False)] + [Packet(fragment, 0, False) for fragment in rest]
    tiny[-1] = Packet(rest[-1], 0, True)
    (key,) = make_picture(codec, True, [b"x"])
    feed(target, tiny[:-1])
    assert len(target._parts) <= 100
    received = feed(target, [tiny[-1], Packet(key, 1, True)])
    assert [p.timestamp for p in received] == [1]
    assert target.losses.damaged == 1


@pytest.mark.parametrize("codec", list(Codec))
@pytest.mark.parametrize("size", [0, 1, 2, 3])
def test_empty_packets_are_ignored(codec: Codec, size: int) -> None:
    (key,) = make_picture(codec, True, [b"x"])
    for kind in (28, 24) if codec is Codec.H264 else (49, 48):
        head = bytes([kind, 0x80]) if codec is Codec.H264 else bytes([kind << 1, 1, 0x80])
        target = depacketiser_for(codec, SETS[codec])
        packets = [Packet(head[:size], 0, False), Packet(key, 1, True)]
        assert [p.data for p in feed(target, packets)] == [prefixed([key])]


def other_pps(codec: Codec) -> bytes:
    """Another PPS of the same id."""
    return SETS[codec][-1] + b"\x11"


@pytest.mark.parametrize("codec", list(Codec))
def test_a_set_counts_from_the_picture_behind_it_on(codec: Codec) -> None:
    (key,) = make_picture(codec, True, [b"x"])
    (delta,) = make_picture(codec, False, [b"y"])
    sent = [key, delta, other_pps(codec), delta, delta, SETS[codec][-1], delta]
    packets = [Packet(nal, at, nal in (key, delta)) for at, nal in enumerate(sent)]
    received = feed(depacketiser_for(codec, SETS[codec]), packets)
    last_sets = [picture.format.parameter_sets[-1] for picture in received]
    plain, other = SETS[codec][-1], other_pps(codec)
    assert last_sets == [plain, plain, other, other, plain]


@pytest.mark.parametrize("codec", list(Codec))
def test_a_set_behind_a_slice_counts_from_the_next_picture_on(codec: Codec) -> None:
    """Some firmware sends it at the end of a picture, with that one's timestamp."""
    pictures = [make_picture(codec, at == 0, [b"one", b"two"]) for at in range(3)]
    packets = [Packet(nal, 0, False) for nal in (*pictures[0], other_pps(codec))]
    packets += [Packet(nal, at, False) for at in (1, 2) for nal in pictures[at]]
    target = depacketiser_for(codec, SETS[codec])
    first, second = feed(target, packets)
    assert first.format.parameter_sets == SETS[codec]
    assert second.format.parameter_sets == (*SETS[codec][:-1], other_pps(codec))


@pytest.mark.parametrize("codec", list(Codec))
def test_a_set_in_a_picture_that_lost_packets_counts_all_the_same(codec: Codec) -> None:
    (key,) = make_picture(codec, True, [b"x"])
    slices = make_picture(codec, False, [b"one", b"two", b"three"])
    damaged = [Packet(nal, 1, False) for nal in (*slices, other_pps(codec))]
    packets = [Packet(key, 0, True), *damaged, Packet(key, 2, True)]
    first, second = feed(depacketiser_for(codec, SETS[codec]), packets, frozenset({2}))
    assert first.format.parameter_sets == SETS[codec]
    assert second.format.parameter_sets == (*SETS[codec][:-1], other_pps(codec))


def encoded(width: int, height: int, set_id: int) -> list[bytes]:
    """The NAL units of one picture of x264, its parameter sets with that id."""
    encoder = av.CodecContext.create("libx264", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
    encoder.time_base = Fraction(1, 25)
    encoder.options = {"x264-params": f"sps-id={set_id}:slices=1:sliced-threads=0"}
    frame = av.VideoFrame.from_ndarray(
        np.zeros((height * 3 // 2, width), np.uint8), format="yuv420p"
    )
    data = b"".join(bytes(p) for p in [*encoder.encode(frame), *encoder.encode(None)])
    return [unit for unit in split_annex_b(data) if unit[0] & 31 in (5, 7, 8)]


def test_of_several_sps_the_one_that_a_key_frame_means_gives_the_size() -> None:
    small, large = encoded(320, 240, 0), encoded(640, 360, 1)
    sets = tuple(unit for unit in (*large, *small) if unit[0] & 31 != 5)
    packets = [
        Packet(nal, at, True)
        for at, picture in enumerate([small, large, small])
        for nal in picture
        if nal[0] & 31 == 5
    ]
    received = feed(depacketiser_for(Codec.H264, sets), packets)
    assert [picture.format.width for picture in received] == [320, 640, 320]
    assert all(set(picture.format.parameter_sets) == set(sets) for picture in received)


RECOVERY, NO_RECOVERY = b"\x06\x01\xc4\x80", b"\x06\x01\x44\x80"
"""sei_message: recovery_frame_cnt (or recovery_poc_cnt) 0, and 1."""
USER_DATA = b"\x05\x11" + b"u" * 17


def sei(codec: Codec, messages: bytes) -> bytes:
    return unit(codec, 6 if codec is Codec.H264 else 39, messages)


I_SLICE, P_SLICE = b"\x88\x80picture", b"\x9a\x80picture"
"""first_mb_in_slice 0, slice_type 7 and 5 (ITU-T H.264 section 7.3.3)."""


@pytest.mark.parametrize("codec", list(Codec))
@pytest.mark.parametrize("messages", [RECOVERY, USER_DATA + RECOVERY])
def test_a_recovery_point_is_a_place_to_start(codec: Codec, messages: bytes) -> None:
    picture = unit(codec, delta_kind(codec), I_SLICE)
    packets = [Packet(sei(codec, messages), 0, False), Packet(picture, 0, True)]
    packets.append(Packet(picture, 1, True))
    first, second = feed(depacketiser_for(codec, SETS[codec]), packets)
    assert (first.key, second.key) == (True, False)
    assert first.data == prefixed([sei(codec, messages), picture])


@pytest.mark.parametrize("codec", list(Codec))
@pytest.mark.parametrize("messages", [NO_RECOVERY, USER_DATA, b"\x06", b"\xff" * 9, b"\x06\xff"])
def test_any_other_message_is_none(codec: Codec, messages: bytes) -> None:
    picture = unit(codec, delta_kind(codec), I_SLICE)
    packets = [Packet(sei(codec, messages), 0, False), Packet(picture, 0, True)]
    assert not feed(depacketiser_for(codec, SETS[codec]), packets)


def test_a_recovery_point_before_a_picture_that_refers_to_others_is_none() -> None:
    picture = unit(Codec.H264, 1, P_SLICE)
    packets = [Packet(sei(Codec.H264, RECOVERY), 0, False), Packet(picture, 0, True)]
    assert not feed(depacketiser_for(Codec.H264, H264_SETS), packets)


@pytest.mark.parametrize("i_slice", [I_SLICE, b"\xb2\x80picture"])
def test_i_pictures_are_key_frames_where_no_others_come(i_slice: bytes) -> None:
    kinds = ([P_SLICE] * 49 + [i_slice]) * 6
    packets = [Packet(unit(Codec.H264, 1, one), at, True) for at, one in enumerate(kinds)]
    received = feed(depacketiser_for(Codec.H264, H264_SETS), packets)
    assert [picture.timestamp for picture in received if picture.key] == [149, 299]
    assert [picture.timestamp for picture in received] == list(range(149, 300))


payloads = st.binary(max_size=40) | st.builds(
    lambda head, rest: head + rest,
    st.sampled_from([b"\x7c\x85", b"\x7c\x45", b"\x78", b"\x62\x01\x93", b"\x60\x01", b"\x65\x88"]),
    st.binary(max_size=40),
)


@given(
    st.sampled_from(list(Codec)),
    st.lists(st.tuples(payloads, st.integers(0, 3), st.booleans(), st.booleans()), max_size=40),
)
def test_no_payload_breaks_it_and_all_it_hands_out_is_well_formed(
    codec: Codec, packets: list[tuple[bytes, int, bool, bool]]
) -> None:
    target = depacketiser_for(codec, SETS[codec])
    for payload, timestamp, marker, lost in packets:
        target.push(memoryview(payload), 0, len(payload), timestamp, marker, lost)
    for picture in target.access_units:
        at = 0
        while at < len(picture.data):
            (size,) = struct.unpack_from("!I", picture.data, at)
            at += 4 + size
        assert at == len(picture.data)
