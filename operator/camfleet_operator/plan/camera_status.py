# SPDX-License-Identifier: Apache-2.0
"""The conditions that the operator writes on a Camera. Pure.

Two field managers, because server-side apply owns fields by manager. As camfleet-operator:
Accepted, Assigned and, with Accepted=False only, Stalled. As camfleet-runtime, and only while the
camera's worker does not run: Ready and what has to become Unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from camfleet_api.conditions import (
    LADDER,
    OPERATOR_CONDITIONS,
    REASONS,
    SIDE,
    SINKS,
    Condition,
    ConditionType,
    Effect,
    Reason,
    condition_of,
    in_ladder_order,
    merge_transition,
)
from camfleet_api.names import API_VERSION
from camfleet_operator.observed import Camera
from camfleet_operator.plan.snapshot import Worker
from camfleet_operator.plan.worklist import CameraAssignment

RUNTIME_RUNGS = (*LADDER[2:], *SINKS)
_OF_THE_OPERATOR: frozenset[str] = frozenset(
    reason for reason, row in REASONS.items() if OPERATOR_CONDITIONS.intersection(row.types)
)
"""Reasons of Ready for a camera without a worker, which no worker reports."""


@dataclass(frozen=True, slots=True)
class StatusPatch:
    """All fields of one field manager, ready to be applied."""

    body: Mapping[str, Any]
    because: str


def condition(
    kind: ConditionType,
    status: str,
    reason: Reason,
    now: datetime,
    generation: int,
    message: str | None = None,
) -> Condition:
    """A condition; without a message, that of the table (none when it is True)."""
    row = REASONS[reason]
    if message is None:
        message = f"{row.meaning} {row.next_action}".strip()
    return Condition(
        type=kind,
        status=status,
        reason=reason,
        message="" if status == "True" else message,
        last_transition_time=now,
        observed_generation=generation,
    )


def operator_status(assignment: CameraAssignment, now: datetime) -> StatusPatch | None:
    """Accepted, Assigned, Stalled; None when the stored status is the same."""
    camera = assignment.resolution.camera
    wanted = _merged(_operator_conditions(assignment, now), camera)
    status = camera.status
    stored = [one for one in status.conditions if one.type in OPERATOR_CONDITIONS]
    if (
        _by_type(stored) == _by_type(wanted)
        and status.observed_generation == camera.meta.generation
        and status.shard == assignment.shard
    ):
        return None
    body: dict[str, Any] = {
        "observedGeneration": camera.meta.generation,
        "conditions": [one.to_wire() for one in wanted],
    }
    if assignment.shard is not None:
        body["shard"] = assignment.shard
    return StatusPatch(_status_body(camera, body), _because(wanted))


def runtime_status(
    assignment: CameraAssignment, worker: Worker, now: datetime
) -> StatusPatch | None:
    """Ready and the rungs below in place of a worker that does not run; None while it runs."""
    wanted = _runtime_conditions(assignment, worker, now)
    if wanted is None:
        return None
    camera = assignment.resolution.camera
    merged = _merged(wanted, camera)
    stored = [one for one in camera.status.conditions if one.type not in OPERATOR_CONDITIONS]
    if _by_type(stored) == _by_type(merged):
        return None
    body: dict[str, Any] = {"conditions": [one.to_wire() for one in merged]}
    # The whole set of this manager, because the API server removes fields that are left out.
    for key in ("device", "learned", "attempts"):
        if (value := getattr(camera.status, key)) is not None:
            body[key] = value.to_wire()
    wire = _status_body(camera, body)
    # A worker that writes meanwhile must win: our write then fails with 409.
    wire["metadata"]["resourceVersion"] = camera.meta.resource_version
    return StatusPatch(wire, _because(merged))


def ready_of(camera: Camera) -> tuple[str, str]:
    """Status and reason of Ready as stored; Unknown/Pending when there is none."""
    ready = condition_of(camera.status.conditions, ConditionType.READY)
    return ("Unknown", Reason.PENDING) if ready is None else (ready.status, ready.reason)


def _operator_conditions(assignment: CameraAssignment, now: datetime) -> list[Condition]:
    generation = assignment.resolution.camera.meta.generation
    refusal = assignment.resolution.refusal
    kind = ConditionType
    if refusal is None:
        accepted = [condition(kind.ACCEPTED, "True", Reason.ACCEPTED, now, generation)]
    else:
        accepted = [
            condition(kind.ACCEPTED, "False", refusal.reason, now, generation, refusal.message),
            # kstatus: a declaration that needs a person; Accepted has the message.
            condition(kind.STALLED, "True", refusal.reason, now, generation),
        ]
    return [*accepted, _assigned(assignment, now, generation)]


def _assigned(assignment: CameraAssignment, now: datetime, generation: int) -> Condition:
    kind = ConditionType.ASSIGNED
    waits_for = assignment.waits_for
    if waits_for is not None and not REASONS[waits_for].has(Effect.IS_UNKNOWN):
        return condition(kind, "False", waits_for, now, generation)
    if assignment.shard is not None:
        return condition(kind, "True", Reason.ASSIGNED, now, generation)
    return condition(kind, "Unknown", Reason.PENDING, now, generation)


def _runtime_conditions(
    assignment: CameraAssignment, worker: Worker, now: datetime
) -> list[Condition] | None:
    if assignment.entered:
        return _for_worker(assignment, worker, now)
    if assignment.shard is not None:
        return None  # Its last worker reports until it has acknowledged the removal.
    camera, refusal = assignment.resolution.camera, assignment.resolution.refusal
    generation = camera.meta.generation
    ready: tuple[str, Reason, str | None]
    if refusal is not None:
        ready = ("False", refusal.reason, refusal.message)
    elif assignment.waits_for is Reason.PENDING or assignment.waits_for is None:
        ready = ("Unknown", Reason.PENDING, None)
    else:
        ready = ("False", assignment.waits_for, None)
    return [
        _ready(ready, now, generation),
        *_unknown_rungs(camera, Reason.PENDING, now, generation),
    ]


def _for_worker(
    assignment: CameraAssignment, worker: Worker, now: datetime
) -> list[Condition] | None:
    """The conditions in place of a worker that has the camera and does not run (yet)."""
    camera = assignment.resolution.camera
    generation = camera.meta.generation
    if worker is Worker.ALIVE:
        return None
    if worker is Worker.LOST:
        reason = Reason.WORKER_LOST
        kept = [one for one in camera.status.conditions if one.type in SIDE]
    elif _was_reported(camera):
        return None  # A worker's restart, or a shard rebuilt: the last report still stands.
    else:
        reason, kept = Reason.PENDING, []
    return [
        _ready(("Unknown", reason, None), now, generation),
        *_unknown_rungs(camera, reason, now, generation),
        *kept,
    ]


def _was_reported(camera: Camera) -> bool:
    """Whether the stored Ready is a worker's report."""
    return ready_of(camera)[1] not in _OF_THE_OPERATOR


def _ready(ready: tuple[str, Reason, str | None], now: datetime, generation: int) -> Condition:
    status, reason, message = ready
    return condition(ConditionType.READY, status, reason, now, generation, message)


def _unknown_rungs(
    camera: Camera, reason: Reason, now: datetime, generation: int
) -> list[Condition]:
    """The rungs that a worker reported before as Unknown, without a message, which Ready has."""
    reported = {one.type for one in camera.status.conditions}
    return [
        condition(kind, "Unknown", reason, now, generation, "")
        for kind in RUNTIME_RUNGS
        if kind in reported
    ]


def _merged(wanted: list[Condition], camera: Camera) -> list[Condition]:
    stored = _by_type(camera.status.conditions)
    return in_ladder_order(merge_transition(one, stored.get(one.type)) for one in wanted)


def _by_type(conditions: list[Condition]) -> dict[str, Condition]:
    return {one.type: one for one in conditions}


def _status_body(camera: Camera, status: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": "Camera",
        "metadata": {"name": camera.meta.name, "namespace": camera.meta.namespace},
        "status": status,
    }


def _because(conditions: list[Condition]) -> str:
    return ", ".join(f"{one.type}={one.status}/{one.reason}" for one in conditions[:3])
