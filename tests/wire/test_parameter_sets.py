# SPDX-License-Identifier: Apache-2.0
"""Parameter sets that change before any picture, as often as they like: every picture lies on disk
and comes to the monitoring system, once, in order, and decodes.

FFmpeg is the player and, where it listens, a monitoring system that nobody here wrote. It gives up
at the first error, and the pictures of these clips make one by any other set than their own.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain, count, islice
from pathlib import Path

import av
import pytest

from access_units import access_units
from camera_simulator import Simulator
from camera_simulator.footage import prepared_clip
from camfleet_api.monitoring_system import RelayProtocol
from camfleet_worker.media.loop import MediaLoop
from camfleet_worker.media_types.access_unit import AccessUnit, Codec
from camfleet_worker.record.housekeeping import VolumeSettings
from camfleet_worker.record.recording import RecordingSettings, RecordingSink
from camfleet_worker.record.volume import VolumeWriter
from camfleet_worker.relay.name_resolver import Resolver
from camfleet_worker.relay.rtmp.relay import RtmpRelay
from camfleet_worker.relay.rtsp.relay import SIZES_ANNOUNCED_PER_HOUR, RtspRelay
from camfleet_worker.relay.target import RelayTarget, StreamNames, relay_target
from eventually import eventually, eventually_async
from media_pump import MediaPump
from rtsp_ingest import Ingest, camera_settings, is_the_clip
from vms import RecordServer

CODECS = ["h264", "h265"]
PREFIX = "phu-yen/gate.0a1b2c3d"


@pytest.fixture
def volume(tmp_path: Path) -> Iterator[VolumeWriter]:
    writer = VolumeWriter(VolumeSettings(tmp_path))
    writer.start()
    yield writer
    assert writer.close(within_s=10)


def strict(source: str | Path, **options: str) -> list[av.VideoFrame]:
    """All pictures; an error where one does not decode."""
    with av.open(str(source), timeout=30, options=options) as container:
        stream = container.streams.video[0]
        stream.codec_context.options = {"err_detect": "explode"}
        stream.codec_context.thread_count = 1
        return list(container.decode(stream))


def recorded(root: Path) -> list[list[av.VideoFrame]]:
    return [strict(path) for path in sorted(root.rglob("*.mp4"))]


def alternating(*names: str, groups: int = 1) -> Iterator[AccessUnit]:
    """So many groups of one clip, then of the other, on one timeline."""
    clips = [prepared_clip(name) for name in names]
    size = groups * clips[0].gop
    for turn in count():
        first = turn * size * 3600
        clip = clips[turn % len(clips)]
        yield from islice(access_units(clip, 1_700_000_040.0 + turn * size / 25, first), size)


@pytest.mark.quirk(61)
@pytest.mark.parametrize("codec", CODECS)
async def test_pictures_behind_a_changed_set_arrive_and_are_recorded_whole(
    simulator: Simulator, media_loop: MediaLoop, volume: VolumeWriter, tmp_path: Path, codec: str
) -> None:
    camera = await simulator.add(
        camera_settings(codec=codec, faults=("parameter-sets-change-within-a-group",))
    )
    ingest = Ingest(camera, media_loop)
    recording = RecordingSink(RecordingSettings(PREFIX), volume)
    ingest.add_sinks(recording)
    await ingest.play()
    await ingest.received(3 * camera.clips["main"].gop)
    await ingest.stop()
    recording.close()
    await eventually_async(lambda: volume.idle)
    assert is_the_clip(ingest.units, camera)
    files = recorded(tmp_path)
    assert sum(map(len, files)) == len(ingest.units)
    # A minute may end meanwhile, and a segment with it.
    assert len(files) <= 2


@pytest.mark.parametrize("codec", CODECS)
def test_sets_that_change_to_and_fro_beyond_the_cap_are_recorded_with_their_pictures(
    volume: VolumeWriter, tmp_path: Path, codec: str
) -> None:
    small, large = f"240p-{codec}", f"360p-{codec}"
    settings = RecordingSettings(PREFIX, format_changes_per_hour=2)
    sink = RecordingSink(settings, volume)
    for unit in islice(alternating(small, large), 250):
        sink.push(unit)
    sink.close()
    eventually(lambda: volume.idle)
    files = recorded(tmp_path)
    assert len(files) == 3
    assert [picture.width for picture in chain(*files)] == ([320] * 25 + [640] * 25) * 5


def test_b_frames_behind_sets_that_change_to_and_fro_are_recorded_with_them(
    volume: VolumeWriter, tmp_path: Path
) -> None:
    sink = RecordingSink(RecordingSettings(PREFIX, format_changes_per_hour=0), volume)
    for unit in islice(alternating("240p-h264-b", "240p-h264"), 250):
        sink.push(unit)
    sink.close()
    eventually(lambda: volume.idle)
    assert sum(map(len, recorded(tmp_path))) == 250


def test_a_player_that_begins_anywhere_decodes_a_segment_with_changed_sets(
    volume: VolumeWriter, tmp_path: Path
) -> None:
    sink = RecordingSink(RecordingSettings(PREFIX, format_changes_per_hour=0), volume)
    for unit in islice(alternating("240p-h264", "360p-h264"), 250):
        sink.push(unit)
    sink.close()
    eventually(lambda: volume.idle)
    (path,) = tmp_path.rglob("*.mp4")
    for place in range(1, 10):
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            stream.codec_context.options = {"err_detect": "explode"}
            container.seek(place * 90_000, stream=stream)
            picture = next(container.decode(stream))
        assert (picture.width, picture.pts) == ((320, 640)[place % 2], place * 90_000)


def relay_to(protocol: RelayProtocol, url: str) -> RelayTarget:
    names = StreamNames("phu-yen", "s1", "gate", "0a1b2c3d")
    return relay_target(protocol, url, names, (Codec.H264, Codec.H265))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def listening(url: str, **options: str) -> Iterator[list[av.VideoFrame | Exception]]:
    """FFmpeg as a monitoring system: the pictures that it has decoded, and its error."""
    got: list[av.VideoFrame | Exception] = []

    def watch() -> None:
        try:
            with av.open(url, timeout=30, options=options) as container:
                stream = container.streams.video[0]
                stream.codec_context.options = {"err_detect": "explode"}
                stream.codec_context.thread_count = 1
                for picture in container.decode(stream):
                    got.append(picture)
        except Exception as error:  # the test looks at it
            got.append(error)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    yield got
    thread.join(30)
    assert not thread.is_alive()


@pytest.mark.quirk(61)
@pytest.mark.parametrize("codec", CODECS)
def test_an_rtsp_relay_sends_a_changed_set_before_the_pictures_that_need_it(codec: str) -> None:
    resolver, port = Resolver(), free_port()
    url = f"rtsp://127.0.0.1:{port}/gate"
    with listening(url, rtsp_flags="listen", listen_timeout="30") as pictures:
        target = relay_to(RelayProtocol.RTSP, url)
        sink = RtspRelay("vms", target, resolver, jitter=lambda: 0.05)
        clip = prepared_clip(f"240p-{codec}-sets")
        with MediaPump(access_units(clip), sink, lossless=True) as pump:
            eventually(lambda: len(pictures) > 80 or sink.counters.connects > 1)
            pump.stop_feeding()
            eventually(lambda: sink.counters.access_units == len(pump.pushed))
    resolver.close()
    assert sink.counters.connects == 1
    assert not [one for one in pictures if isinstance(one, av.error.InvalidDataError)]
    assert sum(isinstance(one, av.VideoFrame) for one in pictures) >= len(pump.pushed) - 2


@pytest.mark.quirk(61)
def test_an_rtmp_relay_describes_changed_sets_before_the_pictures_that_need_them() -> None:
    url = f"rtmp://127.0.0.1:{free_port()}/live/gate"
    with listening(url, listen="1") as pictures:
        sink = RtmpRelay("vms", relay_to(RelayProtocol.RTMP, url), jitter=lambda: 0.05)
        clip = prepared_clip("240p-h264-sets")
        with MediaPump(access_units(clip), sink, lossless=True) as pump:
            eventually(lambda: len(pictures) > 80 or sink.counters.connects > 1)
            pump.stop_feeding()
            eventually(lambda: sink.counters.access_units == len(pump.pushed))
    assert sink.counters.connects == 1
    assert not [one for one in pictures if isinstance(one, av.error.InvalidDataError)]
    assert sum(isinstance(one, av.VideoFrame) for one in pictures) >= len(pump.pushed) - 2


def test_a_size_that_changes_to_and_fro_is_announced_a_few_times_and_loses_no_picture() -> None:
    resolver = Resolver()
    with RecordServer() as vms:
        target = relay_to(RelayProtocol.RTSP, vms.url("/live/gate"))
        sink = RtspRelay("vms", target, resolver, jitter=lambda: 0.05)
        source = alternating("240p-h264", "360p-h264")
        groups = SIZES_ANNOUNCED_PER_HOUR + 6
        with MediaPump(islice(source, groups * 25), sink, per_second=300, lossless=True) as pump:
            eventually(lambda: sink.counters.access_units == groups * 25, within_s=30)
            assert len(pump.pushed) == groups * 25
    resolver.close()
    assert sink.counters.connects == 1 + SIZES_ANNOUNCED_PER_HOUR
    assert sink.counters.dropped_access_units == 0
