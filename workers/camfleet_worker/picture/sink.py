# SPDX-License-Identifier: Apache-2.0
"""The sink that watches the picture: it submits a key frame to the pool from time to time.

The media loop drives it, and it outlives sessions, like every sink: a camera that reconnects keeps
its baselines. The sink's state becomes ImageHealthy: failed with the fault, working while the
picture is as usual, starting until that is known. It never keeps a camera from being Ready.
"""

from __future__ import annotations

from dataclasses import dataclass

from camfleet_api.conditions import ConditionType, Reason
from camfleet_worker.base.errors import IngestError
from camfleet_worker.media_types.access_unit import AccessUnit
from camfleet_worker.media_types.sink_state import (
    STARTING,
    WORKING,
    SinkCounters,
    SinkPhase,
    SinkState,
)
from camfleet_worker.picture.decoder import Result
from camfleet_worker.picture.judge import Fault, Judge
from camfleet_worker.picture.pace import Pace
from camfleet_worker.picture.pool import PictureAnalyser
from camfleet_worker.picture.sizes import SizeWatch


def _failed(reason: Reason, fact: str) -> SinkState:
    return SinkState(SinkPhase.FAILED, IngestError(ConditionType.IMAGE_HEALTHY, reason, fact))


_FAILED = {
    Fault.FROZEN: _failed(Reason.FROZEN, "The stream goes on, its picture stands still"),
    Fault.BLACK: _failed(Reason.BLACK, "The picture is black"),
    Fault.OVEREXPOSED: _failed(Reason.OVEREXPOSED, "Most of the picture is burnt out"),
    Fault.COVERED: _failed(Reason.COVERED, "Most of what the camera usually shows is hidden"),
    Fault.BLURRED: _failed(Reason.BLURRED, "The picture has lost most of its detail"),
    Fault.MOVED: _failed(Reason.MOVED, "The camera shows another view than before"),
}


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A picture for people, with its time, because a camera that is down keeps its last one."""

    jpeg: bytes
    taken_at: float
    """When its key frame arrived, in seconds since the epoch."""


class PictureSink:
    """Watches one camera. `counters.access_units`: pictures looked at."""

    name = "picture"
    condition = ConditionType.IMAGE_HEALTHY

    def __init__(self, analyser: PictureAnalyser) -> None:
        self.counters = SinkCounters()
        self.snapshot: Snapshot | None = None
        """The last picture that was decoded; None before the first."""
        self._analyser = analyser
        self._judge = Judge()
        self._pace = Pace()
        self._sizes = SizeWatch()
        self._now = 0.0
        self._state = STARTING
        self._analysing = False
        self._closed = False

    @property
    def state(self) -> SinkState:
        """The verdict on the picture."""
        return self._state

    def push(self, unit: AccessUnit) -> None:
        """Note the size of every access unit, and submit a key frame when a look is due."""
        if not unit.key:
            self._sizes.add(len(unit.data))
            return
        as_usual = self._sizes.key_frame(len(unit.data))
        # One analysis at a time: while it lasts, judge and pace belong to the pool's thread.
        if not self._analysing and not self._closed and self._pace.key_frame(self._now, as_usual):
            self._submit(unit)

    def tick(self, now: float) -> None:
        """Note the time; there is nothing to flush."""
        self._now = now

    def close(self) -> None:
        """Stop; the result of a key frame that is being decoded is thrown away."""
        self._closed = True

    def _submit(self, unit: AccessUnit) -> None:
        now, still = self._now, self._sizes.standing_still

        def on_result(result: Result | None) -> None:
            self._judge_result(result, still, now, unit.arrived_at)

        self._analysing = True
        if self._analyser.submit(unit, on_result):
            self._pace.looking(now)
        else:
            self._analysing = False
            self.counters.dropped_access_units += 1

    # Called by a thread of the pool.

    def _judge_result(
        self, result: Result | None, still: bool, now: float, taken_at: float
    ) -> None:
        try:
            if result is not None and not self._closed:
                self._take(result, still, now, taken_at)
        finally:
            self._analysing = False

    def _take(self, result: Result, still: bool, now: float, taken_at: float) -> None:
        judge = self._judge
        judge.see(result.features, still, now)
        self._pace.looked(judge.suspected, judge.known and judge.fault is None)
        self._state = _state(judge)
        if result.jpeg:
            self.snapshot = Snapshot(result.jpeg, taken_at)
        self.counters.access_units += 1


def _state(judge: Judge) -> SinkState:
    if judge.fault is not None:
        return _FAILED[judge.fault]
    return WORKING if judge.known else STARTING
