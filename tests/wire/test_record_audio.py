# SPDX-License-Identifier: Apache-2.0
"""Audio in the recording: every unit beside its picture, and no picture later for it."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate, islice, pairwise, takewhile
from pathlib import Path
from typing import Any

import av
import pytest

from access_units import access_units
from audio_units import audio_format, prepared_audio, push_side_by_side
from camera_simulator import Simulator
from camera_simulator.clips import Clip
from camera_simulator.footage import prepared_clip
from camera_simulator.settings import Audio
from camfleet_worker.media.loop import MediaLoop
from camfleet_worker.media_types.access_unit import AccessUnit
from camfleet_worker.media_types.audio_unit import AudioUnit
from camfleet_worker.media_types.sink_state import SinkPhase
from camfleet_worker.metrics.collector import WorkerCollector
from camfleet_worker.record.housekeeping import VolumeSettings
from camfleet_worker.record.layout import Span, parse_key, spans
from camfleet_worker.record.recording import RecordingSettings, RecordingSink
from camfleet_worker.record.volume import VolumeWriter
from eventually import eventually, eventually_async
from rtsp_ingest import Ingest, camera_settings
from worker_parts import PASSWORD as WORKER_PASSWORD
from worker_parts import CameraObjects, SecretObjects, WorkerParts, entry, policy_to

PREFIX = "phu-yen/gate.0a1b2c3d"
START_S = 1_700_000_040.0  # 40 s before a full minute of UTC
OPEN_PICTURES = 27
"""Of 25 a second: those of the open fragment, the one that the muxer holds, the one held back."""


@dataclass(frozen=True)
class Track:
    """Packets of one kind in one file: bytes and seconds."""

    data: list[bytes]
    at_s: list[float]


@pytest.fixture(params=["240p-h264", "240p-h265", "240p-h264-b"])
def clip(request: pytest.FixtureRequest) -> Clip:
    return prepared_clip(request.param)


@pytest.fixture
def volume(tmp_path: Path) -> Iterator[VolumeWriter]:
    writer = VolumeWriter(VolumeSettings(tmp_path), wall=lambda: START_S)
    writer.start()
    yield writer
    assert writer.close(within_s=10)


def recorder(volume: VolumeWriter, **settings: Any) -> RecordingSink:
    return RecordingSink(RecordingSettings(PREFIX, **settings), volume)


def pictures(clip: Clip, seconds: float) -> list[AccessUnit]:
    return list(islice(access_units(clip, START_S), int(seconds * 25)))


def tone(begin_s: float, end_s: float, **how: object) -> list[AudioUnit]:
    """Audio heard between these two, counted from the first picture."""
    first_pts = int(begin_s * 90_000)
    units = prepared_audio(START_S + begin_s, first_pts, **how)  # type: ignore[arg-type]
    return list(takewhile(lambda unit: unit.pts_90k < end_s * 90_000, units))


def record(
    volume: VolumeWriter,
    seen: list[AccessUnit],
    heard: Iterable[AudioUnit],
    sink: RecordingSink | None = None,
) -> RecordingSink:
    sink = sink or recorder(volume, segment_s=5)
    push_side_by_side(sink, seen, heard)
    sink.close()
    eventually(lambda: volume.idle)
    return sink


def on_disk(sink: RecordingSink, pictures: int) -> Callable[[], bool]:
    return lambda: sink.counters.access_units >= pictures


def announced(sink: RecordingSink) -> RecordingSink:
    """The same recorder when it has heard audio before its first picture."""
    sink.push_audio(next(prepared_audio(first_pts=0)))
    return sink


def found_spans(root: Path) -> list[Span]:
    names = (str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())
    return spans(key for name in names if (key := parse_key(name)))


def track(path: Path, kind: str) -> Track:
    with av.open(str(path)) as container:
        streams = [stream for stream in container.streams if stream.type == kind]
        packets = [packet for packet in container.demux(streams) if packet.size] if streams else []
        return Track(
            [bytes(packet) for packet in packets],
            [float((packet.pts or 0) * (packet.time_base or 0)) for packet in packets],
        )


def has_audio(path: Path) -> bool:
    with av.open(str(path)) as container:
        return bool(container.streams.audio)


def heard_samples(path: Path) -> int:
    with av.open(str(path)) as container:
        return sum(frame.samples for frame in container.decode(audio=0))


def test_every_audio_unit_lies_in_the_file_of_its_pictures_with_its_time(
    clip: Clip, volume: VolumeWriter, tmp_path: Path
) -> None:
    seen, heard = pictures(clip, 20), tone(0, 20)
    sink = record(volume, seen, heard, announced(recorder(volume, segment_s=5)))
    (span,) = found_spans(tmp_path)
    assert len(span.segments) == 4
    begins = [segment.at_us for segment in span.segments] + [span.end_us or 0]
    data: list[bytes] = []
    for segment, until_us in zip(span.segments, begins[1:], strict=True):
        path = tmp_path / str(segment)
        audio_units = track(path, "audio")
        first_s = segment.at_us / 1e6 - START_S
        for at_s, unit in zip(audio_units.at_s, heard[len(data) :], strict=False):
            assert at_s == pytest.approx(unit.pts_90k / 90_000 - first_s, abs=1e-4)
        assert 0 <= audio_units.at_s[0] < 0.064
        assert audio_units.at_s[-1] < (until_us - segment.at_us) / 1e6
        assert heard_samples(path) == 1024 * len(audio_units.data)
        data += audio_units.data
    # The audio of the last tick comes when the sink is closed already.
    assert data == [unit.data for unit in heard[: len(data)]]
    assert len(data) > len(heard) - 5
    assert sink.counters.audio_units == len(data)
    assert sink.counters.access_units == len(seen)


def test_pictures_lie_as_they_would_without_audio(
    clip: Clip, volume: VolumeWriter, tmp_path: Path
) -> None:
    seen = pictures(clip, 12)
    record(volume, seen, tone(0, 12), announced(recorder(volume, segment_s=5)))
    (span,) = found_spans(tmp_path)
    assert [segment.at_us for segment in span.segments] == [
        int((START_S + offset) * 1e6) for offset in (0, 5, 10)
    ]
    assert span.end_us == int((START_S + 12) * 1e6)
    found: list[bytes] = []
    for segment in span.segments:
        shown = track(tmp_path / str(segment), "video")
        assert min(shown.at_s) == 0
        steps = {round(b - a, 3) for a, b in pairwise(sorted(shown.at_s))}
        assert steps == {0.04}
        found += shown.data
    assert found == [unit.data for unit in seen]


@pytest.mark.parametrize("silent_s", [3.0, 0.0])
def test_audio_that_falls_silent_holds_back_no_picture(
    clip: Clip, volume: VolumeWriter, tmp_path: Path, silent_s: float
) -> None:
    sink = announced(recorder(volume, segment_s=8))
    for second in range(20):
        seen = pictures(clip, 20)[second * 25 : second * 25 + 25]
        push_side_by_side(sink, seen, tone(second, min(second + 1, silent_s)))
        sink.tick(float(second))
        eventually(on_disk(sink, (second + 1) * 25 - OPEN_PICTURES))
    sink.close()
    eventually(lambda: sink.counters.access_units == 500)
    assert all(has_audio(tmp_path / str(key)) for key in found_spans(tmp_path)[0].segments)


def test_audio_in_late_bursts_moves_no_picture_and_keeps_its_times(
    volume: VolumeWriter, tmp_path: Path
) -> None:
    clip = prepared_clip("240p-h264")
    sink, heard = announced(recorder(volume)), tone(0, 12)
    for second, picture in enumerate(pictures(clip, 12)):
        sink.push(picture)
        if second % 75 == 74:
            for unit in heard:
                if picture.pts_90k - 270_000 <= unit.pts_90k < picture.pts_90k:
                    sink.push_audio(unit)
    sink.close()
    eventually(lambda: volume.idle)
    (span,) = found_spans(tmp_path)
    path = tmp_path / str(span.segments[0])
    audio_units, shown = track(path, "audio"), track(path, "video")
    assert len(shown.data) == 300
    times = {round(unit.pts_90k / 90_000, 3) for unit in heard}
    assert {round(at_s, 3) for at_s in audio_units.at_s} <= times
    assert len(audio_units.data) == sink.counters.audio_units > 150


def test_audio_later_than_a_second_is_dropped_with_the_segment_it_belonged_to(
    volume: VolumeWriter, tmp_path: Path
) -> None:
    sink = announced(recorder(volume, segment_s=5))
    push_side_by_side(sink, pictures(prepared_clip("240p-h264"), 5.2), tone(0, 4.5))
    sink.tick(1.0)
    sink.tick(3.0)
    eventually(lambda: sink.counters.access_units >= 125)
    for unit in tone(4.5, 5.2):
        sink.push_audio(unit)
    sink.close()
    eventually(lambda: volume.idle)
    first, second = (
        track(tmp_path / str(key), "audio") for key in found_spans(tmp_path)[0].segments
    )
    assert first.at_s[-1] < 4.5
    assert second.at_s[0] >= 0
    assert sink.counters.dropped_audio_units > 5


def test_audio_that_begins_late_begins_a_span_at_the_next_key_frame(
    clip: Clip, volume: VolumeWriter, tmp_path: Path
) -> None:
    seen = pictures(clip, 8)
    record(volume, seen, tone(2.5, 8), recorder(volume))
    silent, audible = found_spans(tmp_path)
    assert not has_audio(tmp_path / str(silent.segments[0]))
    assert has_audio(tmp_path / str(audible.segments[0]))
    key = next(unit for unit in seen if unit.key and unit.pts_90k > 2.5 * 90_000)
    assert audible.start_us == pytest.approx(key.arrived_at * 1e6, abs=100_000)
    assert silent.end_us == audible.start_us, "and leaves no gap"
    found = [
        data
        for span in (silent, audible)
        for data in track(tmp_path / str(span.segments[0]), "video").data
    ]
    assert found == [unit.data for unit in seen]


def test_audio_in_another_format_begins_a_span_and_over_the_cap_goes_unrecorded(
    volume: VolumeWriter, tmp_path: Path
) -> None:
    clip, audio = prepared_clip("240p-h264"), audio_format()
    stereo = dataclasses.replace(audio, channels=2, config=b"\x14\x10")
    heard = tone(0, 3) + tone(3, 6, audio=stereo) + tone(6, 10, audio=audio)
    sink = announced(recorder(volume, format_changes_per_hour=1))
    record(volume, pictures(clip, 10), heard, sink)
    found = found_spans(tmp_path)
    assert len(found) == 2
    with av.open(str(tmp_path / str(found[1].segments[0]))) as container:
        assert container.streams.audio[0].codec_context.channels == 2
    assert sink.counters.access_units == 250
    assert sink.counters.dropped_audio_units > 50


@pytest.mark.parametrize("codec", ["pcmu", "opus"])
def test_audio_that_mp4_does_not_take_is_named_once_and_is_no_failure(
    codec: Audio, volume: VolumeWriter, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    heard = [dataclasses.replace(unit, format=audio_format(codec)) for unit in tone(0, 4)]
    sink = record(volume, pictures(prepared_clip("240p-h264"), 4), heard)
    (said,) = [each for each in caplog.records if "not recorded" in each.message]
    assert (said.camera, said.cause) == (PREFIX, f"the camera sends {codec.upper()}")  # type: ignore[attr-defined]
    assert not has_audio(tmp_path / str(found_spans(tmp_path)[0].segments[0]))
    assert sink.state.phase is SinkPhase.WORKING
    assert (sink.counters.access_units, sink.counters.dropped_audio_units) == (100, 0)


@pytest.mark.parametrize("first", [0, 30])
def test_audio_in_frames_that_mp4_has_no_place_for_costs_no_picture(
    first: int, volume: VolumeWriter, tmp_path: Path
) -> None:
    heard = tone(0, 8)
    for unit in heard[first:]:
        unit.data = b"\xff\xf1\x60\x40\x01\x3f\xfc" + unit.data
    sink = record(volume, pictures(prepared_clip("240p-h264"), 8), heard)
    assert sink.counters.access_units == 200
    assert sink.counters.dropped_audio_units >= len(heard) - 30 - 5
    assert sink.state.phase is SinkPhase.WORKING


async def test_a_cameras_audio_is_recorded_whole_beside_its_pictures(
    simulator: Simulator, media_loop: MediaLoop, volume: VolumeWriter, tmp_path: Path
) -> None:
    camera = await simulator.add(camera_settings(audio="aac"))
    sink = recorder(volume, segment_s=2)
    ingest = Ingest(camera, media_loop, audio=True)
    ingest.add_sinks(sink)
    await ingest.play()
    await eventually_async(lambda: sink.counters.audio_units > 60, within_s=20)
    await ingest.stop()
    sink.close()
    await eventually_async(lambda: volume.idle)
    files = [tmp_path / str(key) for span in found_spans(tmp_path) for key in span.segments]
    lengths = [len(track(path, "video").data) for path in files]
    begins = [ingest.units[place].pts_90k for place in accumulate([0, *lengths[:-1]])]
    total = 0
    for path, begin, end in zip(files, begins, [*begins[1:], None], strict=True):
        found = track(path, "audio")
        wanted = [u for u in ingest.audio if begin <= u.pts_90k and (not end or u.pts_90k < end)]
        if end is None:
            wanted = wanted[: len(found.data)]
        if has_audio(path):
            assert found.data == [unit.data for unit in wanted]
            for at_s, unit in zip(found.at_s, wanted, strict=True):
                assert at_s == pytest.approx((unit.pts_90k - begin) / 90_000, abs=1e-3)
            total += len(wanted)
    assert total == sink.counters.audio_units
    assert sum(map(has_audio, files)) > 1


async def test_audio_that_the_policy_asks_for_is_recorded(
    simulator: Simulator, tmp_path: Path
) -> None:
    camera = await simulator.add(camera_settings(password=WORKER_PASSWORD, audio="aac"))
    objects, secrets = CameraObjects(), SecretObjects()
    secrets.put("cameras", username="ingest", password=WORKER_PASSWORD)
    async with WorkerParts(tmp_path, objects, secrets) as worker:
        policy = policy_to(None).model_copy(update={"audio": True})
        await worker.run(policy, entry(objects, camera))

        def passed(sink: str) -> float | None:
            counted = WorkerCollector(
                "phu-yen",
                worker.fleet,
                MediaLoop(),
                worker.pictures.counters,
                lambda: 0,
                worker.journals.counters,
                dict,
                {},
            ).collect()
            series = {
                sample.labels["sink"]: sample.value
                for metric in counted
                for sample in metric.samples
                if sample.name == "camfleet_sink_audio_units_total"
            }
            return series.get(sink)

        await eventually_async(lambda: (passed("recording") or 0) > 10, within_s=30)
        await eventually_async(lambda: objects.ready(camera.name)[0] == "True", within_s=30)
        assert passed("picture") is None, "it takes none"
    found = found_spans(tmp_path / "recordings")
    files = [tmp_path / "recordings" / str(key) for span in found for key in span.segments]
    assert any(track(path, "audio").data for path in files)


async def test_audio_that_is_asked_for_no_more_is_announced_no_more(
    simulator: Simulator, worker: WorkerParts, objects: CameraObjects
) -> None:
    camera = await simulator.add(camera_settings(password=WORKER_PASSWORD, audio="aac"))
    declared = entry(objects, camera)
    root = worker.folder / "recordings"

    def newest_has_audio() -> bool | None:
        found = found_spans(root)
        files = [root / str(key) for span in found for key in span.segments]
        begun = [path for path in files if path.stat().st_size]
        return has_audio(begun[-1]) if begun else None

    await worker.run(policy_to(None).model_copy(update={"audio": True}), declared)
    await eventually_async(lambda: newest_has_audio() is True, within_s=30)
    await worker.run(policy_to(None), declared)
    await eventually_async(lambda: newest_has_audio() is False, within_s=30)
