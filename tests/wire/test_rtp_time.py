# SPDX-License-Identifier: Apache-2.0
"""Clocks that are wrong (quirks 36 to 38, 60): the RTP clock of a camera, its wall clock, ours."""

from __future__ import annotations

import itertools
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import av
import pytest

from camera_simulator import Simulator
from camfleet_api.cause import Cause
from camfleet_worker.media.loop import MediaLoop
from camfleet_worker.record.housekeeping import VolumeSettings
from camfleet_worker.record.layout import parse_key, spans
from camfleet_worker.record.recording import RecordingSettings, RecordingSink
from camfleet_worker.record.volume import VolumeWriter
from eventually import eventually_async
from rtsp_ingest import Ingest, camera_settings, is_the_clip

CLOCK_HZ = 90_000
FRAME = CLOCK_HZ // 25
HOUR_S = 3600.0


class WallClock:
    """Our own clock, which can be wrong and can be set."""

    def __init__(self) -> None:
        self.wrong_by_s = -50 * 365 * 86_400.0
        """A node without a battery starts in the seventies."""

    def __call__(self) -> float:
        return time.time() + self.wrong_by_s


@pytest.fixture
def wall() -> WallClock:
    return WallClock()


@pytest.fixture
async def skewed_loop(wall: WallClock) -> AsyncIterator[MediaLoop]:
    running = MediaLoop(tick_s=0.02, wall=wall)
    running.start()
    yield running
    running.stop()


@pytest.fixture
def volume(tmp_path: Path) -> Iterator[VolumeWriter]:
    writer = VolumeWriter(VolumeSettings(tmp_path))
    writer.start()
    yield writer
    writer.close(within_s=10)


def shown(ingest: Ingest) -> list[int]:
    """The times of the pictures so far, which must rise."""
    times = [unit.pts_90k for unit in ingest.units]
    assert all(after > before for before, after in itertools.pairwise(times))
    return times


def within(ingest: Ingest, bound_s: float) -> bool:
    """Whether each picture lies where it arrived, to that bound."""
    first = ingest.units[0]
    return all(
        abs((u.pts_90k - first.pts_90k) / CLOCK_HZ - (u.arrived_at - first.arrived_at)) < bound_s
        for u in ingest.units
    )


@pytest.mark.quirk(36)
@pytest.mark.parametrize("fault", ["timestamps-jump-back", "timestamps-jump-ahead"])
async def test_a_jump_is_bridged_by_arrival_and_ends_no_session(
    simulator: Simulator, media_loop: MediaLoop, fault: str
) -> None:
    camera = await simulator.add(camera_settings(faults=(fault,)))
    ingest = Ingest(camera, media_loop)
    await ingest.play()
    await ingest.received(90)
    steps = [after - before for before, after in itertools.pairwise(shown(ingest))]
    # At the jump the step is what lies between two ticks, which can be a picture's by chance.
    assert len([step for step in steps if step != FRAME]) <= 1
    assert within(ingest, 1.0)
    assert is_the_clip(ingest.units, camera)


@pytest.mark.quirk(36)
async def test_the_wrap_is_not_seen_at_all(simulator: Simulator, media_loop: MediaLoop) -> None:
    camera = await simulator.add(camera_settings(faults=("timestamps-wrap",)))
    ingest = Ingest(camera, media_loop)
    await ingest.play()
    await ingest.received(90)
    assert {b - a for a, b in itertools.pairwise(shown(ingest))} == {FRAME}


@pytest.mark.quirk(36)
@pytest.mark.parametrize(
    "fault", ["timestamps-backwards", "timestamps-constant", "timestamps-random"]
)
async def test_pictures_whose_timestamps_mean_nothing_are_stamped_by_arrival_and_counted(
    simulator: Simulator, media_loop: MediaLoop, fault: str
) -> None:
    camera = await simulator.add(camera_settings(faults=(fault,)))
    ingest = Ingest(camera, media_loop)
    await ingest.play()
    await ingest.received(90)
    shown(ingest)
    assert within(ingest, 1.0)
    assert ingest.counters.stamped_by_arrival > 50
    assert is_the_clip(ingest.units, camera)


@pytest.mark.quirk(36)
async def test_another_frame_rate_than_stamped_stays_near_arrival(
    simulator: Simulator, media_loop: MediaLoop
) -> None:
    camera = await simulator.add(camera_settings(faults=("stamps-21-as-25",)))
    ingest = Ingest(camera, media_loop)
    await ingest.play()
    await ingest.received(21 * 8)
    shown(ingest)
    assert within(ingest, 1.5)
    assert ingest.counters.stamped_by_arrival == 0


@pytest.mark.quirk(60)
async def test_milliseconds_described_as_90_khz_are_recorded_in_one_span_of_real_time(
    simulator: Simulator, media_loop: MediaLoop, volume: VolumeWriter, tmp_path: Path
) -> None:
    camera = await simulator.add(camera_settings(faults=("stamps-milliseconds",)))
    ingest = Ingest(camera, media_loop)
    recording = RecordingSink(RecordingSettings("phu-yen/gate.0a1b2c3d", segment_s=2), volume)
    ingest.add_sinks(recording)
    await ingest.play()
    await ingest.received(25 * 9)
    await ingest.stop()
    assert_pictures_have_their_time(ingest, 25)
    recording.close()
    assert volume.close(within_s=10)
    names = (str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    (span,) = spans(key for name in names if (key := parse_key(name)))
    assert span.end_us is not None
    took_s = ingest.units[-1].arrived_at - ingest.units[0].arrived_at
    assert (span.end_us - span.start_us) / 1e6 == pytest.approx(took_s, abs=1.0)


@pytest.mark.quirk(60)
async def test_half_the_pictures_stamped_as_all_keep_real_time(
    simulator: Simulator, media_loop: MediaLoop
) -> None:
    camera = await simulator.add(camera_settings(faults=("stamps-12.5-as-25",)))
    ingest = Ingest(camera, media_loop)
    await ingest.play()
    await ingest.received(125)
    assert_pictures_have_their_time(ingest, 12.5)


@pytest.mark.quirk(60)
async def test_a_clock_that_is_set_ahead_makes_no_leap(
    simulator: Simulator, media_loop: MediaLoop
) -> None:
    camera = await simulator.add(camera_settings(faults=("clock-set-ahead",)))
    ingest = Ingest(camera, media_loop)
    await ingest.play()
    await ingest.received(90)
    assert max(after - before for before, after in itertools.pairwise(shown(ingest))) <= 2 * FRAME
    assert within(ingest, 0.5)


def assert_pictures_have_their_time(ingest: Ingest, fps: float) -> None:
    """After five seconds: what a correction and the tick allow, and no leap."""
    times = shown(ingest)[int(5 * fps) :]
    own = CLOCK_HZ / fps
    steps = [after - before for before, after in itertools.pairwise(times)]
    assert all(own * 0.7 <= step <= own * 1.3 for step in steps)
    assert within(ingest, 2.5)


@pytest.mark.quirk(37)
async def test_a_clock_that_runs_too_fast_stays_near_arrival(
    simulator: Simulator, media_loop: MediaLoop
) -> None:
    camera = await simulator.add(camera_settings(faults=("clock-too-fast",)))
    ingest = Ingest(camera, media_loop)
    await ingest.play()
    await ingest.received(25 * 10)
    shown(ingest)
    assert within(ingest, 1.8)


@pytest.mark.quirk(37)
@pytest.mark.parametrize(
    ("fault", "offset_s"),
    [
        ("no-sender-reports", None),
        ("reports-without-clock", None),
        ("reports-in-1970", -time.time()),
        ("report-clock-steps", 86_400.0),
    ],
    ids=["no-sender-reports", "reports-without-clock", "reports-in-1970", "report-clock-steps"],
)
async def test_sender_reports_give_the_clock_of_the_camera_and_move_no_access_unit(
    simulator: Simulator, media_loop: MediaLoop, fault: str, offset_s: float | None
) -> None:
    camera = await simulator.add(camera_settings(faults=(fault,)))
    ingest = Ingest(camera, media_loop)
    await ingest.play()
    await ingest.received(25 * 6)
    assert {b - a for a, b in itertools.pairwise(shown(ingest))} == {FRAME}
    told = ingest.counters.camera_clock_offset_s
    assert told == (offset_s if offset_s is None else pytest.approx(offset_s, abs=600))
    assert ingest.counters.drift_ppm is None


async def test_pictures_that_waited_for_us_at_the_beginning_are_timed_as_they_were_taken(
    simulator: Simulator, volume: VolumeWriter, tmp_path: Path
) -> None:
    """A worker that gets no CPU finds seconds of pictures and audio when it comes to read."""
    camera = await simulator.add(camera_settings(audio="aac"))
    loop = MediaLoop(tick_s=0.02)
    ingest = Ingest(camera, loop, audio=True)
    recording = RecordingSink(RecordingSettings("phu-yen/gate.0a1b2c3d", segment_s=1), volume)
    ingest.add_sinks(recording)
    asked = time.time()
    await ingest.play()
    await eventually_async(lambda: camera.counters.frames_sent >= 75)
    loop.start()
    await ingest.received(150)
    await ingest.stop()
    loop.stop()
    first, audio = ingest.units[0], ingest.audio[0]
    assert first.shown_us / 1e6 == pytest.approx(asked, abs=0.8)
    assert {b - a for a, b in itertools.pairwise(shown(ingest))} == {FRAME}
    assert audio.pts_90k < CLOCK_HZ // 2
    assert ingest.audio[-1].pts_90k == pytest.approx(ingest.units[-1].pts_90k, abs=CLOCK_HZ // 2)
    recording.close()
    assert volume.close(within_s=10)
    names = (str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    silent, audible = spans(key for name in names if (key := parse_key(name)))
    assert silent.start_us == first.shown_us
    assert silent.end_us == audible.start_us
    assert audible.end_us == pytest.approx(ingest.units[-1].shown_us + 40_000, abs=20)
    under_way = ingest.arrivals.under_way
    assert under_way is not None
    assert under_way.since_us == first.shown_us


@pytest.mark.quirk(38)
async def test_a_step_of_our_own_clock_begins_a_span_and_renames_nothing(
    simulator: Simulator,
    skewed_loop: MediaLoop,
    wall: WallClock,
    volume: VolumeWriter,
    tmp_path: Path,
) -> None:
    camera = await simulator.add(camera_settings())
    ingest = Ingest(camera, skewed_loop)
    recording = RecordingSink(RecordingSettings("phu-yen/gate.0a1b2c3d", segment_s=2), volume)
    ingest.add_sinks(recording)
    await ingest.play()
    await ingest.received(100)
    await eventually_async(lambda: len(list(tmp_path.rglob("*.mp4"))) >= 2)
    before = set(tmp_path.rglob("*.mp4"))
    wall.wrong_by_s = 0.0
    await ingest.received(100)
    await ingest.stop()
    skewed_loop.stop()
    assert skewed_loop.counters.wall_clock_steps == 1
    (failure,) = ingest.arrivals.failures
    assert failure.cause is Cause.SYSTEM, "the time between is missing, and nobody else's"
    assert [stretch.until_us for stretch in ingest.arrivals.ended] == [failure.after_us]
    assert {b - a for a, b in itertools.pairwise(shown(ingest))} == {FRAME}
    recording.close()
    volume.close(within_s=10)
    files = set(tmp_path.rglob("*.mp4"))
    assert before <= files
    names = (str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    early, late = spans(key for name in names if (key := parse_key(name)))
    assert early.end_us is not None
    assert late.start_us / 1e6 == pytest.approx(time.time(), abs=60)
    assert sum(_pictures(path) for path in files) == len(ingest.units)


def _pictures(path: Path) -> int:
    with av.open(str(path)) as container:
        return sum(1 for packet in container.demux(video=0) if packet.size)
