# SPDX-License-Identifier: Apache-2.0
"""Configuration records: the parameter sets of our own muxer, and octets that are no record."""

from __future__ import annotations

import io
from itertools import islice

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from access_units import video_format
from camera_simulator.footage import prepared_clip
from camfleet_worker.containers.codec_template import format_template
from camfleet_worker.containers.configuration_record import (
    configuration_record,
    parameter_sets,
)
from camfleet_worker.containers.mp4 import header
from camfleet_worker.media_types.access_unit import Codec, VideoFormat


@pytest.mark.parametrize("name", ["240p-h264", "360p-h264", "240p-h265"])
def test_the_sets_that_the_muxer_put_into_a_record_come_out_of_it(name: str) -> None:
    video = video_format(prepared_clip(name))
    with format_template(video) as template:
        record = template.codec_context.extradata or b""
    assert set(parameter_sets(video.codec, record) or ()) == set(video.parameter_sets)


CUT_OFF = (
    bytes.fromhex("4001d001ffff016000000300907e0003000003003cba0240"),
    bytes.fromhex("420101016000000300900000030000030050a00a080f165b0e24cae68080000003008000"),
    bytes.fromhex("4401c172b46240"),
)
"""Sets of H.265 of which the SPS ends within its VUI."""


def test_a_record_of_sets_that_are_cut_off_is_made_at_once() -> None:
    """av's own parser does not come back from them within minutes (18.1)."""
    video = VideoFormat(Codec.H265, CUT_OFF, 320, 240)
    assert CUT_OFF[1] in header(video, 0, None)


@pytest.mark.parametrize("name", ["240p-h264", "240p-h264-b", "720p-h264", "240p-h265"])
def test_a_record_says_of_a_stream_what_av_says_of_it(name: str) -> None:
    clip = prepared_clip(name)
    made = configuration_record(video_format(clip))
    memory = io.BytesIO()
    with av.open(str(clip.stream_path)) as source, av.open(memory, "w", format="mp4") as container:
        stream = container.add_stream_from_template(source.streams.video[0])
        for packet in islice(source.demux(video=0), 5):
            packet.pts = packet.dts = packet.dts or 0
            packet.stream = stream
            container.mux(packet)
    memory.seek(0)
    with av.open(memory) as read:
        theirs = read.streams.video[0].codec_context.extradata or b""
    sets_at = 5 if clip.codec == "h264" else 13
    assert made[:sets_at] == theirs[:sets_at]


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
