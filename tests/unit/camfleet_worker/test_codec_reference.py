# SPDX-License-Identifier: Apache-2.0
"""The table of codecs and outputs says what outputs do: each cell is held against its output."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import cast

import av
import pytest

from access_units import access_units, video_format
from audio_units import audio_format
from camera_simulator.clips import Clip
from camera_simulator.footage import prepared_clip
from camera_simulator.rtsp.audio import audio_track
from camera_simulator.settings import Audio
from camfleet_api.conditions import Reason
from camfleet_api.monitoring_system import RelayProtocol
from camfleet_worker.codec_reference import reference
from camfleet_worker.containers.mp4 import header
from camfleet_worker.media_types.access_unit import Codec
from camfleet_worker.media_types.audio_queue import AUDIO_BYTES
from camfleet_worker.media_types.audio_unit import AudioCodec, AudioFormat, AudioUnit
from camfleet_worker.media_types.codec_outputs import AUDIO_OUTPUTS, VIDEO_OUTPUTS
from camfleet_worker.media_types.delivery_log import DeliveryLog
from camfleet_worker.media_types.sink import AudioSink, Sink
from camfleet_worker.media_types.sink_state import SinkCounters
from camfleet_worker.picture.decoder import KeyFrameDecoder
from camfleet_worker.picture.sink import PictureSink
from camfleet_worker.record.recorded_audio import RecordedAudio
from camfleet_worker.record.write_progress import WriteProgress
from camfleet_worker.relay.name_resolver import Resolver
from camfleet_worker.relay.protocols import make_relay
from camfleet_worker.relay.rtmp.flv import FlvStream
from camfleet_worker.relay.rtsp.messages import describe
from camfleet_worker.relay.target import RelayTarget, unsupported_codec
from flv_file import flv_file
from picture_watch import ImmediateAnalyser

RECORDING, RTSP, RTMP, PICTURE = range(4)
FFMPEG_NAMES = {
    "h264": Codec.H264,
    "hevc": Codec.H265,
    "aac": AudioCodec.AAC,
    "pcm_mulaw": AudioCodec.PCMU,
    "pcm_alaw": AudioCodec.PCMA,
    "opus": AudioCodec.OPUS,
}


def table() -> list[list[str]]:
    """The cells of all lines, without the one that parts head and rows."""
    lines = re.findall(r"^\| (.*) \|$", reference(), re.MULTILINE)
    return [line.split(" | ") for line in lines if not line.startswith("---")]


HEAD, *ROWS = table()
CELLS = {row[0].strip("`"): row[1:] for row in ROWS}


def named(cell: str) -> list[str]:
    """What a cell calls the codec at that output."""
    return re.findall(r"`(.+?)`", cell)


def takes_audio(cell: str) -> bool:
    """Of audio a cell says yes or no and nothing between."""
    assert cell.partition(" ")[0] in ("yes", "no")
    return cell.startswith("yes")


def clip(codec: Codec) -> Clip:
    return prepared_clip(f"240p-{codec.lower()}")


def format_of(codec: AudioCodec) -> AudioFormat:
    return audio_format(cast(Audio, codec.lower()))


def audio_unit(codec: AudioCodec, data: bytes) -> AudioUnit:
    return AudioUnit(data, 0, 1_700_000_000.0, format_of(codec))


@pytest.fixture
def resolver() -> Iterator[Resolver]:
    resolver = Resolver()
    yield resolver
    resolver.close()


def target(protocol: RelayProtocol, *listed: Codec) -> RelayTarget:
    return RelayTarget(protocol, "vms.invalid", 554, "/live/gate", frozenset(listed))


def column(protocol: RelayProtocol) -> int:
    """Where the table has this protocol, by its head."""
    (at,) = [at for at, head in enumerate(HEAD[1:]) if protocol.upper() in head.split()]
    return at


def test_every_codec_has_its_row_and_every_protocol_its_column() -> None:
    assert list(CELLS) == [*Codec, *AudioCodec]
    assert set(VIDEO_OUTPUTS) == set(Codec)
    assert set(AUDIO_OUTPUTS) == set(AudioCodec)
    columns = [column(protocol) for protocol in RelayProtocol]
    assert columns == [RTSP, RTSP, RTMP, RTMP]


@pytest.mark.parametrize("codec", AudioCodec)
def test_recordings_take_the_audio_that_the_table_says(codec: AudioCodec) -> None:
    audio = RecordedAudio("phu-yen/gate", WriteProgress(SinkCounters(), DeliveryLog()))
    taken = audio.push(audio_unit(codec, b"\0\1"))
    assert taken == takes_audio(CELLS[codec][RECORDING])


@pytest.mark.parametrize("codec", [one for one in AudioCodec if AUDIO_OUTPUTS[one].recorded])
def test_audio_that_is_recorded_is_that_codec_in_the_file(codec: AudioCodec) -> None:
    made = header(video_format(clip(Codec.H264)), 0, format_of(codec))
    with av.open(io.BytesIO(made), "r") as container:
        assert FFMPEG_NAMES[container.streams.audio[0].codec_context.name] is codec


@pytest.mark.parametrize("codec", Codec)
def test_a_recording_has_the_video_under_the_name_in_the_table(codec: Codec) -> None:
    cell = CELLS[codec][RECORDING]
    assert cell.startswith("yes")
    with av.open(io.BytesIO(header(video_format(clip(codec)), 0, None)), "r") as container:
        context = container.streams.video[0].codec_context
        assert FFMPEG_NAMES[context.name] is codec
        assert named(cell) == [context.codec_tag]


@pytest.mark.parametrize("protocol", RelayProtocol)
@pytest.mark.parametrize("codec", AudioCodec)
def test_relays_take_the_audio_that_the_table_says(
    codec: AudioCodec, protocol: RelayProtocol, resolver: Resolver
) -> None:
    relay = make_relay("vms", target(protocol), resolver)
    assert isinstance(relay, AudioSink)
    # What is queued is seen by its overflow: a codec that is not taken never gets so far.
    relay.push_audio(audio_unit(codec, bytes(AUDIO_BYTES + 1)))
    taken = relay.counters.dropped_audio_units == 1
    relay.close()
    assert taken == takes_audio(CELLS[codec][column(protocol)])


@pytest.mark.parametrize("codec", AudioCodec)
def test_rtsp_announces_audio_under_the_name_in_the_table(codec: AudioCodec) -> None:
    sdp = describe(video_format(clip(Codec.H264)), 1, format_of(codec)).decode()
    (announced,) = re.findall(r"m=audio .*\r\na=rtpmap:\d+ (.+?)/", sdp)
    assert named(CELLS[codec][RTSP]) == [announced]


@pytest.mark.parametrize("codec", [one for one in AudioCodec if AUDIO_OUTPUTS[one].relayed_by_rtmp])
def test_audio_that_goes_by_rtmp_is_that_codec_in_its_tags(codec: AudioCodec) -> None:
    made = flv(Codec.H264, codec)
    with av.open(io.BytesIO(made), "r", format="flv") as container:
        assert FFMPEG_NAMES[container.streams.audio[0].codec_context.name] is codec


def flv(video: Codec, audio: AudioCodec | None = None) -> bytes:
    """One access unit as RTMP carries it, with a little audio beside it."""
    stream = FlvStream()
    tags = stream.add(next(access_units(clip(video))))
    if audio is not None:
        units = audio_track(cast(Audio, audio.lower())).units[:3]
        tags += [tag for data in units for tag in stream.add_audio(audio_unit(audio, data))]
    return flv_file(tags)


@pytest.mark.parametrize("codec", Codec)
def test_rtmp_names_the_video_as_in_the_table(codec: Codec) -> None:
    made = flv(codec)
    named_in_tags = [code for code in ("avc1", "hvc1", "hev1") if code.encode() in made]
    assert named(CELLS[codec][RTMP]) == named_in_tags


@pytest.mark.parametrize("protocol", RelayProtocol)
@pytest.mark.parametrize("codec", Codec)
def test_relays_take_the_video_that_the_table_says(
    codec: Codec, protocol: RelayProtocol, resolver: Resolver
) -> None:
    cell = CELLS[codec][column(protocol)]
    assert unsupported_codec(target(protocol, codec), codec) is None
    if cell.startswith("if the MonitoringSystem lists it"):
        others = [one for one in Codec if one is not codec]
        relay = make_relay("vms", target(protocol, *others), resolver)
        assert refusal(relay, clip(codec)) is Reason.VMS_CODEC_UNSUPPORTED
    else:
        assert cell.startswith("yes")
        assert unsupported_codec(target(protocol), codec) is None


def refusal(relay: Sink, footage: Clip) -> Reason | None:
    """What a relay says of the first access unit of a clip."""
    relay.push(next(access_units(footage)))
    error = relay.state.error
    relay.close()
    return None if error is None else error.reason


@pytest.mark.parametrize("codec", Codec)
def test_the_watch_on_the_picture_decodes_the_video_that_the_table_says(codec: Codec) -> None:
    assert CELLS[codec][PICTURE] == "yes"
    assert KeyFrameDecoder().decode(next(access_units(clip(codec)))).jpeg


@pytest.mark.parametrize("codec", AudioCodec)
def test_the_watch_on_the_picture_takes_no_audio(codec: AudioCodec) -> None:
    takes = isinstance(PictureSink(ImmediateAnalyser()), AudioSink)
    assert takes == takes_audio(CELLS[codec][PICTURE])
