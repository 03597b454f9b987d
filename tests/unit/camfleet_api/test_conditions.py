# SPDX-License-Identifier: Apache-2.0
"""Conditions: the closed set of reasons, its table, and when a transition moves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from camfleet_api.conditions import (
    LADDER,
    REASONS,
    SIDE,
    SINKS,
    Condition,
    ConditionType,
    Reason,
    merge_transition,
)

THEN = datetime(2021, 6, 1, tzinfo=UTC)
NOW = THEN + timedelta(hours=1)
POSITIVE = {
    Reason.ACCEPTED, Reason.ASSIGNED, Reason.REACHABLE, Reason.AUTHENTICATED, Reason.ELIGIBLE,
    Reason.STREAMING, Reason.RELAYING, Reason.RECORDING, Reason.READY, Reason.ALL_READY,
    Reason.COVERAGE_MET, Reason.PENDING,
}  # fmt: skip
"""Reasons that call for nothing."""


def _condition(status: str, reason: Reason, since: datetime) -> Condition:
    return Condition.model_validate(
        {"type": "Ready", "status": status, "reason": reason, "last_transition_time": since}
    )


def test_the_table_has_a_row_for_every_reason_and_no_other() -> None:
    assert list(REASONS) == list(Reason)


@pytest.mark.parametrize("reason", Reason)
def test_a_reason_says_what_it_means_and_what_a_person_does_next(reason: Reason) -> None:
    row = REASONS[reason]
    assert row.types
    assert row.meaning.endswith(".")
    if reason in POSITIVE:
        assert row.next_action == ""
    else:
        assert row.next_action.endswith(".")


@pytest.mark.parametrize("reason", Reason)
def test_meaning_and_next_action_fit_into_a_message(reason: Reason) -> None:
    row = REASONS[reason]
    assert len(f"{row.meaning} {row.next_action}") <= 300, "leaves room for the fact itself"


@pytest.mark.parametrize("type_", [*LADDER, *SINKS, ConditionType.READY])
def test_a_rung_has_reasons_for_true_and_for_not_true(type_: ConditionType) -> None:
    own = [reason for reason, row in REASONS.items() if type_ in row.types]
    assert Reason(type_.value) in own
    assert set(own) - POSITIVE


@pytest.mark.parametrize("type_", SIDE)
def test_a_side_condition_is_absent_when_true_so_it_has_no_positive_reason(
    type_: ConditionType,
) -> None:
    own = {reason for reason, row in REASONS.items() if type_ in row.types}
    assert not own & POSITIVE


def test_a_new_reason_under_the_same_status_keeps_the_time() -> None:
    old = _condition("False", Reason.TIMEOUT, THEN)
    merged = merge_transition(_condition("False", Reason.NO_FRAMES, NOW), old)
    assert merged.last_transition_time == THEN
    assert merged.reason == Reason.NO_FRAMES


@pytest.mark.parametrize("old", [None, _condition("False", Reason.TIMEOUT, THEN)])
def test_another_status_begins_now(old: Condition | None) -> None:
    assert merge_transition(_condition("True", Reason.READY, NOW), old).last_transition_time == NOW
