# SPDX-License-Identifier: Apache-2.0
"""Conditions: the closed set of reasons, its table, and when a transition moves."""

from __future__ import annotations

import inspect
from datetime import UTC, datetime, timedelta

import pytest

from camfleet_api import conditions
from camfleet_api.cause import Cause
from camfleet_api.conditions import (
    LADDER,
    REASONS,
    SIDE,
    SINKS,
    Condition,
    ConditionType,
    Effect,
    Reason,
    ReasonRow,
    cause_of,
    condition_of,
    in_ladder_order,
    merge_transition,
    reasons_with,
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
def test_a_reason_has_a_meaning_and_a_next_action(reason: Reason) -> None:
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


R, E = Reason, Effect

DECIDED = {
    E.IS_UNKNOWN: {R.PENDING, R.WORKER_LOST, R.CLOCK_UNREADABLE},
    E.MAY_ARRIVE: {
        R.NAMESPACE_NOT_ENROLLED, R.SITE_NOT_FOUND, R.PROFILE_NOT_FOUND,
        R.MONITORING_SYSTEM_NOT_FOUND,
    },
    E.SITE_WIDE: {
        R.HOST_UNREACHABLE, R.CONNECTION_REFUSED, R.NAME_NOT_RESOLVED, R.TIMEOUT, R.NO_FRAMES,
        R.STREAM_ENDED,
    },
    E.ASKS_ONVIF_AGAIN: {
        R.STREAM_REFUSED, R.STREAM_REDIRECTED, R.TRANSPORT_REFUSED, R.PROTOCOL_ERROR,
        R.NO_ALLOWED_STREAM, R.NO_FRAMES, R.AUDIO_ONLY,
    },
    E.REFUSES_RTSP_LOGIN: {R.RTSP_CREDENTIALS_REJECTED, R.ACCOUNT_LOCKED},
    E.ENDS_LOGINS: {R.ACCOUNT_LOCKED},
    E.TRIES_HTTPS: {R.NOT_ONVIF, R.PROTOCOL_ERROR},
    E.DOUBTS_KEEPALIVE: {R.NO_FRAMES, R.STREAM_ENDED},
    E.NAMES_WHAT_LACKS: {R.CHANNEL_NOT_FOUND, R.NO_ALLOWED_STREAM},
}  # fmt: skip
"""What camfleet does about each reason, read the other way round: a slip in a row shows here."""

NOT_OF_ITS_CONDITION = {
    R.HOST_UNREACHABLE: Cause.LINE,
    R.SITE_UNREACHABLE: Cause.LINE,
    R.NAME_NOT_RESOLVED: Cause.SYSTEM,
    R.CREDENTIALS_MISSING: Cause.SYSTEM,
    R.CREDENTIALS_KEY_MISSING: Cause.SYSTEM,
    R.SECRET_WRONG_TYPE: Cause.SYSTEM,
    R.VMS_CREDENTIALS_MISSING: Cause.SYSTEM,
    R.WORKER_LOST: Cause.SYSTEM,
}
CAUSE_OF_CONDITION = {
    **dict.fromkeys((*LADDER[2:], *SIDE), Cause.CAMERA),
    ConditionType.RELAYING: Cause.VMS,
    ConditionType.RECORDING: Cause.DISK,
}


@pytest.mark.parametrize("effect", [one for one in Effect if one is not Effect.NONE])
def test_an_effect_belongs_to_these_reasons_and_to_no_other(effect: Effect) -> None:
    assert reasons_with(effect) == DECIDED[effect]


OF_A_STREAM = [one for one in Reason if CAUSE_OF_CONDITION.keys() & set(REASONS[one].types)]


@pytest.mark.parametrize("reason", OF_A_STREAM)
def test_the_cause_is_that_of_the_condition_but_for_a_few_reasons(reason: Reason) -> None:
    row = REASONS[reason]
    if row.cause is None:
        assert reason in POSITIVE
    else:
        usual = next(CAUSE_OF_CONDITION[k] for k in row.types if k in CAUSE_OF_CONDITION)
        assert row.cause is NOT_OF_ITS_CONDITION.get(reason, usual)


@pytest.mark.parametrize("reason", Reason)
def test_every_failure_has_a_cause_and_what_is_no_failure_has_none(reason: Reason) -> None:
    if reason in POSITIVE - {R.PENDING}:
        with pytest.raises(ValueError, match="True condition"):
            cause_of(reason)
    else:
        assert cause_of(reason) is REASONS[reason].cause


def test_a_line_is_blamed_only_where_the_host_does_not_answer() -> None:
    of_the_line = {reason for reason, row in REASONS.items() if row.cause is Cause.LINE}
    assert of_the_line == {R.HOST_UNREACHABLE, R.SITE_UNREACHABLE}


def test_a_gap_of_ours_is_written_as_journals_have_it_already() -> None:
    assert Cause("us") is Cause.SYSTEM


def test_a_reason_whose_row_leaves_a_column_out_does_not_load() -> None:
    with pytest.raises(TypeError, match="effects"):
        ReasonRow((ConditionType.READY,), "Something.", "Do it.", Cause.CAMERA)  # type: ignore[call-arg]


def test_a_reason_without_a_row_does_not_load() -> None:
    source = inspect.getsource(conditions)
    more = source.replace("    # Accepted\n", '    NEW = "New"\n    # Accepted\n', 1)
    assert more != source
    with pytest.raises(ValueError, match="without a row in _ROWS: NEW"):
        exec(compile(more, "conditions.py", "exec"), {"__name__": conditions.__name__})


def test_a_condition_is_found_by_its_type() -> None:
    ready = _condition("True", Reason.READY, THEN)
    assert condition_of([ready], ConditionType.READY) is ready
    assert condition_of([ready], ConditionType.STREAMING) is None


def test_conditions_stand_in_the_order_of_the_ladder_and_unknown_ones_last() -> None:
    since = {"status": "True", "reason": "Ready", "last_transition_time": THEN}
    names = [
        "Later",
        "Stalled",
        "Stable",
        "Ready",
        "Recording",
        "Streaming",
        "Assigned",
        "Accepted",
    ]
    shuffled = [Condition.model_validate({"type": name} | since) for name in names]
    assert [one.type for one in in_ladder_order(shuffled)] == [
        "Accepted", "Assigned", "Streaming", "Recording", "Ready", "Stable", "Stalled", "Later",
    ]  # fmt: skip
