# SPDX-License-Identifier: Apache-2.0
"""Which key frame is decoded next. Pure; the sink asks at each key frame.

Decoding one picture costs as much as receiving for half a minute. So a camera whose picture is as
usual is looked at less and less often, but often enough to state a fault within half a minute.
A camera whose picture looks wrong is looked at every other second until there is a verdict.
"""

from __future__ import annotations

LOOK_S = 10.0
SUSPECTED_S = 2.0
CALM_S = 14.0
"""The longest wait between two looks. Sizes do not show enough to wait longer: near the bit rate's
limit they hardly depend on the picture."""
HURRIED_S = 4.0
"""The wait between two looks when sizes are not as usual."""
HURRY_AGAIN_S = 90.0
"""How long after such an early look the next one may come. Sizes in a busy street change all day,
and a look costs as much where it finds nothing."""
_GROWTH = 1.25
_EARLY_S = 0.2
"""A key frame that comes this much before its time is decoded: to wait for the next one would
double a short interval."""


class Pace:
    """The interval between two looks at one camera."""

    def __init__(self) -> None:
        self.interval_s = LOOK_S
        self._looked_at = float("-inf")
        self._hurried_at = float("-inf")
        self._suspected = False
        self._restless = False

    def key_frame(self, now: float, as_usual: bool) -> bool:
        """Whether to decode this key frame. `as_usual` is the answer of SizeWatch."""
        self._restless = self._restless or not as_usual
        since_s = now - self._looked_at + _EARLY_S
        return since_s >= self.interval_s or (since_s >= HURRIED_S and self._in_a_hurry(now))

    def looking(self, now: float) -> None:
        """Note that a key frame is being decoded."""
        if self._in_a_hurry(now):
            self._hurried_at = now
        self._looked_at = now
        self._restless = False

    def looked(self, suspected: bool, calm: bool) -> None:
        """Note the result of a look. `calm`: the picture is healthy and a baseline is complete."""
        self._suspected = suspected
        if suspected:
            self.interval_s = SUSPECTED_S
        elif calm:
            self.interval_s = min(CALM_S, max(LOOK_S, self.interval_s * _GROWTH))
        else:
            self.interval_s = LOOK_S

    def _in_a_hurry(self, now: float) -> bool:
        return self._restless and not self._suspected and now - self._hurried_at >= HURRY_AGAIN_S
