# SPDX-License-Identifier: Apache-2.0
"""B-frames (quirk 48): pictures arrive in decoding order, and every sink shows them in their own.

A simulated camera plays a clip with B-frames, its timestamps stepping back. What was recorded and
relayed is decoded and compared with the source, picture by picture and time by time.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator
from itertools import islice, pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from av.container import InputContainer

from access_units import access_units
from camera_simulator import Camera, Simulator
from camera_simulator.clips import Clip
from camera_simulator.footage import prepared_clip
from camfleet_api.monitoring_system import RelayProtocol
from camfleet_worker.media.loop import MediaLoop
from camfleet_worker.media_types.access_unit import AccessUnit, Codec
from camfleet_worker.media_types.sink_state import SinkPhase
from camfleet_worker.record.housekeeping import VolumeSettings
from camfleet_worker.record.layout import parse_key, spans
from camfleet_worker.record.recording import RecordingSettings, RecordingSink
from camfleet_worker.record.volume import VolumeWriter
from camfleet_worker.relay.name_resolver import Resolver
from camfleet_worker.relay.rtmp.flv import FlvStream
from camfleet_worker.relay.rtmp.relay import RtmpRelay
from camfleet_worker.relay.rtsp.relay import RtspRelay
from camfleet_worker.relay.target import RelayTarget, StreamNames, relay_target
from eventually import eventually, eventually_async
from flv_file import flv_file
from media_pump import MediaPump
from rtsp_ingest import Ingest, camera_settings, is_the_clip
from vms import RecordServer, RtmpServer

CAMERAS = {
    "h264": ("h264", "b-frames"),
    "h264-undeclared": ("h264", "b-frames-undeclared"),
    "h265": ("h265", "b-frames"),
}
B_CLIPS = ["240p-h264-b", "240p-h265-b"]
FRAME = 3600


@pytest.fixture
def volume(tmp_path: Path) -> Iterator[VolumeWriter]:
    writer = VolumeWriter(VolumeSettings(tmp_path))
    writer.start()
    yield writer
    assert writer.close(within_s=10)


async def b_frame_camera(simulator: Simulator, name: str) -> Camera:
    codec, fault = CAMERAS[name]
    return await simulator.add(camera_settings(codec=codec, faults=(fault,)))


def decoded(data: bytes | Path, container: str) -> list[tuple[np.ndarray, float]]:
    """Pictures and their times in seconds, in the order in which a player shows them."""
    source = io.BytesIO(data) if isinstance(data, bytes) else str(data)
    with av.open(source, format=container) as opened:
        assert isinstance(opened, InputContainer)
        return [
            (picture.to_ndarray(format="gray"), float(picture.time or 0))
            for picture in opened.decode(video=0)
        ]


def pictures_of(clip: Clip) -> list[np.ndarray]:
    """The clip as its own decoder shows it."""
    shown = decoded(clip.stream_path.read_bytes(), "h264" if clip.codec == "h264" else "hevc")
    return [picture for picture, _ in shown]


def assert_decoding_times_are_consistent(units: list[AccessUnit]) -> None:
    assert all(before.dts_90k < after.dts_90k for before, after in pairwise(units))
    assert all(unit.composition_offset_90k >= 0 for unit in units)


def assert_shows_the_clip(path: Path, clip: Clip) -> None:
    """Pictures and times are the clip's, from a key frame on, round and round.

    Where the recording ended between a picture and one that is shown before it, one is missing.
    """
    shown, truth = decoded(path, "mp4"), pictures_of(clip)
    assert len(shown) == len(packet_times(path))
    (first,) = (
        place
        for place in range(0, len(truth), clip.gop)
        if np.array_equal(truth[place], shown[0][0])
    )
    numbers = [round(time_s * clip.fps) for _, time_s in shown]
    assert numbers[:-2] == list(range(len(numbers) - 2))
    assert all(before < after for before, after in pairwise(numbers))
    for number, (picture, time_s) in zip(numbers, shown, strict=True):
        assert np.array_equal(picture, truth[(first + number) % len(truth)]), number
        assert time_s == pytest.approx(number / clip.fps, abs=1e-6)


def packet_times(path: Path) -> list[tuple[int, int]]:
    with av.open(str(path)) as opened:
        return [
            (packet.pts, packet.dts)
            for packet in opened.demux(video=0)
            if packet.size and packet.pts is not None and packet.dts is not None
        ]


@pytest.mark.quirk(48)
@pytest.mark.parametrize("name", CAMERAS)
async def test_every_picture_keeps_the_time_at_which_it_is_shown(
    simulator: Simulator, media_loop: MediaLoop, name: str
) -> None:
    camera = await b_frame_camera(simulator, name)
    ingest = Ingest(camera, media_loop)
    await ingest.play()
    await ingest.received(60)
    assert is_the_clip(ingest.units, camera)
    assert_decoding_times_are_consistent(ingest.units)
    clip, times = camera.clips["main"], [unit.pts_90k for unit in ingest.units]
    assert [time - times[0] for time in times] == [
        clip.shown_at(place) * FRAME for place in range(len(times))
    ]


@pytest.mark.quirk(48)
@pytest.mark.parametrize("name", CAMERAS)
async def test_a_recording_shows_them_in_order_and_on_time(
    simulator: Simulator, media_loop: MediaLoop, volume: VolumeWriter, tmp_path: Path, name: str
) -> None:
    camera = await b_frame_camera(simulator, name)
    sink = RecordingSink(RecordingSettings("phu-yen/gate.0a1b2c3d"), volume)
    ingest = Ingest(camera, media_loop)
    ingest.add_sinks(sink)
    await ingest.play()
    await ingest.received(60)
    await ingest.stop()
    sink.close()
    await eventually_async(lambda: volume.busy_s(0) == 0 and volume.idle)
    segments = sorted(
        path for path in tmp_path.rglob("*.mp4") if path.stat().st_size and packet_times(path)
    )
    # A minute may end meanwhile, and a segment with it.
    assert sum(len(packet_times(path)) for path in segments) >= 2 * camera.clips["main"].gop
    for path in segments:
        times = packet_times(path)
        assert all(before < after for (_, before), (_, after) in pairwise(times))
        assert all(dts <= pts for pts, dts in times)
        assert_shows_the_clip(path, camera.clips["main"])


@pytest.mark.quirk(48)
@pytest.mark.parametrize("name", B_CLIPS)
def test_every_segment_of_a_recording_begins_at_zero_and_none_overlaps(
    volume: VolumeWriter, tmp_path: Path, name: str
) -> None:
    clip = prepared_clip(name)
    sink = RecordingSink(RecordingSettings("phu-yen/gate.0a1b2c3d", segment_s=2), volume)
    for unit in islice(access_units(clip, 1_700_000_040.0, first_pts=12_345), 225):
        sink.push(unit)
    sink.close()
    eventually(lambda: volume.busy_s(0) == 0 and volume.idle)
    segments = sorted(path for path in tmp_path.rglob("*.mp4") if packet_times(path))
    assert len(segments) == 5
    pictures = 0
    for path in segments:
        assert len(packet_times(path)) >= clip.gop
        assert_shows_the_clip(path, clip)
        pts, dts = packet_times(path)[0]
        assert pts == 0
        assert dts == -2 * FRAME
        pictures += len(packet_times(path))
    assert pictures == 225


@pytest.mark.quirk(48)
def test_a_recording_ends_after_the_picture_shown_last_not_the_one_decoded_last(
    volume: VolumeWriter, tmp_path: Path
) -> None:
    clip, began_s = prepared_clip("240p-h264-b"), 1_700_000_040.0
    assert clip.shown[25:29] == (25, 28, 26, 27)
    sink = RecordingSink(RecordingSettings("phu-yen/gate.0a1b2c3d"), volume)
    for unit in islice(access_units(clip, began_s), 29):
        sink.push(unit)
    sink.close()
    eventually(lambda: volume.busy_s(0) == 0 and volume.idle)
    names = (str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    (span,) = spans([key for name in names if (key := parse_key(name))])
    assert span.end_us == int((began_s + 29 / clip.fps) * 1e6)


def relay_to(protocol: RelayProtocol, url: str) -> RelayTarget:
    names = StreamNames("phu-yen", "s1", "gate", "0a1b2c3d")
    return relay_target(protocol, url, names, (Codec.H264, Codec.H265))


@pytest.mark.quirk(48)
@pytest.mark.parametrize("name", B_CLIPS)
def test_an_rtsp_relay_passes_them_on_as_they_came(name: str) -> None:
    clip, resolver = prepared_clip(name), Resolver()
    with RecordServer() as vms:
        target = relay_to(RelayProtocol.RTSP, vms.url("/live/gate"))
        sink = RtspRelay("vms", target, resolver, jitter=lambda: 0.05)
        with MediaPump(access_units(clip), sink, lossless=True) as pump:
            eventually(lambda: len(pump.pushed) > 80)
            pump.stop_feeding()
            eventually(lambda: sink.counters.access_units == len(pump.pushed))
            eventually(lambda: vms.streams()["/live/gate"].frames == len(pump.pushed))
            frames = vms.frames("/live/gate")
    resolver.close()
    hashes = itertools.cycle(clip.frame_hashes)
    assert [frame.sha256 for frame in frames] == list(islice(hashes, len(frames)))
    assert [round((frame.pts_s - frames[0].pts_s) * 1000) for frame in frames] == [
        clip.shown_at(place) * 40 for place in range(len(frames))
    ]


@pytest.mark.quirk(48)
@pytest.mark.parametrize("name", ["240p-h264-b"])
def test_an_rtmp_player_shows_them_in_order_and_on_time(name: str) -> None:
    clip = prepared_clip(name)
    with RtmpServer() as vms:
        sink = RtmpRelay("vms", relay_to(RelayProtocol.RTMP, vms.url("{camera}")))
        with MediaPump(access_units(clip), sink) as pump:
            eventually(lambda: "gate" in vms.streams() and sink.state.phase is SinkPhase.WORKING)
            with av.open(vms.url("gate"), timeout=15) as player:
                packets = list(islice((p for p in player.demux(video=0) if p.size), 60))
    place = [unit.data for unit in pump.pushed].index(bytes(packets[0]))
    times = [packet.pts or 0 for packet in packets]
    assert [time - times[0] for time in times] == [
        (clip.shown_at(place + number) - clip.shown_at(place)) * 40
        for number in range(len(packets))
    ]
    assert all((a.dts or 0) < (b.dts or 0) for a, b in pairwise(packets))
    assert all((packet.dts or 0) <= (packet.pts or 0) for packet in packets)


@pytest.mark.quirk(48)
@pytest.mark.parametrize("name", B_CLIPS)
def test_flv_carries_both_times(name: str) -> None:
    clip = prepared_clip(name)
    units = list(islice(access_units(clip, first_pts=500_000), 60))
    flv = FlvStream()
    octets = flv_file(tag for unit in units for tag in flv.add(unit))
    with av.open(io.BytesIO(octets), format="flv") as opened:
        assert isinstance(opened, InputContainer)
        packets = [packet for packet in opened.demux(video=0) if packet.size]
    assert [bytes(packet) for packet in packets] == [unit.data for unit in units]
    assert [packet.dts for packet in packets] == [place * 40 for place in range(60)]
    assert [packet.pts for packet in packets] == [(clip.shown[p] + 2) * 40 for p in range(60)]
