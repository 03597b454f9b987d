# SPDX-License-Identifier: Apache-2.0
"""Decides what is reported of one camera's stream: up, down with a failure, or flapping.

Pure. The supervisor records every success and every failure in it; the reported state changes only
where that is worth a status write (`failure_damping.py`, `flapping.py`).
"""

from __future__ import annotations

from camfleet_worker.base.errors import IngestError, Retry
from camfleet_worker.camera.failure_damping import FailureDamping
from camfleet_worker.camera.flapping import Flapping
from camfleet_worker.reporter.facts import Failure


class StreamState:
    """Up, down, or (at first) neither. Times are seconds of a monotonic clock."""

    def __init__(self) -> None:
        self.streaming = False
        self.failure: Failure | None = None
        """The reported failure; None while the camera streams or was never tried."""
        self._damping = FailureDamping()
        self._flapping = Flapping()
        self._down_since: float | None = None

    def recall_flapping(self, failure: Failure, now: float) -> None:
        """Take over a former worker's report of Flapping."""
        self._flapping.recall(failure, now)

    def up(self, now: float) -> float:
        """Record that the camera streams; returns the seconds of the outage, 0 the first time."""
        outage_s = 0.0 if self._down_since is None else now - self._down_since
        self.streaming, self.failure, self._down_since = True, None, None
        self._damping.streams()
        return outage_s

    def healthy(self) -> None:
        """It has streamed for long enough: the next outage is another one."""
        self._damping.outage_over()

    def down(self, error: IngestError, now: float) -> bool:
        """Record a failed connect or session; True where the reported failure changes."""
        if self.streaming:
            self._flapping.ended(now, error.detail)
            self._down_since = now
        final = error.retry is not Retry.BACKOFF
        failure = self._damping.reported(Failure.of(error), now, final=final)
        changed = failure != self.failure
        self.streaming, self.failure = False, failure
        return changed

    def flapping(self, now: float) -> Failure | None:
        """Why Stable is not True."""
        return self._flapping.failure(now)
