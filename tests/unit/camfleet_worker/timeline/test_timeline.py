# SPDX-License-Identifier: Apache-2.0
"""The timeline: RTP's durations, our clock's anchors, and an order that nothing can break."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camfleet_worker.timeline.earliest_arrival import WINDOW_S
from camfleet_worker.timeline.timeline import (
    CLOCK_HZ,
    JUMP_S,
    REORDER_S,
    TOLERANCE_S,
    Timeline,
    burst_s,
)

WRAP = 1 << 32
FRAME = CLOCK_HZ // 25


def steps(times: list[int]) -> list[int]:
    return [after - before for before, after in itertools.pairwise(times)]


timestamps = st.integers(0, WRAP - 1)
pauses_s = st.floats(0, 30, allow_nan=False)


@given(st.lists(st.tuples(timestamps, pauses_s, st.booleans()), min_size=1, max_size=80))
def test_whatever_a_camera_stamps_times_rise_and_are_never_negative(
    pictures: list[tuple[int, float, bool]],
) -> None:
    timeline, now, times = Timeline(), 1000.0, []
    for timestamp, pause_s, reconnect in pictures:
        now += pause_s
        if reconnect:
            timeline.restart()
        times.append(timeline.stamp(timestamp, now))
    assert times[0] >= 0
    assert all(step > 0 for step in steps(times))


@given(timestamps, st.lists(st.floats(0, 0.9, allow_nan=False), min_size=2, max_size=400))
def test_a_steady_camera_keeps_its_durations_however_late_its_packets_come(
    first: int, delays_s: list[float]
) -> None:
    timeline = Timeline()
    taken = [index / 25 for index in range(len(delays_s))]
    arrivals = itertools.accumulate((t + d for t, d in zip(taken, delays_s, strict=True)), max)
    times = [
        timeline.stamp((first + index * FRAME) % WRAP, 50.0 + arrival)
        for index, arrival in enumerate(arrivals)
    ]
    assert set(steps(times)) == {FRAME}


def test_the_wrap_of_32_bits_is_no_jump() -> None:
    timeline = Timeline()
    times = [timeline.stamp((WRAP - 2 * FRAME + i * FRAME) % WRAP, i / 25) for i in range(6)]
    assert times == [i * FRAME for i in range(6)]


@pytest.mark.parametrize("jump_s", [-3600, -20, -1, 20, 3600, 86_400 // 8])
def test_a_jump_of_the_camera_is_bridged_by_our_clock(jump_s: int) -> None:
    timeline = Timeline()
    times = []
    for index in range(100):
        jump = jump_s * CLOCK_HZ if index >= 50 else 0
        times.append(timeline.stamp((10**9 + index * FRAME + jump) % WRAP, index / 25))
    assert timeline.anchors == 2
    assert all(0 < step <= 2 * FRAME for step in steps(times))
    assert abs(times[-1] - 99 * FRAME) <= FRAME


@pytest.mark.parametrize("timestamp", [123, 123 + FRAME, 4_000_000_000])
def test_a_reconnect_leaves_a_gap_of_its_true_length(timestamp: int) -> None:
    timeline = Timeline()
    before = timeline.stamp(123, 10.0)
    timeline.restart()
    assert timeline.stamp(timestamp, 47.5) - before == int(37.5 * CLOCK_HZ)


@pytest.mark.parametrize(
    ("real_fps", "stamped_fps"), [(25, 25.0125), (25, 24.9875), (21, 25), (25, 21)]
)
def test_a_wrong_clock_is_followed_so_that_times_stay_with_ours(
    real_fps: int, stamped_fps: float
) -> None:
    timeline, worst = Timeline(), 0.0
    times = []
    for index in range(real_fps * 3600):  # an hour
        arrival_s = index / real_fps
        times.append(timeline.stamp(int(index * CLOCK_HZ / stamped_fps) % WRAP, arrival_s))
        worst = max(worst, abs(times[-1] / CLOCK_HZ - arrival_s))
    frame = CLOCK_HZ / real_fps
    assert timeline.anchors == 1
    assert all(frame * 0.7 <= step <= frame * 1.3 for step in steps(times))
    assert worst < TOLERANCE_S + 1


def test_a_stall_of_the_line_does_not_stretch_what_it_held_back() -> None:
    timeline = Timeline()
    times = []
    for index in range(1000):
        taken_s = index / 25
        arrival_s = max(taken_s, 23.0) if taken_s >= 15.0 else taken_s  # eight seconds in a lump
        times.append(timeline.stamp(index * FRAME, arrival_s))
    assert set(steps(times)) == {FRAME}


def test_a_camera_that_stamps_every_picture_alike_keeps_rising_with_our_clock() -> None:
    timeline = Timeline()
    times = [timeline.stamp(777, index / 25) for index in range(25 * 60)]
    assert all(step > 0 for step in steps(times))
    assert abs(times[-1] / CLOCK_HZ - 60) < 20


def test_small_steps_back_are_pictures_out_of_order_and_no_jump() -> None:
    timeline = Timeline()
    order = [0, 3, 1, 2, 6, 4, 5, 9, 7, 8]  # B-frames in decoding order
    times = [timeline.stamp(at * FRAME, index / 25) for index, at in enumerate(order)]
    assert timeline.anchors == 1
    assert all(step > 0 for step in steps(times))
    assert times[-3] == 9 * FRAME


def test_drift_is_measured() -> None:
    timeline = Timeline()
    for index in range(25 * 300):
        timeline.stamp(int(index * FRAME * (1 - 500e-6)), index / 25)
    # 500 ppm of five minutes is 0.15 s: within tolerance, so nothing is corrected yet.
    assert timeline.slewed_90k == 0
    assert timeline.lag_s == pytest.approx(0.145, abs=0.015)


@pytest.mark.parametrize("pictures", [2, 75, 200])
def test_a_burst_at_the_beginning_is_anchored_by_its_last_picture(pictures: int) -> None:
    timeline, stamps = Timeline(), [n * FRAME for n in range(pictures)]
    began_s = timeline.burst_began_s(burst_s(stamps), 100.0, 50.0)
    times = [timeline.stamp(n, 100.0 if n else began_s) for n in stamps]
    assert set(steps(times)) == {FRAME}
    assert timeline.origin_s + times[-1] / CLOCK_HZ == pytest.approx(100.0)


def test_nothing_of_a_burst_is_put_before_its_session() -> None:
    assert Timeline().burst_began_s(4.0, 100.0, 98.5) == 98.5


def test_a_burst_is_put_before_nothing_that_was_there_before() -> None:
    timeline = Timeline()
    before = timeline.stamp(7, 98.5)
    timeline.restart()
    assert not timeline.anchored
    began_s = timeline.burst_began_s(3.0, 100.0, 90.0)
    assert timeline.stamp(0, began_s) - before in range(3)


def test_nothing_is_put_after_its_arrival_where_the_timeline_leads() -> None:
    timeline = Timeline()
    for index in range(50):
        timeline.stamp(index * FRAME, 100.0)
    timeline.restart()
    assert timeline.burst_began_s(1.0, 100.5, 90.0) == 100.5


sensible = st.integers(int(-REORDER_S * CLOCK_HZ), int(JUMP_S * CLOCK_HZ))


@given(timestamps, st.lists(sensible, max_size=40))
def test_a_burst_is_as_long_as_its_timestamps_say_up_to_a_window(
    first: int, taken: list[int]
) -> None:
    stamps = [at % WRAP for at in itertools.accumulate(taken, initial=first)]
    assert burst_s(stamps) == min(max(sum(taken) / CLOCK_HZ, 0), WINDOW_S)


@given(timestamps, st.lists(sensible, max_size=10), st.integers(1, 10))
def test_a_burst_with_one_senseless_step_has_no_length(
    first: int, taken: list[int], place: int
) -> None:
    taken.insert(place, int(JUMP_S * CLOCK_HZ) + 1)
    assert burst_s([at % WRAP for at in itertools.accumulate(taken, initial=first)]) == 0


@pytest.mark.parametrize(("rate", "stamped_as"), [(50, 25), (30, 15), (30, 20)])
def test_a_camera_that_stamps_far_too_fast_never_leads_by_more_than_a_jump(
    rate: int, stamped_as: int
) -> None:
    timeline = Timeline()
    for number in range(rate * 600):
        shown = timeline.stamp(number * CLOCK_HZ // stamped_as % WRAP, number / rate)
        assert shown / CLOCK_HZ - number / rate < JUMP_S + 0.1
    assert timeline.anchors == 1
