# SPDX-License-Identifier: Apache-2.0
"""Observations become periods that tile the time, in whatever order they come."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from camfleet_api.cause import Cause
from camfleet_worker.journal.fold import Fold, Observation
from camfleet_worker.journal.period import (
    UNKNOWN,
    UP,
    Condition,
    Fact,
    Period,
    Stage,
    down,
)

ARRIVING = Fact(Stage.ARRIVING)
BEGAN, ENDS, TOLERANCE = 100, 1_000, 50
conditions = st.sampled_from(
    [UP, UNKNOWN, down(Cause.CAMERA), down(Cause.LINE), down(Cause.SYSTEM)]
)
observations = st.lists(
    st.builds(Observation, st.integers(BEGAN, ENDS - 1), conditions), max_size=30
)


def folded(seen: list[Observation]) -> list[Period]:
    fold = Fold(ARRIVING, BEGAN, TOLERANCE)
    for one in seen:
        fold.observe(one)
    return fold.close(ENDS)


def held_at(periods: list[Period], at_us: int) -> Condition:
    (period,) = [one for one in periods if one.start_us <= at_us < one.end_us]
    return period.condition


@given(observations, st.lists(st.integers(0, ENDS), max_size=5))
def test_periods_tile_the_time_and_neighbours_differ(
    seen: list[Observation], asked: list[int]
) -> None:
    fold = Fold(ARRIVING, BEGAN, TOLERANCE)
    periods: list[Period] = []
    for number, one in enumerate(seen):
        fold.observe(one)
        periods += fold.settle(asked[number % len(asked)]) if asked else []
    periods += fold.close(ENDS)
    assert (periods[0].start_us, periods[-1].end_us) == (BEGAN, ENDS)
    for before, after in pairwise(periods):
        assert before.end_us == after.start_us
        assert before.condition != after.condition


@given(st.data(), observations)
def test_order_within_the_tolerance_makes_no_difference(
    data: st.DataObject, seen: list[Observation]
) -> None:
    delays = data.draw(st.lists(st.integers(0, TOLERANCE), min_size=len(seen), max_size=len(seen)))
    fold = Fold(ARRIVING, BEGAN, TOLERANCE)
    periods: list[Period] = []
    arrivals = sorted(
        zip(seen, delays, strict=True), key=lambda pair: (pair[0].at_us + pair[1], pair[1])
    )
    for one, delay in arrivals:
        periods += fold.settle(one.at_us + delay)
        fold.observe(one)
    periods += fold.close(ENDS)
    assert fold.late == 0
    assert periods == folded(sorted(seen, key=lambda one: one.at_us))


@given(observations)
def test_every_gap_that_was_seen_has_an_entry_with_its_cause(seen: list[Observation]) -> None:
    periods = folded(seen)
    alone = [one for one in seen if [other.at_us for other in seen].count(one.at_us) == 1]
    for one in alone:
        assert held_at(periods, one.at_us) == one.condition


def test_before_the_first_observation_nothing_is_up() -> None:
    assert folded([Observation(300, UP)]) == [
        Period(ARRIVING, UNKNOWN, BEGAN, 300),
        Period(ARRIVING, UP, 300, ENDS),
    ]


def test_of_two_observations_at_one_instant_the_gap_holds() -> None:
    seen = [Observation(300, down(Cause.CAMERA)), Observation(300, UP)]
    assert folded(seen) == folded(seen[::-1])
    assert held_at(folded(seen), 400) == down(Cause.CAMERA)


def test_an_observation_that_held_for_no_time_ends_no_period() -> None:
    gap = down(Cause.CAMERA)
    seen = [Observation(BEGAN, gap), Observation(300, UP), Observation(300, gap)]
    assert folded(seen) == [Period(ARRIVING, gap, BEGAN, ENDS)]


def test_a_late_observation_holds_from_where_time_is_not_settled() -> None:
    fold = Fold(ARRIVING, BEGAN, TOLERANCE)
    fold.observe(Observation(BEGAN, UP))
    fold.settle(500)
    fold.observe(Observation(400, down(Cause.LINE)))
    assert fold.late == 1
    assert fold.close(ENDS) == [
        Period(ARRIVING, UP, BEGAN, 450),
        Period(ARRIVING, down(Cause.LINE), 450, ENDS),
    ]


def test_an_observation_older_than_the_known_state_changes_nothing() -> None:
    fold = Fold(ARRIVING, BEGAN, TOLERANCE)
    fold.observe(Observation(300, UP))
    fold.settle(500)
    fold.observe(Observation(200, down(Cause.LINE)))
    assert fold.close(ENDS)[-1] == Period(ARRIVING, UP, 300, ENDS)
