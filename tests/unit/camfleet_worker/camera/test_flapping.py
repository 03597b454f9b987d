# SPDX-License-Identifier: Apache-2.0
"""When a camera counts as flapping, and which of its failures is told while it is down."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camfleet_api.conditions import ConditionType, Reason
from camfleet_worker.camera.failure_damping import FailureDamping
from camfleet_worker.camera.flapping import CALM_S, ENDS, WINDOW_S, Flapping
from camfleet_worker.reporter.facts import Failure

AWAY = Failure(ConditionType.REACHABLE, Reason.HOST_UNREACHABLE, "Nothing answers.")
SLOW = Failure(ConditionType.REACHABLE, Reason.TIMEOUT, "No answer in time.")
SHUT = Failure(ConditionType.REACHABLE, Reason.CONNECTION_REFUSED, "Refused.")
REJECTED = Failure(ConditionType.AUTHENTICATED, Reason.CREDENTIALS_REJECTED, "Refused.")

CLOSED, BROKEN = "The camera closed the stream", "The connection to the camera broke"


@given(gaps=st.lists(st.floats(0, 2000), min_size=1, max_size=60))
def test_five_ends_within_a_quarter_of_an_hour_are_flapping(gaps: list[float]) -> None:
    flapping, now, ends, expected = Flapping(), 0.0, [], False
    for gap in gaps:
        now += gap
        expected = expected and gap < CALM_S
        ends.append(now)
        flapping.ended(now, CLOSED)
        expected = expected or (len(ends) >= ENDS and now - ends[-ENDS] <= WINDOW_S)
        assert (flapping.failure(now) is not None) is expected


def test_half_an_hour_without_an_end_is_calm() -> None:
    flapping = Flapping()
    for _ in range(ENDS):
        flapping.ended(100.0, CLOSED)
    assert flapping.failure(100.0 + CALM_S - 1) is not None
    assert flapping.failure(100.0 + CALM_S) is None
    flapping.ended(100.0 + CALM_S, CLOSED)
    assert flapping.failure(100.0 + CALM_S) is None


def test_a_former_workers_report_holds_for_half_an_hour() -> None:
    flapping = Flapping()
    reported = Failure(ConditionType.STABLE, Reason.FLAPPING, "As a former worker said it.")
    flapping.recall(reported, 50.0)
    assert flapping.failure(60.0) is reported
    assert flapping.failure(50.0 + CALM_S) is None


def test_the_message_of_flapping_stays_the_same_however_long_it_goes_on() -> None:
    flapping, told = Flapping(), set()
    for end in range(200):
        flapping.ended(end * 60.0, CLOSED if end < ENDS else BROKEN)
        told.add(flapping.failure(end * 60.0))
    (failure,) = told - {None}
    assert failure is not None
    assert failure.message.startswith(
        "The stream broke five times or more within a quarter of an hour (the camera closed the "
        "stream). Check the camera's power supply"
    )


@given(
    seen=st.lists(
        st.tuples(st.sampled_from([AWAY, SLOW, SHUT]), st.floats(0.1, 40)),
        min_size=50,
        max_size=400,
    )
)
def test_alternating_failures_change_the_report_a_few_times_an_hour(
    seen: list[tuple[Failure, float]],
) -> None:
    damping, now, changes = FailureDamping(), 0.0, []
    last = None
    for failure, gap in seen:
        now += gap
        told = damping.reported(failure, now)
        if told != last:
            changes.append(now)
        last = told
    for begin in changes:
        # The first failure, two changes at once, then after 60, 300 and twice 1800 s.
        assert len([at for at in changes if begin <= at < begin + 3600]) <= 7


def test_the_usual_course_of_an_outage_is_reported_at_once() -> None:
    damping = FailureDamping()
    assert damping.reported(SLOW, 0.0) is SLOW
    assert damping.reported(AWAY, 10.0) is AWAY
    assert damping.reported(SHUT, 20.0) is SHUT


def test_a_failure_that_stays_is_reported_in_the_end() -> None:
    damping = FailureDamping()
    for at, failure in enumerate((AWAY, SLOW, AWAY)):
        damping.reported(failure, float(at))
    assert damping.reported(SLOW, 10.0) is AWAY
    assert damping.reported(SLOW, 69.0) is AWAY
    assert damping.reported(SLOW, 70.0) is SLOW


def test_a_failure_that_only_a_person_can_end_is_reported_at_once() -> None:
    damping = FailureDamping()
    for at, failure in enumerate((AWAY, SLOW, AWAY, SLOW)):
        damping.reported(failure, float(at))
    assert damping.reported(REJECTED, 5.0, final=True) is REJECTED


@pytest.mark.parametrize("over", [True, False])
def test_a_stream_of_seconds_does_not_begin_another_outage(over: bool) -> None:
    damping = FailureDamping()
    for at, failure in enumerate((AWAY, SLOW, AWAY)):
        damping.reported(failure, float(at))
    damping.streams()
    if over:
        damping.outage_over()
    assert damping.reported(SHUT, 100.0) is SHUT
    assert (damping.reported(SLOW, 101.0) is SLOW) is over
