# SPDX-License-Identifier: Apache-2.0
"""Kubernetes Events: transitions only, one for each cause, no repetition."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from threading import Event
from typing import Any

import pytest

from camfleet_operator.errors import Forbidden
from camfleet_operator.event_aggregation import EventAggregator
from camfleet_operator.event_recorder import EventRecorder
from camfleet_operator.observed import observe_camera
from camfleet_operator.resources import CAMERAS
from camfleet_operator.store import Change
from fleet_objects import camera

HOLD_S = 65.0
WHEN = datetime(2026, 1, 1, tzinfo=UTC).isoformat()


Later = Callable[[], Awaitable[None]]


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
def leading() -> Event:
    """Set while this replica leads."""
    event = Event()
    event.set()
    return event


@pytest.fixture
def recorder(posted: Posted, clock: Clock, leading: Event) -> EventRecorder:
    aggregator = EventAggregator(HOLD_S, lambda site: None)
    return EventRecorder(
        posted,  # type: ignore[arg-type]
        aggregator,
        "me",
        lambda namespace: namespace != "closed",
        leading.is_set,
        clock,
    )


@pytest.fixture
def later(recorder: EventRecorder, clock: Clock) -> Callable[[], Awaitable[None]]:
    """Lets the hold pass and posts what is due."""

    async def pass_hold() -> None:
        clock.now += HOLD_S
        await recorder.post_due()

    return pass_hold


def seen(name: str, ready: tuple[str, str] | None, namespace: str, **spec: Any) -> Any:
    raw = camera(namespace, name, **spec)
    raw["metadata"] |= {"uid": name, "resourceVersion": "1"}
    if ready is not None:
        one = {"type": "Ready", "status": ready[0], "reason": ready[1], "message": "Fact. Act."}
        raw["status"] = {"conditions": [one | {"lastTransitionTime": WHEN}]}
    return observe_camera(raw)


def change(name: str, before: Any, after: Any, namespace: str = "ns", **spec: Any) -> Change:
    old, new = seen(name, before, namespace, **spec), seen(name, after, namespace, **spec)
    return Change(CAMERAS, namespace, name, old, new, matters=True)


GOOD, BAD = ("True", "Ready"), ("False", "HostUnreachable")


async def test_a_failed_camera_has_an_event_with_reason_and_next_action(
    recorder: EventRecorder, posted: Posted, later: Later
) -> None:
    recorder.note(change("cam0", GOOD, BAD))
    await later()
    (event,) = posted.bodies
    assert (event["type"], event["reason"]) == ("Warning", "HostUnreachable")
    assert event["message"] == "Fact. Act."
    assert event["involvedObject"]["name"] == "cam0"


@pytest.mark.parametrize(
    ("before", "after"),
    [(GOOD, GOOD), (BAD, ("False", "Timeout")), (None, ("Unknown", "Pending"))],
    ids=["same", "another reason", "not known yet"],
)
async def test_a_change_without_a_transition_has_no_event(
    recorder: EventRecorder, posted: Posted, later: Later, before: Any, after: Any
) -> None:
    recorder.note(change("cam0", before, after))
    await later()
    assert posted.bodies == []


async def test_a_site_that_loses_its_line_is_one_event(
    recorder: EventRecorder, posted: Posted, later: Later
) -> None:
    for number in range(16):
        recorder.note(change(f"cam{number}", GOOD, BAD))
    await later()
    (event,) = posted.bodies
    assert event["involvedObject"]["kind"] == "Site"
    assert "16 cameras" in event["message"]
    assert "HostUnreachable" in event["message"]


async def test_channels_of_one_recorder_are_one_event(
    recorder: EventRecorder, posted: Posted, later: Later
) -> None:
    for recorder_host in ("10.0.0.5", "10.0.0.6"):
        for number in range(16):
            recorder.note(change(f"c{number}-{recorder_host[-1]}", GOOD, BAD, host=recorder_host))
    await later()
    events = [(one["involvedObject"]["kind"], one["message"][:29]) for one in posted.bodies]
    assert events == [
        ("Site", "16 channels of 10.0.0.5:80 ar"),
        ("Site", "16 channels of 10.0.0.6:80 ar"),
    ]
    assert "Check power, cable and address" in posted.bodies[0]["message"]


async def test_one_channel_of_a_recorder_has_the_event_of_a_camera(
    recorder: EventRecorder, posted: Posted, later: Later
) -> None:
    recorder.note(change("c1", GOOD, ("False", "ChannelNotFound"), host="10.0.0.5"))
    await later()
    (event,) = posted.bodies
    assert event["involvedObject"]["name"] == "c1"


async def test_two_failures_of_different_hours_are_two_events(
    recorder: EventRecorder, posted: Posted, later: Later
) -> None:
    for name in ("cam0", "cam1"):
        recorder.note(change(name, GOOD, BAD))
        await later()
    assert [one["involvedObject"]["name"] for one in posted.bodies] == ["cam0", "cam1"]


async def test_a_camera_that_changes_all_the_time_has_an_event_without_waiting_for_its_end(
    recorder: EventRecorder, posted: Posted, clock: Clock
) -> None:
    for turn in range(40):
        before, after = (GOOD, BAD) if turn % 2 == 0 else (BAD, GOOD)
        recorder.note(change("cam0", before, after))
        clock.now += 5
        await recorder.post_due()
    assert [one["reason"] for one in posted.bodies] == ["HostUnreachable", "Ready"]


async def test_a_deleted_camera_has_no_event(
    recorder: EventRecorder, posted: Posted, later: Later
) -> None:
    recorder.note(change("cam0", GOOD, BAD))
    gone = change("cam0", BAD, BAD)
    recorder.note(replace(gone, after=None))
    await later()
    assert posted.bodies == []


async def test_the_same_event_is_posted_again_only_after_five_minutes(
    recorder: EventRecorder, posted: Posted, later: Later
) -> None:
    for _ in range(5):
        recorder.note(change("cam0", GOOD, BAD))
        await later()
    assert len(posted.bodies) == 1
    recorder.note(change("cam0", GOOD, BAD))
    await later()
    assert len(posted.bodies) == 2


async def test_a_namespace_without_our_right_gets_none(
    recorder: EventRecorder, posted: Posted, later: Later
) -> None:
    recorder.note(change("cam0", GOOD, BAD, "closed"))
    await later()
    assert posted.bodies == []


async def test_an_event_that_is_refused_stops_nothing(
    recorder: EventRecorder, posted: Posted, later: Later
) -> None:
    posted.refuses = True
    recorder.note(change("cam0", GOOD, BAD))
    await later()
    posted.refuses = False
    recorder.note(change("cam1", GOOD, BAD))
    await later()
    assert "cam1" in json.dumps(posted.bodies)


async def test_a_replica_that_does_not_lead_records_nothing(
    recorder: EventRecorder, posted: Posted, leading: Event, later: Later
) -> None:
    leading.clear()
    recorder.note(change("cam0", GOOD, BAD))
    leading.set()
    await later()
    assert posted.bodies == []
