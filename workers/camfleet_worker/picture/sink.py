# SPDX-License-Identifier: Apache-2.0
"""The sink that watches the picture: a key frame now and then goes to the pool, the rest passes.

Driven by the media loop like every sink, and it outlives sessions like every sink, so a camera
that reconnects keeps what was learnt of it. Its state is ImageHealthy: failed with the fault,
working while the picture is as usual, starting until that is known. It never keeps a camera from
being Ready.
"""

from __future__ import annotations

from dataclasses import dataclass

from camfleet_api.conditions import ConditionType, Reason
from camfleet_worker.base.errors import IngestError
from camfleet_worker.media_types.access_unit import AccessUnit
from camfleet_worker.media_types.sink_state import SinkCounters, SinkPhase, SinkState
from camfleet_worker.picture.decoder import Look
from camfleet_worker.picture.judge import Fault, Judge
from camfleet_worker.picture.pace import Pace
from camfleet_worker.picture.pool import LookingGlass
from camfleet_worker.picture.sizes import SizeWatch

_STARTING = SinkState(SinkPhase.STARTING)
_WORKING = SinkState(SinkPhase.WORKING)


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
    """A picture to be shown. A camera that is down keeps its last one, so it says of when it is."""

    jpeg: bytes
    taken_at: float
    """When its key frame arrived, in seconds since the epoch."""


class PictureSink:
    """Watches one camera. `counters.access_units`: pictures looked at."""

    name = "picture"
    condition = ConditionType.IMAGE_HEALTHY

    def __init__(self, glass: LookingGlass) -> None:
        self.counters = SinkCounters()
        self.snapshot: Snapshot | None = None
        """The last picture looked at; None before the first."""
        self._glass = glass
        self._judge = Judge()
        self._pace = Pace()
        self._sizes = SizeWatch()
        self._now = 0.0
        self._state = _STARTING
        self._looking = False
        self._closed = False

    @property
    def state(self) -> SinkState:
        """What is known of the picture."""
        return self._state

    def push(self, unit: AccessUnit) -> None:
        """Weigh every access unit, have a key frame looked at when that is due."""
        if not unit.key:
            self._sizes.add(len(unit.data))
            return
        as_usual = self._sizes.key_frame(len(unit.data))
        # One look at a time: while it lasts, judge and pace are the pool's.
        if not self._looking and not self._closed and self._pace.key_frame(self._now, as_usual):
            self._look(unit)

    def tick(self, now: float) -> None:
        """Take the time; there is nothing to flush."""
        self._now = now

    def close(self) -> None:
        """Look no more; what is being decoded is for nobody."""
        self._closed = True

    def _look(self, unit: AccessUnit) -> None:
        now, still = self._now, self._sizes.standing_still

        def looked(look: Look | None) -> None:
            self._looked(look, still, now, unit.arrived_at)

        self._looking = True
        if self._glass.look(unit, looked):
            self._pace.looking(now)
        else:
            self._looking = False
            self.counters.dropped_access_units += 1

    # Called by a thread of the pool.

    def _looked(self, look: Look | None, still: bool, now: float, taken_at: float) -> None:
        try:
            if look is not None and not self._closed:
                self._take(look, still, now, taken_at)
        finally:
            self._looking = False

    def _take(self, look: Look, still: bool, now: float, taken_at: float) -> None:
        judge = self._judge
        judge.see(look.features, still, now)
        self._pace.looked(judge.suspected, judge.known and judge.fault is None)
        self._state = _state(judge)
        if look.jpeg:
            self.snapshot = Snapshot(look.jpeg, taken_at)
        self.counters.access_units += 1


def _state(judge: Judge) -> SinkState:
    if judge.fault is not None:
        return _FAILED[judge.fault]
    return _WORKING if judge.known else _STARTING
