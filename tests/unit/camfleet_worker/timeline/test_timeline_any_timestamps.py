# SPDX-License-Identifier: Apache-2.0
"""Whatever a camera stamps, presentation times rise."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from camfleet_worker.timeline.earliest_arrival import WINDOW_S
from camfleet_worker.timeline.timeline import (
    DRIFT_AFTER_S,
    TOLERANCE_S,
    Timeline,
)
from camfleet_worker.timeline.timestamp_sense import MOST_REORDERED


@given(st.lists(st.tuples(st.integers(0, 2**32 - 1), st.floats(0, 3)), max_size=80))
def test_random_timestamps_rise(pictures: list[tuple[int, float]]) -> None:
    timeline, now_s, last = Timeline(), 100.0, -1
    for timestamp, wait_s in pictures:
        now_s += wait_s
        pts = timeline.stamp(timestamp, now_s)
        assert pts > last
        last = pts


@given(st.integers(0, 2**32 - 1), st.integers(0, 10_000), st.integers(80, 300))
def test_timestamps_that_do_not_rise_are_replaced_by_arrival(
    stamp: int, back: int, count: int
) -> None:
    timeline = Timeline()
    pts = [
        timeline.stamp((stamp - index * back) % 2**32, 50.0 + index / 10) for index in range(count)
    ]
    assert all(later > earlier for earlier, later in itertools.pairwise(pts))
    assert timeline.by_arrival == count - 1 - MOST_REORDERED
    # What was missing until that was known comes bit by bit: no step is much longer than its own.
    assert [at / 90_000 for at in pts[60:]] == pytest.approx(
        [index / 10 for index in range(60, count)], abs=0.001
    )


def test_timestamps_that_rise_again_are_believed_again() -> None:
    timeline = Timeline()
    stamps = [0] * 100 + [index * 3600 for index in range(1, 100)]
    pts = [timeline.stamp(stamp, index / 25) for index, stamp in enumerate(stamps)]
    assert {b - a for a, b in itertools.pairwise(pts[110:])} == {3600}


@settings(max_examples=20)
@given(st.floats(-500, 500), st.lists(st.floats(0, 0.2), min_size=50, max_size=50))
def test_drift_is_told_within_what_arrival_lets_us_know(ppm: float, delays: list[float]) -> None:
    timeline = Timeline()
    for index in range(3000):
        taken_s = index * 0.5
        stamp = int(taken_s * 90_000 * (1 + ppm / 1e6)) % 2**32
        timeline.stamp(stamp, 1000 + taken_s + delays[index % 50])
        assert timeline.drift_ppm is None or taken_s >= DRIFT_AFTER_S
    assert timeline.drift_ppm == pytest.approx(ppm, abs=0.25 / 1500 * 1e6)


@settings(max_examples=30)
@given(st.floats(-100_000, 100_000), st.lists(st.floats(0, 0.5), min_size=30, max_size=30))
def test_a_wrong_rate_stays_within_a_bound_of_arrival(ppm: float, delays: list[float]) -> None:
    timeline = Timeline()
    for index in range(2000):
        stamp = int(index * 3600 * (1 + ppm / 1e6)) % 2**32
        arrival_s = index / 25 + delays[index % 30]
        pts = timeline.stamp(stamp, 1000 + arrival_s)
        assert abs(pts / 90_000 - index / 25) < TOLERANCE_S + WINDOW_S * abs(ppm) / 1e6 * 2 + 1
