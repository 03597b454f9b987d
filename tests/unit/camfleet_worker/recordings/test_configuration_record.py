# SPDX-License-Identifier: Apache-2.0
"""Configuration records: the parameter sets of our own muxer, and octets that are no record."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from access_units import video_format
from camera_simulator.footage import prepared_clip
from camfleet_worker.containers.codec_template import format_template
from camfleet_worker.media_types.access_unit import Codec
from camfleet_worker.recordings.configuration_record import parameter_sets


@pytest.mark.parametrize("name", ["240p-h264", "360p-h264", "240p-h265"])
def test_the_sets_that_the_muxer_put_into_a_record_come_out_of_it(name: str) -> None:
    video = video_format(prepared_clip(name))
    with format_template(video) as template:
        record = template.codec_context.extradata or b""
    assert set(parameter_sets(video.codec, record) or ()) == set(video.parameter_sets)


@given(codec=st.sampled_from(Codec), record=st.binary(max_size=64))
def test_any_octets_give_sets_or_none(codec: Codec, record: bytes) -> None:
    found = parameter_sets(codec, record)
    assert found is None or sum(len(unit) + 2 for unit in found) <= len(record)


@pytest.mark.parametrize("cut", [0, 5, 8, 20])
def test_a_record_cut_short_is_none(cut: int) -> None:
    video = video_format(prepared_clip("240p-h264"))
    with format_template(video) as template:
        record = template.codec_context.extradata or b""
    assert parameter_sets(Codec.H264, record[:cut]) is None
