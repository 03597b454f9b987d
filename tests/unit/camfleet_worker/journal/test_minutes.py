# SPDX-License-Identifier: Apache-2.0
"""A minute is good when a key frame arrived, the picture could be used and the sink took it."""

from __future__ import annotations

import pytest

from camfleet_worker.journal.minutes import MINUTE_US, Shortfall, Verdict, judge
from camfleet_worker.journal.period import (
    UNKNOWN,
    UP,
    Condition,
    Fact,
    Period,
    Stage,
    down,
)
from camfleet_worker.media_types.causes import Cause

START = 5 * MINUTE_US


def on_disk(condition: Condition, start: float = 0.0, end: float = 1.0) -> Period:
    """A period in parts of the minute judged."""
    return Period(
        Fact(Stage.ON_DISK),
        condition,
        START + int(start * MINUTE_US),
        START + int(end * MINUTE_US),
    )


@pytest.mark.parametrize("healthy", [True, None])
def test_a_minute_with_a_key_frame_that_the_sink_took_is_good(healthy: bool | None) -> None:
    assert judge(START, [on_disk(UP)], 1, picture_healthy=healthy).verdict is Verdict.GOOD


def test_a_picture_that_nobody_can_use_is_not_good() -> None:
    minute = judge(START, [on_disk(UP)], 30, picture_healthy=False)
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
def test_what_is_unknown_is_not_up(known: list[Period]) -> None:
    assert judge(START, known, 30).verdict is Verdict.UNKNOWN


def test_gaps_that_overlap_fill_a_minute_only_where_they_leave_nothing_between_them() -> None:
    whole = [on_disk(down(Cause.SYSTEM), -1.0, 0.7), on_disk(down(Cause.DISK), 0.4, 1.0)]
    assert judge(START, whole, None).verdict is Verdict.NOT_GOOD
    half = [on_disk(down(Cause.SYSTEM), 0.0, 0.5), on_disk(down(Cause.DISK), 0.0, 0.5)]
    assert judge(START, half, None).verdict is Verdict.UNKNOWN
