# SPDX-License-Identifier: Apache-2.0
"""A maintenance window makes planned what is missing within it, and nothing else."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from camfleet_api.cause import Cause
from camfleet_api.site import MaintenanceWindow
from camfleet_worker.journal.lines import windows_of, windows_text
from camfleet_worker.journal.period import ON_DISK, UNKNOWN, UP, Period, down
from camfleet_worker.journal.windows import Window, window_of, with_planned_gaps

DAY = 1_000
windows = st.lists(
    st.builds(
        lambda start, length, author: Window(start, start + length, author, "mast moved"),
        st.integers(-DAY, DAY),
        st.integers(1, DAY),
        st.text(min_size=1),
    ),
    max_size=6,
)
conditions = st.sampled_from([UP, UNKNOWN, *(down(cause) for cause in Cause)])


@st.composite
def timelines(draw: st.DrawFn) -> list[Period]:
    """Periods of one fact that tile their time."""
    edges = sorted(draw(st.sets(st.integers(0, DAY), min_size=2, max_size=8)))
    return [Period(ON_DISK, draw(conditions), start, end) for start, end in pairwise(edges)]


def gap(cause: Cause, start_us: int, end_us: int) -> Period:
    return Period(ON_DISK, down(cause), start_us, end_us)


def test_a_gap_is_split_at_the_edges_of_a_window() -> None:
    window = Window(20, 30, "noc", "mast moved")
    assert with_planned_gaps([gap(Cause.LINE, 10, 50)], [window]) == [
        gap(Cause.LINE, 10, 20),
        gap(Cause.PLANNED, 20, 30),
        gap(Cause.LINE, 30, 50),
    ]


def test_windows_that_touch_or_overlap_are_one() -> None:
    touching = [Window(30, 40, "noc", "b"), Window(20, 30, "noc", "a"), Window(25, 28, "noc", "c")]
    assert with_planned_gaps([gap(Cause.CAMERA, 10, 40)], touching) == [
        gap(Cause.CAMERA, 10, 20),
        gap(Cause.PLANNED, 20, 40),
    ]


@given(timelines(), windows)
def test_every_moment_keeps_its_state_and_is_planned_only_in_a_window(
    told: list[Period], declared: list[Window]
) -> None:
    found = with_planned_gaps(told, declared)
    assert all(before.end_us == after.start_us for before, after in pairwise(found))
    for at_us in range(told[0].start_us, told[-1].end_us):
        (before,) = [one for one in told if one.start_us <= at_us < one.end_us]
        (after,) = [one for one in found if one.start_us <= at_us < one.end_us]
        missing = before.condition.cause is not None
        if missing and any(one.start_us <= at_us < one.end_us for one in declared):
            assert after.condition == down(Cause.PLANNED)
        else:
            assert after.condition == before.condition


@given(timelines(), windows)
def test_applying_windows_again_changes_no_planned_part(
    told: list[Period], declared: list[Window]
) -> None:
    once = with_planned_gaps(told, declared)
    again = with_planned_gaps(once, declared)
    assert [one for one in again if one.condition.cause is not Cause.PLANNED] == [
        one for one in once if one.condition.cause is not Cause.PLANNED
    ]


@given(windows)
def test_windows_are_read_as_they_were_written(declared: list[Window]) -> None:
    assert windows_of(windows_text(declared)) == tuple(declared)


@given(st.binary())
def test_a_file_that_is_none_holds_no_windows(text: bytes) -> None:
    assert windows_of(text) == ()


def test_a_window_of_a_site_is_read_in_whatever_zone_it_was_written() -> None:
    declared = MaintenanceWindow.read(
        {
            "from": "1970-01-01T07:00:01+07:00",
            "until": "1970-01-01T00:00:02Z",
            "author": "noc",
            "reason": "mast moved",
        }
    )
    assert window_of(declared) == Window(1_000_000, 2_000_000, "noc", "mast moved")
