# SPDX-License-Identifier: Apache-2.0
"""By how much arrival lags behind a timeline: that of the earliest arrival of a window. Pure.

Only that one says how late the timeline is: an access unit can be delayed on its way by seconds,
and none arrives before it was taken.

Compiled by mypyc (workers/compile_media.py): no attribute may be added from outside, none may be of
another type than declared, and nothing may be set on the class by a test.
"""

from __future__ import annotations

WINDOW_S = 10.0
"""How long the earliest arrival is looked for: the stall watchdog ends a stream after as long."""
_WINDOW_90K = int(WINDOW_S * 90_000)


class EarliestArrival:
    """The least lag of one or two windows. A lag is an arrival less the time on the timeline, in
    1/90000 s."""

    def __init__(self) -> None:
        self._window_from = 0
        self._earliest = 0
        self._earliest_before: int | None = None

    def begin(self, lag: int, arrival: int) -> None:
        """Begin anew: what was before has nothing to do with it."""
        self._window_from = arrival
        self._earliest, self._earliest_before = lag, None

    def observe(self, lag: int, arrival: int) -> None:
        """Take one access unit."""
        if arrival - self._window_from >= _WINDOW_90K:
            self._window_from = arrival
            self._earliest_before, self._earliest = self._earliest, lag
        elif lag < self._earliest:
            self._earliest = lag

    @property
    def least_lag(self) -> int:
        """What is known so far, be it only of one access unit."""
        earliest, before = self._earliest, self._earliest_before
        return earliest if before is None or earliest < before else before

    @property
    def lag(self) -> int:
        """How far arrival lags behind the timeline, below 0 where the timeline leads. In the first
        window only that is known: what is late may still be caught up."""
        earliest, before = self._earliest, self._earliest_before
        if before is None:
            return earliest if earliest < 0 else 0
        return earliest if earliest < before else before

    def shift(self, correction: int) -> None:
        """The timeline was moved by that."""
        self._earliest -= correction
        if self._earliest_before is not None:
            self._earliest_before -= correction
