# SPDX-License-Identifier: Apache-2.0
"""Facts → the conditions that field manager camfleet-runtime owns. Pure; called by the reporter.

The ladder of design: the first rung that is not True makes the ones after it Unknown, sinks
stand side by side on Streaming, side conditions are present only while not True, and Ready names
the first that is not True with its reason and message.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from camfleet_api.camera import CameraStatus
from camfleet_api.conditions import (
    LADDER,
    OPERATOR_CONDITIONS,
    REASONS,
    SINKS,
    Condition,
    ConditionStatus,
    ConditionType,
    Effect,
    Reason,
    in_ladder_order,
    merge_transition,
)
from camfleet_worker.reporter.facts import CameraSnapshot, Failure, SinkFact

RUNGS = tuple(rung for rung in LADDER if rung not in OPERATOR_CONDITIONS)
"""The worker's part of the ladder: Reachable, Authenticated, Eligible, Streaming."""

MAX_MESSAGE = 512


def runtime_conditions(
    facts: CameraSnapshot, now: datetime, present: Iterable[Condition] = ()
) -> tuple[Condition, ...]:
    """All conditions of camfleet-runtime, times carried over from those `present`."""
    main = (*_rungs(facts), *_sinks(facts))
    states = (*main, _ready(main), *(_not_true(failure) for failure in facts.side))
    before = {condition.type: condition for condition in present}
    return tuple(
        in_ladder_order(
            merge_transition(state.at(now, facts.generation), before.get(state.type))
            for state in states
        )
    )


def runtime_status(
    facts: CameraSnapshot, now: datetime, present: Iterable[Condition] = ()
) -> CameraStatus:
    """The whole set that one server-side apply of camfleet-runtime carries."""
    return CameraStatus(
        conditions=list(runtime_conditions(facts, now, present)),
        device=facts.device,
        learned=facts.learned,
        attempts=facts.attempts,
    )


def runtime_part(status: CameraStatus) -> CameraStatus:
    """Of a stored status, what camfleet-runtime owns."""
    return CameraStatus(
        conditions=in_ladder_order(
            c for c in status.conditions if c.type not in OPERATOR_CONDITIONS
        ),
        device=status.device,
        learned=status.learned,
        attempts=status.attempts,
    )


class _State:
    """A condition without its time: type, status, reason and message."""

    __slots__ = ("message", "reason", "status", "type")

    def __init__(
        self, type_: ConditionType, status: ConditionStatus, reason: Reason, message: str = ""
    ) -> None:
        self.type = type_
        self.status = status
        self.reason = reason
        self.message = message

    def at(self, now: datetime, generation: int) -> Condition:
        return Condition(
            type=self.type,
            status=self.status.value,
            reason=self.reason,
            message=_shortened(self.message),
            last_transition_time=now,
            observed_generation=generation,
        )


def _rungs(facts: CameraSnapshot) -> tuple[_State, ...]:
    if facts.failure is None:
        of_rung = _true if facts.streaming else _pending
        return tuple(of_rung(rung) for rung in RUNGS)
    broken = RUNGS.index(facts.failure.condition)
    return (
        *(_true(rung) for rung in RUNGS[:broken]),
        _not_true(facts.failure),
        *(_pending(rung) for rung in RUNGS[broken + 1 :]),
    )


def _sinks(facts: CameraSnapshot) -> tuple[_State, ...]:
    stands = facts.streaming and facts.failure is None
    return tuple(
        _sink(kind, facts.sinks) if stands else _pending(kind)
        for kind in SINKS
        if kind in facts.sinks
    )


def _sink(kind: ConditionType, sinks: Mapping[ConditionType, SinkFact]) -> _State:
    fact = sinks[kind]
    if fact.failure is not None:
        return _State(kind, ConditionStatus.FALSE, fact.failure.reason, fact.failure.message)
    return _true(kind) if fact.working else _pending(kind)


def _ready(main: tuple[_State, ...]) -> _State:
    for state in main:
        if state.status is not ConditionStatus.TRUE:
            return _State(ConditionType.READY, state.status, state.reason, state.message)
    return _true(ConditionType.READY)


def _true(type_: ConditionType) -> _State:
    """A True condition has an empty message: a healthy object stays small."""
    return _State(type_, ConditionStatus.TRUE, Reason(type_.value))


def _pending(type_: ConditionType) -> _State:
    return _State(type_, ConditionStatus.UNKNOWN, Reason.PENDING)


def _not_true(failure: Failure) -> _State:
    """False; Unknown where the failure means no more than that nothing is known yet."""
    unknown = REASONS[failure.reason].has(Effect.IS_UNKNOWN)
    status = ConditionStatus.UNKNOWN if unknown else ConditionStatus.FALSE
    return _State(failure.condition, status, failure.reason, failure.message)


def _shortened(message: str) -> str:
    return message if len(message) <= MAX_MESSAGE else message[: MAX_MESSAGE - 1].rstrip() + "…"
