# SPDX-License-Identifier: Apache-2.0
"""Detects a stream that breaks and returns again and again. Pure; used by `StreamState`.

It is reported once: the message has no counter and names the break that was the fifth, so a camera
that goes on flapping costs no further status write.
"""

from __future__ import annotations

from collections import deque

from camfleet_api.conditions import ConditionType, Reason
from camfleet_worker.base.errors import IngestError
from camfleet_worker.reporter.facts import Failure

ENDS = 5
WINDOW_S = 15 * 60.0
CALM_S = 30 * 60.0
"""A stream without a break for this time is stable again, whether up or down."""


class Flapping:
    """The last breaks of one camera's stream."""

    def __init__(self) -> None:
        self._ends: deque[float] = deque(maxlen=ENDS)
        self._failure: Failure | None = None

    def recall(self, failure: Failure, now: float) -> None:
        """Take over a former worker's report of Flapping until the stream is stable here."""
        self._ends.append(now)
        self._failure = failure

    def ended(self, now: float, why: str) -> None:
        """Note the end of a stream that had access units, and the detail of its failure: a camera
        that closes its streams has another remedy than a line that breaks."""
        self._calm_down(now)
        self._ends.append(now)
        if self._failure is None and len(self._ends) == ENDS and now - self._ends[0] <= WINDOW_S:
            self._failure = _flapping(why)

    def failure(self, now: float) -> Failure | None:
        """Why Stable is not True; None where it is."""
        self._calm_down(now)
        return self._failure

    def _calm_down(self, now: float) -> None:
        if self._failure is not None and now - self._ends[-1] >= CALM_S:
            self._failure = None


def _flapping(why: str) -> Failure:
    why = f"{why[:1].lower()}{why[1:]}"
    detail = f"The stream broke five times or more within a quarter of an hour ({why})"
    return Failure.of(IngestError(ConditionType.STABLE, Reason.FLAPPING, detail))
