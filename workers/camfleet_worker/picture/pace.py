# SPDX-License-Identifier: Apache-2.0
"""When the next key frame is worth decoding. Pure; the sink asks at each key frame.

A picture costs what receiving costs for half a minute. So a camera whose picture is as usual is
looked at less and less often, but never so seldom that a fault would be stated later than half a
minute after it began; one whose picture looks wrong, every other second until that is settled.
"""

from __future__ import annotations

LOOK_S = 10.0
SUSPECTED_S = 2.0
CALM_S = 14.0
"""Sizes do not tell enough to wait longer: at a rate's ceiling they hardly follow the picture."""
HURRIED_S = 4.0
"""Sizes that are not as usual bring the next look forward, not closer than that to the last."""
HURRY_AGAIN_S = 90.0
"""But rarely: a street is restless all day, and looking costs the same where nothing is found."""
_GROWTH = 1.25
_EARLY_S = 0.2
"""Key frames come when they come: waiting for the next one would double a short interval."""


class Pace:
    """The interval between two looks at one camera."""

    def __init__(self) -> None:
        self.interval_s = LOOK_S
        self._looked_at = float("-inf")
        self._hurried_at = float("-inf")
        self._suspected = False
        self._restless = False

    def key_frame(self, now: float, as_usual: bool) -> bool:
        """Whether to decode this one. `as_usual`: what SizeWatch says of it."""
        self._restless = self._restless or not as_usual
        since_s = now - self._looked_at + _EARLY_S
        return since_s >= self.interval_s or (since_s >= HURRIED_S and self._in_a_hurry(now))

    def looking(self, now: float) -> None:
        """A key frame is being decoded."""
        if self._in_a_hurry(now):
            self._hurried_at = now
        self._looked_at = now
        self._restless = False

    def looked(self, suspected: bool, calm: bool) -> None:
        """What that look gave. `calm`: healthy, and the camera's pictures are known."""
        self._suspected = suspected
        if suspected:
            self.interval_s = SUSPECTED_S
        elif calm:
            self.interval_s = min(CALM_S, max(LOOK_S, self.interval_s * _GROWTH))
        else:
            self.interval_s = LOOK_S

    def _in_a_hurry(self, now: float) -> bool:
        return self._restless and not self._suspected and now - self._hurried_at >= HURRY_AGAIN_S
