# SPDX-License-Identifier: Apache-2.0
"""Our own wall clock, compared with the monotonic one. Pure: the media loop hands both in.

Streams run on the monotonic clock. The wall clock only names recordings, so a step is no fault of a
camera; it is told because the names before and after it do not fit together.
"""

from __future__ import annotations

STEP_S = 2.0
"""Less is slewing by NTP, which steps beyond 128 ms only at its start."""


class ClockSteps:
    """Compares the two clocks from one call to the next.

    `ahead_s`: by how much the wall clock was ahead at the last one; added to a monotonic time it
    gives the time of day. 0.0 before the first.
    """

    def __init__(self) -> None:
        self.ahead_s = 0.0
        self._observed = False

    def observe(self, wall_s: float, monotonic_s: float) -> float:
        """How far the wall clock has stepped since the last call, in seconds; 0.0 if it has not."""
        step_s = wall_s - monotonic_s - self.ahead_s
        self.ahead_s += step_s
        told = self._observed and abs(step_s) >= STEP_S
        self._observed = True
        return step_s if told else 0.0
