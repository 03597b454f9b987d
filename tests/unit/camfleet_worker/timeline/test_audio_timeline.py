# SPDX-License-Identifier: Apache-2.0
"""Times of audio: they count from where the pictures' time began, by a clock of their own."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camfleet_worker.timeline.audio import AudioTimeline
from camfleet_worker.timeline.timeline import TOLERANCE_S, Timeline


def begun(at_s: float = 100.0) -> AudioTimeline:
    """With a first picture at that moment."""
    pictures = Timeline()
    pictures.stamp(5, at_s)
    return AudioTimeline(pictures)


def test_audio_before_the_first_picture_has_no_time() -> None:
    pictures = Timeline()
    audio = AudioTimeline(pictures)
    assert audio.stamp(1, 8000, 100.0) is None
    pictures.stamp(7, 100.5)
    assert audio.stamp(161, 8000, 101.0) == 45_000


@pytest.mark.parametrize("seconds", [3, 6])
def test_of_a_burst_at_the_beginning_what_lies_before_the_pictures_has_no_time(
    seconds: int,
) -> None:
    """Pictures of two seconds, and audio of more."""
    audio = begun(101.0)
    timestamps = [8000 * n // 50 for n in range(50 * seconds)]
    first, began_s = audio.begin(timestamps, 8000, 103.0, 90.0)
    assert first == 50 * seconds - 101
    assert began_s == pytest.approx(103.0 - 2.0)
    assert audio.stamp(timestamps[first], 8000, began_s) == 0
    assert audio.anchored


def test_of_a_burst_with_a_senseless_timestamp_what_follows_it_counts() -> None:
    timestamps = [4_000_000_000, *(160 * n for n in range(50))]
    first, began_s = begun(101.0).begin(timestamps, 8000, 103.0, 90.0)
    assert first == 1
    assert began_s == pytest.approx(103.0 - 0.98)


def test_a_burst_of_another_session_begins_when_it_came() -> None:
    audio = begun(100.0)
    audio.stamp(0, 8000, 100.0)
    audio.restart()
    timestamps = [4_000_000_000 + 160 * n for n in range(101)]
    first, began_s = audio.begin(timestamps, 8000, 160.0, 150.0)
    assert first == 0
    assert began_s == pytest.approx(158.0)
    first, began_s = audio.begin(timestamps, 8000, 160.0, 159.0)
    assert first == 50
    assert began_s == pytest.approx(159.0)


def test_before_the_pictures_a_burst_has_no_beginning() -> None:
    assert AudioTimeline(Timeline()).begin([1, 2], 8000, 100.0, 90.0) == (0, 100.0)


@pytest.mark.parametrize("clock_hz", [8000, 16_000, 44_100, 48_000])
def test_durations_are_rtps_and_rounding_does_not_add_up(clock_hz: int) -> None:
    audio, first = begun(), 0xFFFFFF00
    times = [
        audio.stamp(first + number * 1024 & 0xFFFFFFFF, clock_hz, 100 + number * 1024 / clock_hz)
        for number in range(2000)
    ]
    assert times == [number * 1024 * 90_000 // clock_hz for number in range(2000)]


def test_another_session_goes_on_by_arrival_and_by_another_clock() -> None:
    audio = begun()
    assert audio.stamp(0, 8000, 100.0) == 0
    audio.restart()
    assert audio.stamp(4_000_000_000, 48_000, 160.0) == 60 * 90_000
    assert audio.stamp(4_000_000_960, 48_000, 160.0) == 60 * 90_000 + 1800


@given(st.floats(-0.01, 0.01))
def test_a_clock_that_runs_fast_or_slow_stays_with_ours(error: float) -> None:
    audio = begun()
    for number in range(6000):  # two minutes
        arrival = 100 + number * 0.02
        time = audio.stamp(int(number * 160 * (1 + error)), 8000, arrival)
        assert time is not None
        assert abs(time / 90_000 - (arrival - 100)) < TOLERANCE_S + 0.25


@given(
    st.lists(st.tuples(st.integers(0, 0xFFFFFFFF), st.floats(0, 1e6)), min_size=2, max_size=40),
    st.integers(1, 384_000),
)
def test_times_rise_whatever_is_stamped(stamps: list[tuple[int, float]], clock_hz: int) -> None:
    audio = begun(0.0)
    times = [audio.stamp(timestamp, clock_hz, arrival) or 0 for timestamp, arrival in stamps]
    assert all(0 <= a < b for a, b in itertools.pairwise(times))
