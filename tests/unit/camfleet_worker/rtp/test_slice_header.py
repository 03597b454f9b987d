# SPDX-License-Identifier: Apache-2.0
"""Slice headers: what real B-frames say, and that nothing breaks the reader."""

from __future__ import annotations

from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from access_units import access_units
from camera_simulator.footage import prepared_clip
from camfleet_worker.media_types.access_unit import Codec, SliceFields
from camfleet_worker.rtp.parameter_sets import ParameterSets
from camfleet_worker.rtp.slice_header import (
    is_b_picture,
    parameter_set_number,
    picture_order_count,
)

FIELDS = SliceFields(False, 4, True, 6)


def test_the_pictures_of_an_encoder_tell_their_order_and_their_kind() -> None:
    clip = prepared_clip("240p-h264-b")
    video = ParameterSets(Codec.H264, clip.parameter_sets).format
    assert video is not None
    assert video.reordering.slices == FIELDS
    for place, unit in enumerate(islice(access_units(clip), clip.gop)):
        shown = clip.shown[place]
        assert is_b_picture(unit.data) == (shown % 3 != 0)
        assert picture_order_count(unit.data, FIELDS) == shown * 2 % 64


@pytest.mark.parametrize("number", ["1", "010", "00101"])
def test_the_order_count_of_an_idr_picture_lies_behind_its_number(number: str) -> None:
    """ITU-T H.264 section 7.3.3: first macroblock, type 7, PPS 0, frame number, idr_pic_id."""
    bits = "1" + "0001000" + "1" + "0000" + number + "101010" + "1"
    octets = int(bits.ljust(32, "0"), 2).to_bytes(4, "big")
    assert picture_order_count(b"\0\0\0\5\x65" + octets, FIELDS) == 0b101010


@pytest.mark.parametrize("codec", Codec)
def test_the_pictures_of_an_encoder_name_its_parameter_set(codec: Codec) -> None:
    clip = prepared_clip(f"240p-{codec.lower()}")
    numbers = {parameter_set_number(unit.data, codec) for unit in islice(access_units(clip), 30)}
    assert numbers == {0}


slice_fields = st.builds(
    SliceFields, st.booleans(), st.integers(0, 1 << 33), st.booleans(), st.integers(0, 1 << 33)
)


@given(st.binary(max_size=60), slice_fields)
def test_no_octets_break_the_reader(data: bytes, fields: SliceFields) -> None:
    for picture in (data, b"\0\0\0\x10\x65" + data, b"\0\0\0\0\0\0\0\2\x41" + data):
        is_b_picture(picture)
        for codec in Codec:
            parameter_set_number(picture, codec)
        picture_order_count(picture, fields)
