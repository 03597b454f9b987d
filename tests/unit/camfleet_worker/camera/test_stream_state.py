# SPDX-License-Identifier: Apache-2.0
"""Up and down of one camera, and what of it is reported."""

from __future__ import annotations

from camfleet_api.conditions import ConditionType, Reason
from camfleet_worker.base.errors import IngestError
from camfleet_worker.camera.flapping import ENDS
from camfleet_worker.camera.stream_state import StreamState
from camfleet_worker.reporter.facts import Failure

ENDED = IngestError(ConditionType.STREAMING, Reason.STREAM_ENDED, "The camera closed the stream")
AWAY = IngestError(ConditionType.REACHABLE, Reason.HOST_UNREACHABLE, "Nothing answers")


def test_at_first_a_camera_neither_streams_nor_has_failed() -> None:
    state = StreamState()
    assert (state.streaming, state.failure) == (False, None)


def test_the_same_failure_again_is_no_news() -> None:
    state = StreamState()
    assert state.down(AWAY, 0.0)
    assert not state.down(AWAY, 10.0)
    assert state.failure == Failure.of(AWAY)


def test_an_outage_lasts_from_the_end_of_the_stream_to_the_next_one() -> None:
    state = StreamState()
    state.down(AWAY, 0.0)
    assert state.up(50.0) == 0.0, "the camera was never up before"
    state.down(ENDED, 100.0)
    state.down(AWAY, 110.0)
    assert state.up(145.0) == 45.0
    assert (state.streaming, state.failure) == (True, None)


def test_a_stream_that_breaks_again_and_again_flaps_and_failed_connects_do_not() -> None:
    tried, broken = StreamState(), StreamState()
    for at in range(ENDS):
        tried.down(AWAY, float(at))
        broken.up(at + 0.5)
        broken.down(ENDED, at + 0.9)
    assert tried.flapping(ENDS) is None
    failure = broken.flapping(ENDS)
    assert failure is not None
    assert failure.reason is Reason.FLAPPING


def test_a_former_workers_report_of_flapping_holds() -> None:
    state = StreamState()
    flapping = Failure(ConditionType.STABLE, Reason.FLAPPING, "As a former worker said it.")
    state.recall_flapping(flapping, 0.0)
    assert state.flapping(1.0) is flapping
