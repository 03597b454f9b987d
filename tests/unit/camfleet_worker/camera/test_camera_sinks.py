# SPDX-License-Identifier: Apache-2.0
"""The sinks of a camera are renewed only where they differ, and a former worker's report on the
picture holds until the picture is known."""

from __future__ import annotations

from collections.abc import Sequence

from camfleet_api.conditions import ConditionType, Reason
from camfleet_worker.base.errors import IngestError
from camfleet_worker.camera.assignment import Assignment
from camfleet_worker.camera.camera_sinks import CameraSinks
from camfleet_worker.camera.sink_set import MadeSink, SinkSet
from camfleet_worker.media_types.access_unit import AccessUnit
from camfleet_worker.media_types.sink import Sink
from camfleet_worker.media_types.sink_state import SinkCounters, SinkPhase, SinkState
from camfleet_worker.reporter.facts import Failure
from shard_entries import shard_camera, shard_policy

GATE = Assignment(shard_camera(), shard_policy())
COVERED = IngestError(ConditionType.IMAGE_HEALTHY, Reason.COVERED, "Most of it is hidden")
STALE = Failure(ConditionType.IMAGE_HEALTHY, Reason.BLACK, "It was black.")


class Picture:
    """A sink in a state that the test sets."""

    name, condition = "picture", ConditionType.IMAGE_HEALTHY

    def __init__(self) -> None:
        self.counters = SinkCounters()
        self.state = SinkState(SinkPhase.STARTING)

    def push(self, unit: AccessUnit) -> None: ...

    def tick(self, now: float) -> None: ...

    def close(self) -> None: ...


def with_picture() -> tuple[CameraSinks, Picture, list[Sequence[Sink]]]:
    picture, replaced = Picture(), list[Sequence[Sink]]()
    wanted = SinkSet((MadeSink("picture", picture),))
    return CameraSinks(lambda assignment, before: wanted, replaced.append), picture, replaced


def test_sinks_that_stay_the_same_are_not_replaced() -> None:
    sinks, picture, replaced = with_picture()
    assert not sinks.made
    assert sinks.renew(GATE)
    assert sinks.made
    assert not sinks.renew(GATE)
    assert replaced == [(picture,)]


def test_a_former_workers_picture_failure_holds_until_a_verdict_and_not_after() -> None:
    sinks, picture, _ = with_picture()
    sinks.recall_picture([STALE])
    assert sinks.picture_failure() == STALE
    sinks.renew(GATE)
    assert sinks.picture_failure() == STALE
    picture.state = SinkState(SinkPhase.WORKING)
    assert sinks.picture_failure() is None
    picture.state = SinkState(SinkPhase.STARTING)
    assert sinks.picture_failure() is None


def test_a_fault_that_is_seen_here_takes_the_place_of_the_former_one() -> None:
    sinks, picture, _ = with_picture()
    sinks.recall_picture([STALE])
    sinks.renew(GATE)
    picture.state = SinkState(SinkPhase.FAILED, COVERED)
    assert sinks.picture_failure() == Failure.of(COVERED)
