# SPDX-License-Identifier: Apache-2.0
"""The recording sink on real folders and disks: what went in lies there, whole and playable."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import av
import pytest

from access_units import access_units, video_format
from camera_simulator.clips import Clip
from camera_simulator.footage import prepared_clip
from camfleet_api.cause import Cause
from camfleet_api.conditions import Reason
from camfleet_worker.base.errors import IngestError
from camfleet_worker.media_types.access_unit import AccessUnit
from camfleet_worker.media_types.sink_state import SinkPhase
from camfleet_worker.record import declarations, retention
from camfleet_worker.record.housekeeping import VolumeSettings
from camfleet_worker.record.layout import ObjectKey, parse_key, spans
from camfleet_worker.record.recording import RecordingSettings, RecordingSink
from camfleet_worker.record.repair import repair
from camfleet_worker.record.volume import VolumeWriter
from eventually import eventually

PREFIX = "phu-yen/gate.0a1b2c3d"
START_S = 1_700_000_040.0  # 40 s before a full minute of UTC


@pytest.fixture(scope="module", params=["240p-h264", "240p-h265"])
def clip(request: pytest.FixtureRequest) -> Clip:
    return prepared_clip(request.param)


@pytest.fixture(scope="module")
def h264() -> Clip:
    return prepared_clip("240p-h264")


@pytest.fixture
def volume(tmp_path: Path) -> Iterator[VolumeWriter]:
    writer = VolumeWriter(VolumeSettings(tmp_path), wall=lambda: START_S)
    writer.start()
    yield writer
    assert writer.close(within_s=10)


def record(volume: VolumeWriter, units: list[AccessUnit], **settings: Any) -> RecordingSink:
    sink = RecordingSink(RecordingSettings(PREFIX, **settings), volume)
    for unit in units:
        sink.push(unit)
    sink.close()
    eventually(lambda: volume.busy_s(0) == 0 and volume.idle)
    return sink


def recorded(root: Path) -> list[ObjectKey]:
    names = (str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())
    return sorted((key for name in names if (key := parse_key(name))), key=lambda key: key.at_us)


def packets(path: Path) -> list[tuple[bytes, int, bool]]:
    with av.open(str(path)) as container:
        return [
            (bytes(packet), packet.pts or 0, packet.is_keyframe)
            for packet in container.demux(video=0)
            if packet.size
        ]


def pictures(path: Path) -> int:
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


def test_every_access_unit_lies_on_disk_with_its_bytes_and_its_time(
    clip: Clip, volume: VolumeWriter, tmp_path: Path
) -> None:
    units = list(islice(access_units(clip, START_S, first_pts=12_345), 250))
    sink = record(volume, units, segment_s=60)
    (span,) = spans(recorded(tmp_path))
    (segment,) = span.segments
    found = packets(tmp_path / str(segment))
    assert [data for data, _, _ in found] == [unit.data for unit in units]
    assert [pts for _, pts, _ in found] == [unit.pts_90k - 12_345 for unit in units]
    assert [key for _, _, key in found] == [unit.key for unit in units]
    assert pictures(tmp_path / str(segment)) == 250
    assert segment.at_us == int(START_S * 1e6)
    assert span.end_us == int((START_S + 10) * 1e6)
    assert (sink.counters.access_units, sink.counters.dropped_access_units) == (250, 0)
    assert sink.state.phase is SinkPhase.WORKING


def test_h265_is_tagged_so_that_every_player_takes_it(volume: VolumeWriter, tmp_path: Path) -> None:
    record(volume, list(islice(access_units(prepared_clip("240p-h265")), 30)))
    with av.open(str(tmp_path / str(recorded(tmp_path)[0]))) as container:
        assert container.streams.video[0].codec_context.codec_tag == "hvc1"


def test_segments_are_cut_at_key_frames_on_the_grid_of_utc_without_a_gap(
    clip: Clip, volume: VolumeWriter, tmp_path: Path
) -> None:
    units = list(islice(access_units(clip, START_S + 1.0), 500))
    record(volume, units, segment_s=5)
    (span,) = spans(recorded(tmp_path))
    assert [key.counter for key in span.segments] == [0, 1, 2, 3, 4]
    assert [key.at_us // 1_000_000 for key in span.segments] == [
        int(START_S) + offset for offset in (1, 5, 10, 15, 20)
    ]
    everything: list[bytes] = []
    for segment in span.segments:
        found = packets(tmp_path / str(segment))
        assert found[0][1:] == (0, True)
        everything += [data for data, _, _ in found]
        assert pictures(tmp_path / str(segment)) == len(found)
    assert everything == [unit.data for unit in units]


def test_a_fragment_is_written_at_least_once_a_second(volume: VolumeWriter, tmp_path: Path) -> None:
    sink = RecordingSink(RecordingSettings(PREFIX), volume)
    clip = prepared_clip("720p-h264")
    assert clip.gop == 50
    for unit in islice(access_units(clip, START_S), 27):
        sink.push(unit)
    eventually(lambda: sink.counters.access_units == 25)
    (segment,) = recorded(tmp_path)
    assert pictures(tmp_path / str(segment)) == 25
    sink.close()


def test_a_silent_camera_ends_its_span_and_the_next_picture_begins_another(
    h264: Clip, volume: VolumeWriter, tmp_path: Path
) -> None:
    before = list(islice(access_units(h264, START_S), 50))
    after = list(islice(access_units(h264, START_S + 32, first_pts=30 * 90_000), 50))
    record(volume, before + after)
    first, second = spans(recorded(tmp_path))
    assert first.end_us == int((START_S + 2) * 1e6)
    assert second.start_us == int((START_S + 32) * 1e6)


def test_access_units_before_a_silence_are_written_during_the_silence(
    h264: Clip, volume: VolumeWriter, tmp_path: Path
) -> None:
    sink = RecordingSink(RecordingSettings(PREFIX), volume)
    units = list(islice(access_units(h264, START_S), 60))
    for unit in units:
        sink.push(unit)
    for tick in range(60):
        sink.tick(100 + tick / 10)
    eventually(lambda: sink.counters.access_units == 60 and volume.idle)
    (span,) = spans(recorded(tmp_path))
    assert span.end_us == int((START_S + 2.4) * 1e6)
    assert sink.delivery_log.under_way == (int(START_S * 1e6), int(units[-1].arrived_at * 1e6))
    keys = [int(unit.arrived_at * 1e6) for unit in units if unit.key]
    assert list(sink.delivery_log.key_frames) == keys
    sink.close()


def test_changed_parameter_sets_begin_a_new_span(
    h264: Clip, volume: VolumeWriter, tmp_path: Path
) -> None:
    other = prepared_clip("360p-h264")
    first = list(islice(access_units(h264, START_S), 50))
    second = list(islice(access_units(other, START_S + 2, first_pts=2 * 90_000), 50))
    record(volume, first + second)
    found = spans(recorded(tmp_path))
    assert [len(span.segments) for span in found] == [1, 1]
    sizes = []
    for span in found:
        with av.open(str(tmp_path / str(span.segments[0]))) as container:
            sizes.append(container.streams.video[0].width)
    assert sizes == [320, 640]


@pytest.mark.parametrize("late_s", [-0.06, 0.0, 0.3], ids=["early", "on-time", "late"])
def test_a_span_of_other_parameter_sets_begins_where_the_one_before_ends(
    h264: Clip, volume: VolumeWriter, tmp_path: Path, late_s: float
) -> None:
    other = prepared_clip("360p-h264")
    first = list(islice(access_units(h264, START_S), 50))
    second = list(islice(access_units(other, START_S + 2 + late_s, first_pts=2 * 90_000), 50))
    third = list(islice(access_units(h264, START_S + 4 - late_s, first_pts=4 * 90_000), 50))
    record(volume, first + second + third, segment_s=1)
    found = spans(recorded(tmp_path))
    edges = [(span.start_us, span.end_us) for span in found]
    assert edges == [
        (int((START_S + begin) * 1e6), int((START_S + begin + 2) * 1e6)) for begin in (0, 2, 4)
    ]
    heights = []
    for span in found:
        for segment in span.segments:
            with av.open(str(tmp_path / str(segment))) as container:
                heights.append(container.streams.video[0].height)
    assert heights == [240, 240, 360, 360, 240, 240]


def test_a_span_never_begins_before_the_end_of_the_one_before(
    h264: Clip, volume: VolumeWriter, tmp_path: Path
) -> None:
    before = list(islice(access_units(h264, START_S), 50))
    early = list(islice(access_units(h264, START_S + 1.9, first_pts=30 * 90_000), 75))
    record(volume, before + early, segment_s=1)
    first, second = spans(recorded(tmp_path))
    assert first.end_us == second.start_us == int((START_S + 2) * 1e6)
    assert second.end_us == int((START_S + 5) * 1e6)
    assert len(second.segments) == 3


@pytest.mark.parametrize("late_s", [-4.0, 4.0], ids=["ahead-of-arrival", "late"])
def test_pictures_that_come_at_another_time_than_the_timeline_says_begin_no_span(
    h264: Clip, volume: VolumeWriter, tmp_path: Path, late_s: float
) -> None:
    """A worker that got no CPU puts the first pictures too late; a line delays them at a cut."""
    on_time = list(islice(access_units(h264, START_S), 50))
    shifted = access_units(h264, START_S + 2 + late_s, first_pts=2 * 90_000, origin_s=START_S)
    again = access_units(h264, START_S + 4, first_pts=4 * 90_000)
    record(volume, [*on_time, *islice(shifted, 50), *islice(again, 50)], segment_s=1)
    (span,) = spans(recorded(tmp_path))
    assert (span.start_us, span.end_us) == (int(START_S * 1e6), int((START_S + 6) * 1e6))


@pytest.mark.parametrize("set_by_s", [-3600.0, 5.0])
def test_our_clock_being_set_begins_a_span_by_the_new_time(
    h264: Clip, volume: VolumeWriter, tmp_path: Path, set_by_s: float
) -> None:
    before = list(islice(access_units(h264, START_S), 50))
    after = list(islice(access_units(h264, START_S + 2 + set_by_s, first_pts=2 * 90_000), 50))
    record(volume, before + after, segment_s=1)
    found = spans(recorded(tmp_path))
    assert {(span.start_us, span.end_us) for span in found} == {
        (int(at * 1e6), int((at + 2) * 1e6)) for at in (START_S, START_S + 2 + set_by_s)
    }


def test_a_camera_that_changes_its_parameter_sets_all_the_time_does_not_litter_files(
    h264: Clip, volume: VolumeWriter, tmp_path: Path
) -> None:
    formats = [video_format(h264), video_format(prepared_clip("240p-h264"))]
    sps, *rest = formats[1].parameter_sets
    formats[1] = dataclasses.replace(formats[1], parameter_sets=(sps, *rest, rest[-1]))
    units = list(islice(access_units(h264, START_S), 250))
    for number, unit in enumerate(units):
        unit.format = formats[number // 25 % 2]
    sink = record(volume, units, format_changes_per_hour=3)
    found = spans(recorded(tmp_path))
    assert len(found) == 4
    assert sum(pictures(tmp_path / str(span.segments[0])) for span in found) == 250
    assert sink.counters.access_units == 250


def test_over_the_cap_new_parameter_sets_stand_among_the_pictures_and_decode(
    h264: Clip, volume: VolumeWriter, tmp_path: Path
) -> None:
    small = list(islice(access_units(h264, START_S), 50))
    large = access_units(prepared_clip("360p-h264"), START_S + 2, first_pts=2 * 90_000)
    record(volume, small + list(islice(large, 50)), format_changes_per_hour=0)
    (span,) = spans(recorded(tmp_path))
    with av.open(str(tmp_path / str(span.segments[0]))) as container:
        widths = [picture.width for picture in container.decode(video=0)]
    assert widths == [320] * 50 + [640] * 50


def test_nothing_is_recorded_before_the_first_key_frame(
    h264: Clip, volume: VolumeWriter, tmp_path: Path
) -> None:
    sink = record(volume, list(islice(access_units(h264, START_S), 10, 50)))
    (span,) = spans(recorded(tmp_path))
    assert len(packets(tmp_path / str(span.segments[0]))) == 25
    assert sink.counters.dropped_access_units == 15


def _wait(gate: threading.Event) -> None:
    gate.wait()


RECORD_FOR_EVER = """
import sys, time
from itertools import islice
from pathlib import Path
from typing import Any
from access_units import access_units
from camera_simulator.footage import prepared_clip
from camfleet_worker.record.recording import RecordingSettings, RecordingSink
from camfleet_worker.record.housekeeping import VolumeSettings
from camfleet_worker.record.volume import VolumeWriter

volume = VolumeWriter(VolumeSettings(Path(sys.argv[1])))
volume.start()
sink = RecordingSink(RecordingSettings(sys.argv[2], segment_s=20), volume)
pushed = 0
for unit in access_units(prepared_clip("240p-h264"), float(sys.argv[3])):
    sink.push(unit)
    pushed += 1
    if pushed % 25 == 2:
        # Everything up to the second before is at the kernel: said only when it is.
        while sink.counters.access_units < pushed - 2:
            time.sleep(0.001)
        print(sink.counters.access_units, flush=True)
"""


def test_kill_9_loses_at_most_the_open_fragment_and_the_next_start_closes_the_span(
    tmp_path: Path, h264: Clip
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", RECORD_FOR_EVER, str(tmp_path), PREFIX, str(START_S)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        text=True,
    )
    assert process.stdout is not None
    promised = 0
    for line in process.stdout:
        promised = int(line)
        if promised >= 1_000:
            break
    process.kill()
    process.wait()
    promised = max([promised, *(int(line) for line in process.stdout)])
    process.stdout.close()

    sent = islice(access_units(h264, START_S), promised + 100)
    expected = [unit.data for unit in sent]
    (before,) = spans(recorded(tmp_path))
    assert before.end_us is None

    # Before that the last segment may be a file without its header: the kill fell between the two.
    repair(tmp_path, PREFIX)
    (after,) = spans(recorded(tmp_path))
    found = [data for key in after.segments for data, _, _ in packets(tmp_path / str(key))]
    assert len(found) >= promised
    assert found == expected[: len(found)]
    assert after.end_us == int((START_S + len(found) / 25) * 1e6)


@pytest.mark.parametrize("torn", [b"", b"\0\0\0\x18fty"])
def test_a_segment_that_was_killed_before_its_header_was_written_is_removed(
    h264: Clip, volume: VolumeWriter, tmp_path: Path, torn: bytes
) -> None:
    record(volume, list(islice(access_units(h264, START_S), 100)))
    segment, end = recorded(tmp_path)
    (tmp_path / str(end)).unlink()
    begun = dataclasses.replace(
        segment, at_us=segment.at_us + 4_000_000, counter=segment.counter + 1
    )
    (tmp_path / str(begun)).write_bytes(torn)
    repair(tmp_path, PREFIX)
    (span,) = spans(recorded(tmp_path))
    assert span.segments == (segment,)
    assert span.end_us == int((START_S + 4) * 1e6)


def test_a_torn_fragment_is_cut_off_and_what_lies_before_it_stays(
    h264: Clip, volume: VolumeWriter, tmp_path: Path
) -> None:
    record(volume, list(islice(access_units(h264, START_S), 100)))
    segment, end = recorded(tmp_path)
    (tmp_path / str(end)).unlink()
    path = tmp_path / str(segment)
    os.truncate(path, path.stat().st_size - 500)
    repair(tmp_path, PREFIX)
    assert pictures(path) == 75
    (span,) = spans(recorded(tmp_path))
    assert span.end_us == int((START_S + 3) * 1e6)


def test_repair_leaves_alone_what_is_being_written(
    h264: Clip, volume: VolumeWriter, tmp_path: Path
) -> None:
    sink = RecordingSink(RecordingSettings(PREFIX), volume)
    for unit in islice(access_units(h264, START_S), 60):
        sink.push(unit)
    eventually(lambda: sink.counters.access_units == 50)
    repair(tmp_path, PREFIX)
    assert len(recorded(tmp_path)) == 1
    assert retention.delete_oldest(tmp_path, 1 << 40) == 0
    sink.close()
    eventually(lambda: len(recorded(tmp_path)) == 2)


def test_a_stalled_disk_drops_access_units_up_to_a_key_frame_and_reports_it(
    h264: Clip, tmp_path: Path
) -> None:
    volume = VolumeWriter(VolumeSettings(tmp_path), monotonic=lambda: 100.0)
    gate = threading.Event()
    volume.submit(lambda: _wait(gate))
    volume.start()
    sink = RecordingSink(RecordingSettings(PREFIX, queue_bytes=100_000), volume)
    units = list(islice(access_units(h264, START_S), 300))
    for unit in units:
        sink.push(unit)
    eventually(lambda: volume.busy_s(111.0) == 11.0)
    sink.tick(111.0)
    failed = sink.state
    assert failed.error is not None
    assert failed.error.reason is Reason.STORAGE_FAILED
    gate.set()
    eventually(lambda: volume.idle)
    sink.tick(112.0)
    later = list(islice(access_units(h264, START_S + 12, first_pts=12 * 90_000), 50))
    for unit in later:
        sink.push(unit)
    sink.close()
    assert volume.close(within_s=10)
    counters = sink.counters
    assert counters.dropped_gops > 0
    assert counters.access_units + counters.dropped_access_units == 350
    found = spans(recorded(tmp_path))
    assert len(found) == 2
    kept = [
        data
        for span in found
        for key in span.segments
        for data, _, _ in packets(tmp_path / str(key))
    ]
    assert kept == [unit.data for unit in units[: len(kept) - 50]] + [unit.data for unit in later]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(tmp_path)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("only root may mount a small file system")
    yield tmp_path
    subprocess.run(["umount", str(tmp_path)], check=True)


def test_a_full_disk_deletes_the_oldest_recordings_and_goes_on(
    h264: Clip, small_disk: Path
) -> None:
    volume = VolumeWriter(VolumeSettings(small_disk, room_bytes=500_000))
    volume.start()
    units = list(islice(access_units(h264, START_S), 10_000))
    sink = record(volume, units, segment_s=5, queue_bytes=1 << 30)
    assert sink.counters.access_units == 10_000
    assert sink.state.phase is SinkPhase.WORKING
    assert sum(volume.housekeeper.deleted_for_space.values()) > 0
    kept = spans(recorded(small_disk))[-1]
    found = [data for key in kept.segments for data, _, _ in packets(small_disk / str(key))]
    assert found == [unit.data for unit in units[-len(found) :]]
    assert volume.close(within_s=10)


def test_a_full_disk_without_recordings_is_reported_and_recovers(
    h264: Clip, small_disk: Path
) -> None:
    ballast = small_disk / "somebody-elses-file"
    ballast.write_bytes(bytes((4 << 20) - 65_536))
    volume = VolumeWriter(VolumeSettings(small_disk))
    volume.start()
    sink = RecordingSink(RecordingSettings(PREFIX), volume)
    stream = access_units(h264, START_S)
    sink.tick(0.0)
    for unit in islice(stream, 260):
        sink.push(unit)

    def error() -> IngestError | None:
        return sink.state.error

    eventually(lambda: (found := error()) is not None and found.reason is Reason.DISK_FULL)
    assert {failure.cause for failure in sink.delivery_log.failures} == {Cause.DISK}
    assert ballast.exists()
    ballast.unlink()
    sink.push(next(stream))  # notices the failed file
    sink.tick(10.0)
    for unit in islice(stream, 100):
        sink.push(unit)
    sink.close()
    eventually(lambda: sink.state.phase is SinkPhase.WORKING)
    assert volume.close(within_s=10)
    assert sink.counters.access_units + sink.counters.dropped_access_units == 361
    for key in recorded(small_disk):
        if not key.end:
            assert pictures(small_disk / str(key)) > 0


def test_recordings_expire_by_the_days_declared_beside_them_and_nothing_else_goes(
    h264: Clip, volume: VolumeWriter, tmp_path: Path
) -> None:
    record(volume, list(islice(access_units(h264, START_S), 50)), retention_days=2)
    record(volume, list(islice(access_units(h264, START_S + 86_400), 50)), retention_days=2)
    foreign = tmp_path / "phu-yen" / "note.txt"
    foreign.write_text("not ours")
    later_us = int((START_S + 2.5 * 86_400) * 1e6)
    assert retention.delete_expired(tmp_path, later_us) > 0
    (left,) = spans(recorded(tmp_path))
    assert left.start_us == int((START_S + 86_400) * 1e6)
    assert foreign.exists()


def used_bytes(root: Path) -> int:
    return sum(retention.used_by_camera(root).values())


def test_a_size_limit_deletes_the_oldest_first(
    h264: Clip, volume: VolumeWriter, tmp_path: Path
) -> None:
    record(volume, list(islice(access_units(h264, START_S), 500)), segment_s=5)
    before = recorded(tmp_path)
    limit = used_bytes(tmp_path) // 2
    keeper = VolumeWriter(VolumeSettings(tmp_path, max_bytes=limit), wall=lambda: START_S)
    keeper.start()
    eventually(lambda: used_bytes(tmp_path) <= limit)
    assert keeper.close(within_s=10)
    left = recorded(tmp_path)
    assert left
    assert left == before[-len(left) :]


def recorded_of(
    volume: VolumeWriter, camera: str, h264: Clip, start_s: float, site: str = ""
) -> Path:
    """Twenty seconds of a camera, in segments of five."""
    settings = RecordingSettings(f"phu-yen/{camera}.0a1b2c3d", segment_s=5, site=site)
    sink = RecordingSink(settings, volume)
    for unit in islice(access_units(h264, start_s), 500):
        sink.push(unit)
    sink.close()
    eventually(lambda: volume.idle)
    return volume.settings.root / settings.prefix


def kept(folder: Path) -> list[int]:
    """When the segments of a camera begin, in seconds since the first of all."""
    starts = [key.at_us for _, key in retention.oldest_first(folder) if not key.end]
    return [round(at_us / 1e6 - START_S) for at_us in starts]


@pytest.fixture
def keep(tmp_path: Path) -> Callable[[], VolumeWriter]:
    """Whoever mounts the volume next, with no camera of its own, looks at it once."""

    def look() -> VolumeWriter:
        keeper = VolumeWriter(VolumeSettings(tmp_path), wall=lambda: START_S)
        keeper.start()
        assert keeper.close(within_s=10)
        keeper.housekeeper.join()
        return keeper

    return look


def test_a_site_over_its_bound_loses_its_oldest_and_no_other_site_anything(
    h264: Clip,
    volume: VolumeWriter,
    tmp_path: Path,
    keep: Callable[[], VolumeWriter],
    caplog: pytest.LogCaptureFixture,
) -> None:
    gate = recorded_of(volume, "gate", h264, START_S, "hotel")
    yard = recorded_of(volume, "yard", h264, START_S + 5, "hotel")
    other = recorded_of(volume, "lobby", h264, START_S, "school")
    used = retention.used_by_camera(tmp_path)
    bound = (used[gate] + used[yard]) // 2
    volume.bound_site("phu-yen", "hotel", bound)
    eventually(lambda: volume.idle)
    keeper = keep()
    left = retention.used_by_camera(tmp_path)
    assert left[gate] + left[yard] <= bound
    stayed = kept(gate) + kept(yard)
    gone = sorted([0, 5, 10, 15, 5, 10, 15, 20])[: 8 - len(stayed)]
    assert stayed
    assert max(gone) <= min(stayed), "the oldest of both cameras first"
    assert left[other] == used[other]
    assert keeper.housekeeper.deleted_for_space == {
        ("phu-yen", "hotel"): sum(used.values()) - sum(left.values())
    }
    (said,) = [each for each in caplog.records if "oldest recordings deleted" in each.message]
    assert said.site == "hotel"  # type: ignore[attr-defined]


def test_the_bound_of_a_site_holds_until_it_is_lifted(
    h264: Clip, volume: VolumeWriter, tmp_path: Path, keep: Callable[[], VolumeWriter]
) -> None:
    gate = recorded_of(volume, "gate", h264, START_S, "hotel")
    volume.bound_site("phu-yen", "hotel", 1)
    volume.bound_site("phu-yen", "hotel", None)
    eventually(lambda: volume.idle)
    keep()
    assert kept(gate) == [0, 5, 10, 15]
    volume.bound_site("phu-yen", "hotel", 1)
    eventually(lambda: volume.idle)
    keep()
    assert kept(gate) == []
    assert (gate / declarations.RETENTION_FILE).exists(), "nothing but recordings is deleted"


def test_a_bound_of_a_site_takes_nothing_that_is_being_written(
    h264: Clip, volume: VolumeWriter, tmp_path: Path, keep: Callable[[], VolumeWriter]
) -> None:
    sink = RecordingSink(RecordingSettings(PREFIX, segment_s=5, site="hotel"), volume)
    volume.bound_site("phu-yen", "hotel", 1)
    for unit in islice(access_units(h264, START_S), 300):
        sink.push(unit)
    eventually(lambda: sink.counters.access_units >= 275)
    keep()
    assert kept(tmp_path / PREFIX) == [10]
    sink.close()
    eventually(lambda: volume.idle)
    assert sink.state.phase is SinkPhase.WORKING


def test_what_is_written_after_the_volume_was_measured_counts_too(
    h264: Clip, tmp_path: Path
) -> None:
    volume = VolumeWriter(VolumeSettings(tmp_path), wall=lambda: START_S)
    volume.start(housekeeping=False)  # it is the test that looks
    volume.bound_site("phu-yen", "hotel", 1)
    gate = recorded_of(volume, "gate", h264, START_S, "hotel")
    volume.housekeeper.look()
    assert kept(gate) == []
    recorded_of(volume, "gate", h264, START_S + 60, "hotel")
    volume.housekeeper.look()
    assert kept(gate) == []
    assert volume.housekeeper.used.of([gate]) == 0
    assert volume.close(within_s=10)
