# SPDX-License-Identifier: Apache-2.0
"""Pictures in packets as firmware makes them (quirk 34), and pictures that change their size
(quirk 35): each ends in the pictures that were sent."""

from __future__ import annotations

from pathlib import Path

import av
import pytest

from camera_simulator import Simulator
from camfleet_worker.media.loop import MediaLoop
from camfleet_worker.record.housekeeping import VolumeSettings
from camfleet_worker.record.recording import RecordingSettings, RecordingSink
from camfleet_worker.record.volume import VolumeWriter
from rtsp_ingest import Ingest, camera_settings, is_the_clip


@pytest.mark.quirk(34)
@pytest.mark.parametrize("codec", ["h264", "h265"])
@pytest.mark.parametrize(
    "fault",
    [
        "sdp-without-parameter-sets",
        "marker-on-each-unit",
        "no-marker",
        "annex-b-in-rtp",
        "empty-packets",
        "changing-fragment-type",
        "aggregated-packets",
    ],
)
async def test_every_picture_arrives_whole_however_it_is_packed(
    simulator: Simulator, media_loop: MediaLoop, fault: str, codec: str
) -> None:
    camera = await simulator.add(camera_settings(codec=codec, faults=(fault,)))
    ingest = Ingest(camera, media_loop)
    await ingest.play()
    await ingest.received(60)
    assert is_the_clip(ingest.units, camera)
    assert ingest.counters.damaged_access_units <= 1
    assert ingest.counters.skipped_access_units == 0


@pytest.mark.quirk(50)
@pytest.mark.parametrize("codec", ["h264", "h265"])
async def test_padding_behind_the_units_of_a_packet_damages_no_picture(
    simulator: Simulator, media_loop: MediaLoop, codec: str
) -> None:
    camera = await simulator.add(
        camera_settings(codec=codec, faults=("aggregated-packets-padded",))
    )
    ingest = Ingest(camera, media_loop)
    await ingest.play()
    await ingest.received(60)
    assert is_the_clip(ingest.units, camera)
    assert ingest.counters.skipped_access_units == 0


@pytest.mark.quirk(62)
@pytest.mark.parametrize("fault", ["open-groups", "open-groups-without-idr"])
async def test_segments_begin_at_recovery_points_where_there_are_no_idr_pictures(
    simulator: Simulator, media_loop: MediaLoop, tmp_path: Path, fault: str
) -> None:
    volume = VolumeWriter(VolumeSettings(tmp_path))
    volume.start()
    camera = await simulator.add(camera_settings(faults=(fault,)))
    ingest = Ingest(camera, media_loop)
    recording = RecordingSink(RecordingSettings("phu-yen/gate.0a1b2c3d", segment_s=1), volume)
    ingest.add_sinks(recording)
    await ingest.play()
    await ingest.received(80)
    await ingest.stop()
    recording.close()
    assert volume.close(within_s=10)
    assert not ingest.errors
    assert ingest.counters.key_frames >= 3
    files = sorted(tmp_path.rglob("*.mp4"))
    assert len(files) >= 3
    assert sum(map(_pictures_in, files)) == len(ingest.units)


@pytest.mark.quirk(35)
@pytest.mark.parametrize("codec", ["h264", "h265"])
@pytest.mark.parametrize("fault", ["picture-size-flips", "picture-size-flips-packed"])
async def test_another_picture_size_begins_a_segment_and_ends_no_session(
    simulator: Simulator, media_loop: MediaLoop, tmp_path: Path, codec: str, fault: str
) -> None:
    volume = VolumeWriter(VolumeSettings(tmp_path))
    volume.start()
    settings = camera_settings(resolution="360p", codec=codec, faults=(fault,))
    camera = await simulator.add(settings)
    ingest = Ingest(camera, media_loop)
    recording = RecordingSink(RecordingSettings("phu-yen/gate.0a1b2c3d"), volume)
    ingest.add_sinks(recording)
    await ingest.play()
    await ingest.received(3 * camera.clips["main"].gop)
    await ingest.stop()
    recording.close()
    assert volume.close(within_s=10)
    assert not ingest.errors
    assert {unit.format.height for unit in ingest.units} == {240, 360}
    files = sorted(tmp_path.rglob("*.mp4"))
    heights = [_decoded(path) for path in files]
    assert [set(each) for each in heights][:3] in ([{360}, {240}, {360}], [{240}, {360}, {240}])
    assert sum(map(len, heights)) == len(ingest.units)


def _pictures_in(path: Path) -> int:
    with av.open(str(path)) as container:
        return sum(1 for packet in container.demux(video=0) if packet.size)


def _decoded(path: Path) -> list[int]:
    with av.open(str(path)) as container:
        return [frame.height for frame in container.decode(video=0)]
