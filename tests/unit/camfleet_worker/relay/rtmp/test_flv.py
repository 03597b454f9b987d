# SPDX-License-Identifier: Apache-2.0
"""FLV tags: times for as long as a stream lasts, and what a player reads of H.265."""

from __future__ import annotations

import io
from dataclasses import replace
from itertools import islice, pairwise

import av
import pytest
from av.container import InputContainer

from access_units import access_units, video_format
from audio_units import audio_format
from camera_simulator.footage import prepared_clip
from camfleet_worker.media_types.access_unit import AccessUnit
from camfleet_worker.media_types.audio_unit import AudioUnit
from camfleet_worker.relay.rtmp.flv import AUDIO, SCRIPT_DATA, VIDEO, FlvStream
from flv_file import flv_file

CLIP = prepared_clip("240p-h264")
DAY_90K = 86_400 * 90_000


def unit_at(pts_90k: int) -> AccessUnit:
    return replace(next(access_units(CLIP)), pts_90k=pts_90k)


@pytest.mark.parametrize("days", [0, 24, 25, 49, 50, 400])
def test_video_and_audio_have_one_clock_of_32_bits_however_long_a_stream_lasts(days: int) -> None:
    stream, audio = FlvStream(), audio_format("aac")
    stream.add(unit_at(0))
    stream.add_audio(AudioUnit(b"\x21", 0, 0.0, audio))
    at = days * DAY_90K + 3600
    (video,) = stream.add(replace(unit_at(at), format=video_format(CLIP)))[-1:]
    (sound,) = stream.add_audio(AudioUnit(b"\x21", at, 0.0, audio))
    assert video.at_ms == sound.at_ms == (days * 86_400_000 + 40) % (1 << 32)


def test_metadata_and_configuration_come_again_where_they_change_and_only_then() -> None:
    stream = FlvStream()
    small, large = (prepared_clip(name) for name in ("240p-h264", "360p-h264"))
    kinds = [[tag.kind for tag in stream.add(next(access_units(clip)))] for clip in (small, small)]
    assert kinds == [[SCRIPT_DATA, VIDEO, VIDEO], [VIDEO]]
    assert [tag.kind for tag in stream.add(next(access_units(large)))] == [
        SCRIPT_DATA,
        VIDEO,
        VIDEO,
    ]
    known = video_format(large)
    *others, pps = known.parameter_sets
    changed = replace(known, parameter_sets=(*others, pps[:-1] + bytes((pps[-1] ^ 0x10,))))
    unit = replace(next(access_units(large)), key=False, format=changed)
    assert [tag.kind for tag in stream.add(unit)] == [VIDEO, VIDEO]


def test_audio_before_the_first_access_unit_is_left_out() -> None:
    stream, audio = FlvStream(), audio_format("aac")
    assert stream.add_audio(AudioUnit(b"\x21", 0, 0.0, audio)) == []
    stream.add(unit_at(7200))
    assert stream.add_audio(AudioUnit(b"\x21", 3600, 0.0, audio)) == []
    tags = stream.add_audio(AudioUnit(b"\x21", 7200, 0.0, audio))
    assert [tag.kind for tag in tags] == [AUDIO, AUDIO]


@pytest.mark.parametrize("name", ["240p-h264", "240p-h264-b", "240p-h265", "240p-h265-b"])
def test_a_player_decodes_every_picture_at_its_time(name: str) -> None:
    clip = prepared_clip(name)
    stream = FlvStream()
    octets = flv_file(tag for unit in islice(access_units(clip), 60) for tag in stream.add(unit))
    with av.open(io.BytesIO(octets), format="flv") as opened:
        assert isinstance(opened, InputContainer)
        video = opened.streams.video[0]
        video.codec_context.options = {"err_detect": "explode"}
        shown = [round((picture.time or 0) * 1000) for picture in opened.decode(video)]
        assert (video.width, video.height) == (clip.width, clip.height)
    assert len(shown) == 60
    assert {after - before for before, after in pairwise(shown[:58])} == {40}
