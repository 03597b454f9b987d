# SPDX-License-Identifier: Apache-2.0
"""A minute is good when a key frame arrived, the picture could be used and the sink took it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from camfleet_api.cause import Cause
from camfleet_worker.journal.minutes import MINUTE_US, Shortfall, Verdict, judge
from camfleet_worker.journal.period import (
    UNKNOWN,
    UP,
    USABLE,
    Condition,
    Fact,
    Period,
    Stage,
    down,
)

START = 5 * MINUTE_US


def on_disk(condition: Condition, start: float = 0.0, end: float = 1.0) -> Period:
    """A period in parts of the minute judged."""
    return Period(
        Fact(Stage.ON_DISK),
        condition,
        START + int(start * MINUTE_US),
        START + int(end * MINUTE_US),
    )


def usable(condition: Condition, start: float = 0.0) -> Period:
    """Of the picture, until the end of the minute judged."""
    return replace(on_disk(condition, start), fact=USABLE)


@pytest.mark.parametrize("condition", [UP, UNKNOWN])
def test_a_minute_with_a_key_frame_that_the_sink_took_is_good(condition: Condition) -> None:
    assert judge(START, [on_disk(UP)], 1, [usable(condition)]).verdict is Verdict.GOOD
    assert judge(START, [on_disk(UP)], 1).verdict is Verdict.GOOD


def test_a_minute_with_an_unusable_picture_is_not_good() -> None:
    minute = judge(START, [on_disk(UP)], 30, [usable(down(Cause.CAMERA), 0.9)])
    assert minute.verdict is Verdict.NOT_GOOD
    assert minute.shortfalls == {Shortfall.PICTURE_UNHEALTHY}


def test_no_key_frame_is_not_good_and_an_uncounted_one_is_unknown() -> None:
    assert judge(START, [on_disk(UP)], 0).verdict is Verdict.NOT_GOOD
    assert judge(START, [on_disk(UP)], None).verdict is Verdict.UNKNOWN


def test_a_gap_of_the_whole_minute_is_not_good_and_names_its_cause() -> None:
    gap = on_disk(down(Cause.DISK), -1.0, 2.0)
    minute = judge(START, [gap], 30)
    assert (minute.verdict, minute.causes) == (Verdict.NOT_GOOD, frozenset({Cause.DISK}))


def test_a_short_gap_leaves_a_minute_good_and_is_named_all_the_same() -> None:
    minute = judge(START, [on_disk(UP, 0.0, 0.5), on_disk(down(Cause.SYSTEM), 0.5)], 30)
    assert (minute.verdict, minute.causes) == (Verdict.GOOD, frozenset({Cause.SYSTEM}))


@pytest.mark.parametrize(
    "known",
    [
        [],
        [on_disk(UNKNOWN)],
        [on_disk(down(Cause.SYSTEM), 0.0, 0.5)],
        [on_disk(UP, -1.0, 0.0), on_disk(UP, 1.0, 2.0)],
    ],
)
def test_a_minute_with_unknown_time_is_not_good(known: list[Period]) -> None:
    assert judge(START, known, 30).verdict is Verdict.UNKNOWN


def test_gaps_that_overlap_fill_a_minute_only_where_they_leave_nothing_between_them() -> None:
    whole = [on_disk(down(Cause.SYSTEM), -1.0, 0.7), on_disk(down(Cause.DISK), 0.4, 1.0)]
    assert judge(START, whole, None).verdict is Verdict.NOT_GOOD
    half = [on_disk(down(Cause.SYSTEM), 0.0, 0.5), on_disk(down(Cause.DISK), 0.0, 0.5)]
    assert judge(START, half, None).verdict is Verdict.UNKNOWN


def test_a_minute_that_lacks_only_planned_time_is_planned() -> None:
    planned = down(Cause.PLANNED)
    assert judge(START, [on_disk(planned)], 0).verdict is Verdict.PLANNED
    assert judge(START, [on_disk(UP)], 1, [usable(planned, 0.5)]).verdict is Verdict.PLANNED
    minute = judge(START, [on_disk(planned)], None)
    assert (minute.verdict, minute.causes) == (Verdict.PLANNED, frozenset({Cause.PLANNED}))


def test_planned_work_changes_no_gap_outside_its_window() -> None:
    planned = down(Cause.PLANNED)
    late = [on_disk(planned, 0.0, 0.5), on_disk(down(Cause.LINE), 0.5)]
    assert judge(START, late, 0).verdict is Verdict.NOT_GOOD
    unhealthy = [usable(down(Cause.CAMERA))]
    assert judge(START, [on_disk(planned)], 0, unhealthy).verdict is Verdict.NOT_GOOD
    assert judge(START, [on_disk(UP, 0.0, 0.5), on_disk(planned, 0.5)], 1).verdict is Verdict.GOOD
