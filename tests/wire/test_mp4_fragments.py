# SPDX-License-Identifier: Apache-2.0
"""Movie fragments of our own, read by FFmpeg: each picture comes back as it went in, and the index
at the end leads to where decoding can begin."""

from __future__ import annotations

import io
import struct
from itertools import islice

import av
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from access_units import access_units, video_format
from audio_units import audio_format, prepared_audio
from camera_simulator.footage import prepared_clip
from camfleet_worker.containers.boxes import boxes
from camfleet_worker.containers.mp4 import Mp4Segment

CLIPS = ["240p-h264", "240p-h264-b", "240p-h265", "240p-h265-b"]


@settings(max_examples=40)
@given(
    clip=st.sampled_from(CLIPS),
    steps=st.lists(st.integers(1, 300_000), min_size=1, max_size=80),
    begin=st.integers(-(1 << 20), 1 << 40),
)
def test_each_picture_comes_back_with_its_octets_times_and_kind(
    clip: str, steps: list[int], begin: int
) -> None:
    footage = prepared_clip(clip)
    units = list(islice(access_units(footage), len(steps)))
    first_offset = units[0].composition_offset_90k
    segment = Mp4Segment(video_format(footage), first_offset)
    dts, went_in, data = begin, [], b""
    for unit, step in zip(units, steps, strict=True):
        pts = dts + unit.composition_offset_90k
        data += bytes(segment.add(unit.data, pts, dts, step, unit.key).octets)
        went_in.append((unit.data, pts - begin - first_offset, dts - begin - first_offset, step))
        dts += step
    data += bytes(segment.finish().octets)
    with av.open(io.BytesIO(data), "r") as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    came_out = [(bytes(one), one.pts, one.dts, one.duration) for one in packets]
    assert came_out == went_in
    assert [one.is_keyframe for one in packets] == [unit.key for unit in units]


@pytest.mark.parametrize("clip", CLIPS)
def test_the_index_leads_to_every_key_frame(clip: str) -> None:
    footage = prepared_clip(clip)
    units = list(islice(access_units(footage), 80))
    segment = Mp4Segment(video_format(footage), units[0].composition_offset_90k, audio_format())
    audio_units = prepared_audio()
    data = b""
    for unit in units:
        data += bytes(segment.add(unit.data, unit.pts_90k, unit.dts_90k, 3_600, unit.key).octets)
        segment.add_audio(next(audio_units))
    data += bytes(segment.finish().octets)
    points = indexed(data)
    first_dts = units[0].dts_90k
    assert [time for time, _ in points] == [u.pts_90k - first_dts for u in units if u.key]
    fragments = {box.begin for box in boxes(data, 0, len(data)) if box.kind == b"moof"}
    assert {at for _, at in points} <= fragments


def indexed(data: bytes) -> list[tuple[int, int]]:
    """Time and place of each entry of the index, found from the file's end (section 8.8.11)."""
    (size,) = struct.unpack("!I", data[-4:])
    mfra = len(data) - size
    assert data[mfra + 4 : mfra + 8] == b"mfra"
    tfra = mfra + 8
    track, _, count = struct.unpack_from("!III", data, tfra + 12)
    assert (data[tfra + 4 : tfra + 8], data[tfra + 8], track) == (b"tfra", 1, 1)
    return [struct.unpack_from("!QQ", data, tfra + 24 + 19 * n) for n in range(count)]
