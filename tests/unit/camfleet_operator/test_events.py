# SPDX-License-Identifier: Apache-2.0
"""Kubernetes Events: transitions only, many of one site as one, no repetition."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from camfleet_operator.errors import Forbidden
from camfleet_operator.events import EventRecorder
from camfleet_operator.observed import observe_camera
from camfleet_operator.resources import CAMERAS
from camfleet_operator.store import Change
from fleet_objects import camera

WHEN = datetime(2026, 1, 1, tzinfo=UTC).isoformat()


class Posted:
    """Where Events go."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.refuses = False

    async def post_event(self, namespace: str, body: Any) -> None:
        if self.refuses:
            raise Forbidden(403, "Forbidden", "quota")
        self.bodies.append(dict(body))


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def posted() -> Posted:
    return Posted()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def recorder(posted: Posted, clock: Clock) -> EventRecorder:
    return EventRecorder(posted, "me", lambda namespace: namespace != "closed", clock)  # type: ignore[arg-type]


def seen(name: str, ready: tuple[str, str] | None, namespace: str = "ns") -> Any:
    raw = camera(namespace, name)
    raw["metadata"] |= {"uid": name, "resourceVersion": "1"}
    if ready is not None:
        one = {"type": "Ready", "status": ready[0], "reason": ready[1], "message": "Fact. Act."}
        raw["status"] = {"conditions": [one | {"lastTransitionTime": WHEN}]}
    return observe_camera(raw)


def change(name: str, before: Any, after: Any, namespace: str = "ns") -> Change:
    old, new = seen(name, before, namespace), seen(name, after, namespace)
    return Change(CAMERAS, namespace, name, old, new, matters=True)


GOOD, BAD = ("True", "Ready"), ("False", "HostUnreachable")


async def test_a_camera_that_fails_is_told_with_its_reason_and_next_action(
    recorder: EventRecorder, posted: Posted
) -> None:
    recorder.note(change("cam0", GOOD, BAD))
    await recorder.flush()
    (event,) = posted.bodies
    assert (event["type"], event["reason"]) == ("Warning", "HostUnreachable")
    assert event["message"] == "Fact. Act."
    assert event["involvedObject"]["name"] == "cam0"


@pytest.mark.parametrize(
    ("before", "after"),
    [(GOOD, GOOD), (BAD, ("False", "Timeout")), (None, ("Unknown", "Pending"))],
    ids=["same", "another reason", "not known yet"],
)
async def test_what_is_no_transition_is_not_told(
    recorder: EventRecorder, posted: Posted, before: Any, after: Any
) -> None:
    recorder.note(change("cam0", before, after))
    await recorder.flush()
    assert posted.bodies == []


async def test_a_site_that_loses_its_line_is_one_event(
    recorder: EventRecorder, posted: Posted
) -> None:
    for number in range(16):
        recorder.note(change(f"cam{number}", GOOD, BAD))
    await recorder.flush()
    (event,) = posted.bodies
    assert event["involvedObject"]["kind"] == "Site"
    assert "16 cameras" in event["message"]
    assert "HostUnreachable" in event["message"]


async def test_the_same_is_told_again_only_after_five_minutes(
    recorder: EventRecorder, posted: Posted, clock: Clock
) -> None:
    for _ in range(10):
        recorder.note(change("cam0", GOOD, BAD))
        await recorder.flush()
        clock.now += 29
    assert len(posted.bodies) == 1
    clock.now += 30
    recorder.note(change("cam0", GOOD, BAD))
    await recorder.flush()
    assert len(posted.bodies) == 2


async def test_a_namespace_without_our_right_gets_none(
    recorder: EventRecorder, posted: Posted
) -> None:
    recorder.note(change("cam0", GOOD, BAD, "closed"))
    await recorder.flush()
    assert posted.bodies == []


async def test_an_event_that_is_refused_stops_nothing(
    recorder: EventRecorder, posted: Posted
) -> None:
    posted.refuses = True
    recorder.note(change("cam0", GOOD, BAD))
    await recorder.flush()
    posted.refuses = False
    recorder.note(change("cam1", GOOD, BAD))
    await recorder.flush()
    assert "cam1" in json.dumps(posted.bodies)
