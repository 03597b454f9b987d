# SPDX-License-Identifier: Apache-2.0
"""Steps of our own wall clock, told by the monotonic one. Pure: the media loop hands both in.

Streams run on the monotonic clock. The wall clock only names recordings, so a step is no fault of a
camera; it is told because the names before and after it do not fit together.
"""

from __future__ import annotations

STEP_S = 2.0
"""Less is slewing by NTP, which steps beyond 128 ms only at its start."""


class ClockSteps:
    """Compares the two clocks from one call to the next."""

    def __init__(self) -> None:
        self._ahead_s: float | None = None

    def observe(self, wall_s: float, monotonic_s: float) -> float:
        """How far the wall clock has stepped since the last call, in seconds; 0.0 if it has not."""
        ahead_s = wall_s - monotonic_s
        before_s, self._ahead_s = self._ahead_s, ahead_s
        if before_s is None or abs(ahead_s - before_s) < STEP_S:
            return 0.0
        return ahead_s - before_s
