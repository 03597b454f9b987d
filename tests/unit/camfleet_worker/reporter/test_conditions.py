# SPDX-License-Identifier: Apache-2.0
"""The conditions that camfleet-runtime owns, for every combination of facts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camfleet_api.conditions import (
    OPERATOR_CONDITIONS,
    REASONS,
    SIDE,
    SINKS,
    Condition,
    ConditionType,
    Reason,
)
from camfleet_worker.base.errors import IngestError
from camfleet_worker.reporter.conditions import (
    MAX_MESSAGE,
    RUNGS,
    runtime_conditions,
    runtime_part,
    runtime_status,
)
from camfleet_worker.reporter.facts import CameraSnapshot, Failure, SinkFact

NOW = datetime(2026, 11, 23, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)
NEUTRAL = {Reason.PENDING, Reason.WORKER_LOST} | {
    reason for reason in Reason if reason.value in {kind.value for kind in ConditionType}
}


def failures(*kinds: ConditionType) -> st.SearchStrategy[Failure]:
    """Every failure that the table of reasons allows for these conditions."""
    rows = [
        Failure.of(IngestError(kind, reason, "The fact"))
        for reason, row in REASONS.items()
        for kind in row.types
        if kind in kinds and reason not in NEUTRAL
    ]
    return st.sampled_from(rows)


def sink_facts(kind: ConditionType) -> st.SearchStrategy[SinkFact]:
    return st.one_of(
        st.builds(SinkFact, working=st.booleans()),
        st.builds(SinkFact, failure=failures(kind)),
    )


@st.composite
def camera_facts(draw: st.DrawFn) -> CameraSnapshot:
    failure = draw(st.none() | failures(*RUNGS))
    wanted = draw(st.sets(st.sampled_from(SINKS)))
    return CameraSnapshot(
        generation=draw(st.integers(0, 9)),
        failure=failure,
        streaming=failure is None and draw(st.booleans()),
        sinks={kind: draw(sink_facts(kind)) for kind in SINKS if kind in wanted},
        side=tuple(draw(st.lists(failures(*SIDE), max_size=4, unique_by=lambda f: f.condition))),
    )


def by_type(facts: CameraSnapshot, now: datetime = NOW) -> dict[str, Condition]:
    return {condition.type: condition for condition in runtime_conditions(facts, now)}


@given(camera_facts())
def test_the_first_rung_that_is_not_true_makes_the_rest_unknown(facts: CameraSnapshot) -> None:
    found = by_type(facts)
    statuses = [found[rung].status for rung in RUNGS]
    broken = next((i for i, status in enumerate(statuses) if status != "True"), len(statuses))
    assert set(statuses[broken + 1 :]) <= {"Unknown"}
    if broken < len(statuses):
        assert all(found[kind].status == "Unknown" for kind in facts.sinks)


@given(camera_facts())
def test_ready_names_the_first_that_is_not_true(facts: CameraSnapshot) -> None:
    found = by_type(facts)
    order = [*RUNGS, *(kind for kind in SINKS if kind in facts.sinks)]
    first = next((found[kind] for kind in order if found[kind].status != "True"), None)
    ready = found[ConditionType.READY]
    if first is None:
        assert (ready.status, ready.reason, ready.message) == ("True", "Ready", "")
    else:
        assert (ready.status, ready.reason) == (first.status, first.reason)
        assert ready.message == first.message


@given(camera_facts())
def test_a_true_condition_has_an_empty_message_and_side_conditions_are_never_true(
    facts: CameraSnapshot,
) -> None:
    for condition in runtime_conditions(facts, NOW):
        if condition.status == "True":
            assert condition.message == ""
            assert condition.type not in SIDE


@given(camera_facts(), st.randoms())
def test_conditions_stand_in_the_order_of_the_ladder_however_they_are_stored(
    facts: CameraSnapshot, chance: Random
) -> None:
    written = runtime_status(facts, NOW)
    ranks = [list(ConditionType).index(ConditionType(one.type)) for one in written.conditions]
    assert ranks == sorted(ranks)
    stored = list(written.conditions)
    chance.shuffle(stored)
    assert runtime_part(written.model_copy(update={"conditions": stored})) == written


@given(camera_facts())
def test_the_set_is_whole_and_holds_nothing_of_the_operators(facts: CameraSnapshot) -> None:
    types = [condition.type for condition in runtime_conditions(facts, NOW)]
    assert len(types) == len(set(types))
    assert not set(types) & OPERATOR_CONDITIONS
    assert set(types) == {
        *RUNGS,
        *facts.sinks,
        ConditionType.READY,
        *(failure.condition for failure in facts.side),
    }


@given(camera_facts(), camera_facts())
def test_a_time_moves_exactly_when_the_status_does(
    before: CameraSnapshot, after: CameraSnapshot
) -> None:
    present = by_type(before)
    for condition in runtime_conditions(after, LATER, present.values()):
        old = present.get(condition.type)
        kept = old is not None and old.status == condition.status
        assert condition.last_transition_time == (NOW if kept else LATER)


@given(camera_facts())
def test_the_same_facts_later_are_the_same_status(facts: CameraSnapshot) -> None:
    first = runtime_status(facts, NOW)
    assert runtime_status(facts, LATER, first.conditions) == first


@pytest.mark.parametrize("rung", RUNGS)
def test_the_rungs_before_a_failure_are_true(rung: ConditionType) -> None:
    reason = next(r for r, row in REASONS.items() if rung in row.types and r not in NEUTRAL)
    found = by_type(CameraSnapshot(1, failure=Failure(rung, reason, "m")))
    assert [found[r].status for r in RUNGS[: RUNGS.index(rung)]] == ["True"] * RUNGS.index(rung)
    assert found[rung].status == "False"


def test_a_failure_with_reason_pending_is_unknown_and_no_verdict() -> None:
    pending = Failure(ConditionType.AUTHENTICATED, Reason.PENDING, "not tried")
    assert by_type(CameraSnapshot(1, failure=pending))[ConditionType.READY].status == "Unknown"


def test_a_message_fits_its_bound() -> None:
    failure = Failure(ConditionType.REACHABLE, Reason.TIMEOUT, "x" * 2000)
    found = by_type(CameraSnapshot(1, failure=failure))
    assert len(found[ConditionType.READY].message) == MAX_MESSAGE


def test_a_failing_camera_stays_below_six_kilobytes() -> None:
    side = tuple(Failure(kind, _reason_of(kind), "m" * 160) for kind in SIDE if _has_reason(kind))
    failure = Failure(ConditionType.STREAMING, Reason.SESSION_LIMIT, "m" * 200)
    facts = CameraSnapshot(7, failure=failure, sinks=dict.fromkeys(SINKS, SinkFact()), side=side)
    assert len(runtime_status(facts, NOW).model_dump_json(by_alias=True)) < 3000


def _has_reason(kind: ConditionType) -> bool:
    return any(kind in row.types for row in REASONS.values())


def _reason_of(kind: ConditionType) -> Reason:
    return next(reason for reason, row in REASONS.items() if kind in row.types)
