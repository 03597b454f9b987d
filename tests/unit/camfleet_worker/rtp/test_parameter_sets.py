# SPDX-License-Identifier: Apache-2.0
"""Parameter sets: sizes as real encoders write them, and when the format counts as changed."""

from __future__ import annotations

import functools
from fractions import Fraction

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from camera_simulator.footage import prepared_clip
from camfleet_worker.media_types.access_unit import Codec, Reordering, SliceFields
from camfleet_worker.rtp.bits import BitReader, BitsExhausted
from camfleet_worker.rtp.parameter_sets import (
    ParameterSets,
    parse_h264_sps,
    parse_h265_sps,
)


@functools.cache
def encoded_sets(
    codec: Codec, width: int, height: int, profile: str = "", pixels: str = "yuv420p"
) -> tuple[bytes, ...]:
    """The parameter sets that x264 or x265 puts before its first picture."""
    encoder = av.CodecContext.create("libx264" if codec is Codec.H264 else "libx265", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = width, height, pixels
    encoder.time_base = Fraction(1, 25)
    encoder.options = {"profile": profile} if profile else {}
    if codec is Codec.H265:
        encoder.options |= {"x265-params": "log-level=none"}
    frame = av.VideoFrame(width, height, pixels)
    data = b"".join(bytes(p) for p in [*encoder.encode(frame), *encoder.encode(None)])
    units = [unit.rstrip(b"\0") for unit in data.split(b"\0\0\1") if unit.rstrip(b"\0")]
    wanted = (7, 8) if codec is Codec.H264 else (32, 33, 34)
    return tuple(u for u in units if kind(codec, u) in wanted)


def kind(codec: Codec, unit: bytes) -> int:
    return unit[0] & 31 if codec is Codec.H264 else unit[0] >> 1 & 63


SIZES = [(64, 64), (322, 242), (640, 360), (704, 576), (1280, 720), (1920, 1080), (2560, 1440)]


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_the_size_of_an_h264_picture_is_the_one_shown(width: int, height: int) -> None:
    sps = parse_h264_sps(encoded_sets(Codec.H264, width, height)[0])
    assert (sps.width, sps.height) == (width, height)


@pytest.mark.parametrize(
    ("profile", "pixels"),
    [("baseline", "yuv420p"), ("main", "yuv420p"), ("high422", "yuv422p"), ("high444", "yuv444p")],
)
def test_every_h264_profile_is_read(profile: str, pixels: str) -> None:
    sps = parse_h264_sps(encoded_sets(Codec.H264, 350, 286, profile, pixels)[0])
    assert (sps.width, sps.height) == (350, 286)


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_the_size_of_an_h265_picture_is_the_one_shown(width: int, height: int) -> None:
    sps = parse_h265_sps(encoded_sets(Codec.H265, width, height)[1])
    assert (sps.width, sps.height) == (width, height)


def test_how_many_pictures_change_places_is_read_as_the_encoder_wrote_it() -> None:
    clips = {
        "240p-h264": Reordering(0, 0),
        "240p-h264-b": Reordering(2, 7, SliceFields(False, 4, True, 6)),
        "240p-h264-b-undeclared": Reordering(None, 7, SliceFields(False, 4, True, 6)),
        "240p-h265": Reordering(0, 0),
        "240p-h265-b": Reordering(2, 2),
    }
    for name, reordering in clips.items():
        sets = ParameterSets(Codec[name.split("-")[1].upper()], prepared_clip(name).parameter_sets)
        assert sets.format is not None
        found = sets.format.reordering
        assert (found.declared, found.most) == (reordering.declared, reordering.most), name
        if found.most:
            assert found == reordering, name


@pytest.mark.parametrize("profile", ["baseline", "main", "high", "high422", "high444"])
def test_every_bit_of_a_vui_may_be_missing(profile: str) -> None:
    pixels = {"high422": "yuv422p", "high444": "yuv444p"}.get(profile, "yuv420p")
    whole = encoded_sets(Codec.H264, 320, 240, profile, pixels)[0]
    read = 0
    for end in range(4, len(whole) + 1):
        try:
            sps = parse_h264_sps(whole[:end])
        except ValueError:
            continue
        read += 1
        assert (sps.width, sps.height) == (320, 240)
        assert sps.reordering.declared in (None, 0, 2)
    assert read > 3, "the size is enough"


def test_levels_bound_what_may_change_places() -> None:
    found = [
        parse_h264_sps(encoded_sets(Codec.H264, width, height, "main")[0]).reordering.most
        for width, height in SIZES
    ]
    assert found == [16, 7, 8, 5, 5, 4, 7]


@given(st.binary(max_size=60), st.integers(0, 25))
def test_no_vui_makes_a_picture_s_size_unreadable(tail: bytes, kept: int) -> None:
    whole = encoded_sets(Codec.H264, 320, 240, "main")[0]
    try:
        sps = parse_h264_sps(whole[: 8 + kept] + tail)
    except ValueError:
        return
    assert sps.reordering.declared is None or 0 <= sps.reordering.declared <= 16
    assert 0 <= sps.reordering.most <= 16


def test_interlaced_rows_count_twice() -> None:
    # A field-coded 1080i SPS of High profile: 68 macroblock rows of fields, cropped by 2 * 4.
    bits = "01100100" + "0" * 8 + "00101000" + "1"  # profile 100, level 40, id 0
    bits += "010" + "1" + "1" + "0" + "0"  # 4:2:0, eight bits, no scaling matrix
    bits += "1" + "1" + "1" + "010" + "0"  # frame_num, poc type 0, lsb, one reference, no gaps
    bits += "0000001111000" + "00000100010"  # 120 macroblocks wide, 34 map units high
    bits += "0" + "0" + "1"  # fields, not adaptive, 8x8 inference
    bits += "1" + "1" + "1" + "1" + "011" + "0"  # cropped at the bottom by 2 units of 4 rows
    bits += "1"
    bits += "0" * (-len(bits) % 8)
    sps = parse_h264_sps(b"\x67" + int(bits, 2).to_bytes(len(bits) // 8, "big"))
    assert (sps.width, sps.height) == (1920, 1080)


@pytest.mark.parametrize("codec", list(Codec))
def test_the_format_stays_the_same_object_until_a_byte_changes(codec: Codec) -> None:
    small, large = encoded_sets(codec, 64, 64), encoded_sets(codec, 640, 360)
    sets = ParameterSets(codec, small)
    first = sets.format
    assert first is not None
    for nal in small:
        sets.take(bytes(bytearray(nal)))
    assert sets.format is first
    for nal in large:
        sets.take(nal)
    second = sets.format
    assert second is not None
    assert (second.width, second.height) == (640, 360)
    assert second.parameter_sets == large


@pytest.mark.parametrize("codec", list(Codec))
def test_there_is_no_format_while_a_kind_is_missing(codec: Codec) -> None:
    *some, last = encoded_sets(codec, 64, 64)
    sets = ParameterSets(codec, tuple(some))
    assert sets.format is None
    sets.take(last)
    assert sets.format is not None


def test_a_flood_of_sets_is_bounded() -> None:
    sets = ParameterSets(Codec.H264, encoded_sets(Codec.H264, 64, 64))
    for set_id in range(400):
        code = set_id + 1
        bits = "0" * (code.bit_length() - 1) + f"{code:b}" + "1"
        bits += "0" * (-len(bits) % 8)
        sets.take(b"\x68" + int(bits, 2).to_bytes(len(bits) // 8, "big"))
    sets.take(b"\x68\x80" + bytes(100_000))
    assert sets.format is not None
    assert len(sets.format.parameter_sets) == 1 + 255
    assert sets.refused == 400 - 256 + 1 + 1
    for octet in range(100):
        sets.take(b"\x68\x80" + bytes([octet]) * 8000)
        assert sum(map(len, sets.format.parameter_sets)) <= 64 * 1024


@given(st.binary(max_size=80), st.sampled_from(list(Codec)))
def test_no_bytes_make_a_parser_fail_loudly(data: bytes, codec: Codec) -> None:
    sets = ParameterSets(codec, (data,))
    for head in (b"\x67", b"\x68", b"\x40\x01", b"\x42\x01", b"\x44\x01"):
        sets.take(head + data)


@given(st.integers(0, 2**32 - 2))
def test_exp_golomb_codes_are_read(value: int) -> None:
    code = value + 1
    bits = "0" * (code.bit_length() - 1) + f"{code:b}"
    bits += "0" * (-len(bits) % 8)
    assert BitReader(int(bits, 2).to_bytes(len(bits) // 8, "big")).unsigned() == value


def test_signed_codes_alternate() -> None:
    # 1, 010, 011, 00100, 00101: table 9-3 of ITU-T H.264.
    reader = BitReader(int("1010011001000010" + "1" + "0" * 7, 2).to_bytes(3, "big"))
    assert [reader.signed() for _ in range(5)] == [0, 1, -1, 2, -2]


def test_reading_past_the_end_is_refused() -> None:
    with pytest.raises(BitsExhausted):
        BitReader(b"\0").unsigned()
