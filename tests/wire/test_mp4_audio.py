# SPDX-License-Identifier: Apache-2.0
"""MP4 with audio: what comes out is accounted for, unit by unit, in whatever order it went in."""

from __future__ import annotations

import io
from itertools import islice

import av
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from access_units import access_units, video_format
from audio_units import audio_format, prepared_audio
from camera_simulator.footage import prepared_clip
from camfleet_worker.containers.boxes import boxes
from camfleet_worker.containers.mp4 import Mp4Segment, Muxed
from camfleet_worker.media_types.audio_unit import AudioCodec, AudioFormat

STEREO_48K = AudioFormat(AudioCodec.AAC, 48_000, 2, b"\x11\x90")
MONO_44K = AudioFormat(AudioCodec.AAC, 44_100, 1, b"\x12\x08")
SURROUND_48K = AudioFormat(AudioCodec.AAC, 48_000, 6, b"\x11\xb0")
BEHIND_SBR = AudioFormat(AudioCodec.AAC, 32_000, 2, b"\x2c\x12\x88\x00")


def packets(data: bytes, kind: str) -> int:
    with av.open(io.BytesIO(data), "r") as container:
        streams = [stream for stream in container.streams if stream.type == kind]
        return len([packet for packet in container.demux(streams) if packet.size])


@settings(max_examples=40)
@given(
    clip=st.sampled_from(["240p-h264", "240p-h264-b", "240p-h265"]),
    order=st.lists(st.booleans(), min_size=1, max_size=150),
    first_audio_90k=st.integers(0, 400_000),
)
def test_every_fragment_states_how_many_pictures_and_audio_units_it_holds(
    clip: str, order: list[bool], first_audio_90k: int
) -> None:
    footage = prepared_clip(clip)
    units, audio_units = access_units(footage), prepared_audio(first_pts=first_audio_90k)
    first = next(units)
    segment = Mp4Segment(video_format(footage), first.composition_offset_90k, audio_format())
    ready = [segment.add(first.data, first.pts_90k, first.dts_90k, 3_600, True)]
    for is_audio in order:
        if is_audio:
            segment.add_audio(next(audio_units))
        else:
            unit = next(units)
            ready.append(segment.add(unit.data, unit.pts_90k, unit.dts_90k, 3_600, unit.key))
    ready.append(segment.finish())
    whole = b"".join(bytes(muxed.octets) for muxed in ready)
    ftyp, moov, *_ = boxes(whole, 0, len(whole))
    assert (ftyp.kind, moov.kind) == (b"ftyp", b"moov")
    for muxed in filter(holds_fragments, ready):
        playable = whole[: moov.end] + bytes(muxed.octets).removeprefix(whole[: moov.end])
        assert packets(playable, "video") == muxed.units.access_units
        assert packets(playable, "audio") == muxed.units.audio_units
    assert sum(muxed.units.access_units for muxed in ready) == 1 + order.count(False)
    assert sum(muxed.units.audio_units for muxed in ready) == order.count(True)


def holds_fragments(muxed: Muxed) -> bool:
    data = bytes(muxed.octets)
    return any(box.kind == b"moof" for box in boxes(data, 0, len(data)))


@pytest.mark.parametrize(
    "audio", [STEREO_48K, MONO_44K, SURROUND_48K, BEHIND_SBR], ids=lambda audio: audio.config.hex()
)
def test_the_header_says_what_a_decoder_must_know(audio: AudioFormat) -> None:
    footage = prepared_clip("240p-h264")
    segment = Mp4Segment(video_format(footage), 0, audio)
    unit = next(access_units(footage))
    segment.add(unit.data, unit.pts_90k, unit.dts_90k, 3_600, True)
    with av.open(io.BytesIO(bytes(segment.finish().octets)), "r") as container:
        found = container.streams.audio[0].codec_context
        assert found.extradata == audio.config
        assert found.channels == audio.channels
        assert found.sample_rate == audio.clock_hz


def test_audio_lies_at_its_sample_however_long_it_has_gone_on() -> None:
    footage = prepared_clip("240p-h264")
    segment = Mp4Segment(video_format(footage), 0, MONO_44K)
    unit = next(access_units(footage))
    data = bytes(segment.add(unit.data, unit.pts_90k, unit.dts_90k, 3_600, True).octets)
    for number, audio in enumerate(islice(prepared_audio(audio=MONO_44K), 500)):
        audio.pts_90k = number * 1024 * 90_000 // 44_100
        segment.add_audio(audio)
    data += bytes(segment.finish().octets)
    with av.open(io.BytesIO(data), "r") as container:
        times = [packet.pts for packet in container.demux(audio=0) if packet.size]
    assert times == [number * 1024 for number in range(500)]
