# SPDX-License-Identifier: Apache-2.0
"""Whether a camera's stream breaks and returns again and again. Pure; supervisors ask it.

Reported once: the message holds no counter, so a camera that goes on like that costs no further
write for it.
"""

from __future__ import annotations

from collections import deque

from camfleet_api.conditions import ConditionType, Reason
from camfleet_worker.base.errors import IngestError
from camfleet_worker.reporter.facts import Failure

ENDS = 5
WINDOW_S = 15 * 60.0
CALM_S = 30 * 60.0
"""Without an end for so long, the camera is steady again: up or down."""


class Flapping:
    """The last ends of one camera's stream."""

    def __init__(self) -> None:
        self._ends: deque[float] = deque(maxlen=ENDS)
        self._flapping = False

    def recall(self, now: float) -> None:
        """A former worker reported that it flaps: that holds until it has been calm here."""
        self._ends.append(now)
        self._flapping = True

    def ended(self, now: float) -> None:
        """A stream with pictures has ended."""
        self._calm_down(now)
        self._ends.append(now)
        if len(self._ends) == ENDS and now - self._ends[0] <= WINDOW_S:
            self._flapping = True

    def failure(self, now: float) -> Failure | None:
        """Why Stable is not True; None where it is."""
        self._calm_down(now)
        return _FLAPPING if self._flapping else None

    def _calm_down(self, now: float) -> None:
        if self._flapping and now - self._ends[-1] >= CALM_S:
            self._flapping = False


_FLAPPING = Failure.of(
    IngestError(
        ConditionType.STABLE,
        Reason.FLAPPING,
        "The stream broke five times or more within a quarter of an hour",
    )
)
