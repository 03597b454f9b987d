# SPDX-License-Identifier: Apache-2.0
"""Whether one camera streams, which failure is reported while it does not, and whether it flaps.

Pure. The supervisor records every success and every failure in it; what it shows changes only when
that is news worth a write (`failure_damping.py`, `flapping.py`).
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
        """The one that is reported; None while the camera streams or was never tried."""
        self._damping = FailureDamping()
        self._flapping = Flapping()
        self._down_since: float | None = None

    def recall_flapping(self, now: float) -> None:
        """A former worker reported that the camera flaps."""
        self._flapping.recall(now)

    def up(self, now: float) -> float:
        """The camera streams; how many seconds it did not, 0 for the first time."""
        outage_s = 0.0 if self._down_since is None else now - self._down_since
        self.streaming, self.failure, self._down_since = True, None, None
        self._damping.streams()
        return outage_s

    def healthy(self) -> None:
        """It has streamed for long enough: the next outage is another one."""
        self._damping.outage_over()

    def down(self, error: IngestError, now: float) -> bool:
        """A connect or a session has failed; True where that changes what is reported."""
        if self.streaming:
            self._flapping.ended(now)
            self._down_since = now
        final = error.retry is not Retry.BACKOFF
        failure = self._damping.reported(Failure.of(error), now, final=final)
        changed = failure != self.failure
        self.streaming, self.failure = False, failure
        return changed

    def flapping(self, now: float) -> Failure | None:
        """Why Stable is not True."""
        return self._flapping.failure(now)
