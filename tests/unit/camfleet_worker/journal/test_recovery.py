# SPDX-License-Identifier: Apache-2.0
"""After kill -9 the disk tells what was recorded, and the rest is a gap of ours."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from camfleet_api.cause import Cause
from camfleet_worker.journal.period import UP, Fact, Period, Stage, down
from camfleet_worker.journal.recovery import joined, recovered

ON_DISK = Fact(Stage.ON_DISK)
moments = st.integers(0, 300)


def test_the_gap_begins_with_the_last_picture_on_disk_and_ends_with_the_start() -> None:
    assert recovered(100, 200, [(90, 150)]) == [
        Period(ON_DISK, UP, 100, 150),
        Period(ON_DISK, down(Cause.SYSTEM), 150, 200),
    ]


@given(st.lists(st.tuples(moments, moments)))
def test_the_time_is_tiled_and_up_is_what_lies_on_disk(stretches: list[tuple[int, int]]) -> None:
    periods = recovered(100, 200, stretches)
    assert (periods[0].start_us, periods[-1].end_us) == (100, 200)
    for before, after in pairwise(periods):
        assert before.end_us == after.start_us
        assert before.condition != after.condition
    for at in range(100, 200):
        (held,) = [one for one in periods if one.start_us <= at < one.end_us]
        assert (held.condition == UP) == any(start <= at < end for start, end in stretches)


def test_no_entry_is_made_where_no_time_has_passed() -> None:
    assert recovered(100, 100, [(50, 150)]) == []


def test_a_hole_after_an_orderly_end_is_planned_for_every_fact() -> None:
    relayed = Fact(Stage.RELAYED, "national")
    assert recovered(100, 200, [], relayed, Cause.PLANNED) == [
        Period(relayed, down(Cause.PLANNED), 100, 200)
    ]


def test_only_what_goes_on_under_the_same_condition_is_joined() -> None:
    arriving = Fact(Stage.ARRIVING)
    told = [
        Period(ON_DISK, UP, 0, 10),
        Period(arriving, UP, 5, 20),
        Period(ON_DISK, UP, 10, 20),
        Period(ON_DISK, down(Cause.SYSTEM), 20, 30),
        Period(ON_DISK, down(Cause.SYSTEM), 31, 40),
    ]
    assert joined(told) == [
        Period(ON_DISK, UP, 0, 20),
        Period(arriving, UP, 5, 20),
        Period(ON_DISK, down(Cause.SYSTEM), 20, 30),
        Period(ON_DISK, down(Cause.SYSTEM), 31, 40),
    ]
