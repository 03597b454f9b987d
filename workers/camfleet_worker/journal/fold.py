# SPDX-License-Identifier: Apache-2.0
"""Makes periods from observations of one fact; they tile the time without overlap or hole. Pure.

An observation is a condition from a moment on. Observations of several threads come out of order;
within the tolerance their order makes no difference. `settle` returns the finished periods.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass

from camfleet_worker.journal.period import UNKNOWN, Condition, Fact, Period, State

_SEVERITY = (State.SPAN, State.UNKNOWN, State.GAP)


@dataclass(frozen=True, slots=True)
class Observation:
    """A condition that holds from a moment on, until another is observed."""

    at_us: int
    condition: Condition


class Fold:
    """The periods of one fact of one camera. Before the first observation it is unknown."""

    def __init__(self, fact: Fact, began_us: int, tolerance_us: int) -> None:
        self.late = 0
        """Observations that came after their time was settled."""
        self._fact = fact
        self._tolerance_us = tolerance_us
        self._waiting: set[tuple[int, Observation]] = set()
        """Observations, each with the moment from which it can still hold."""
        self._condition = UNKNOWN
        self._since_us = began_us
        self._known_us = began_us
        self._settled_us = began_us

    def observe(self, seen: Observation) -> None:
        """Take an observation. One before the settled moment holds from that moment on, unless a
        newer one was observed before it."""
        if seen.at_us >= self._settled_us:
            self._waiting.add((seen.at_us, seen))
            return
        self.late += 1
        if seen.at_us >= self._known_us:
            self._waiting.add((self._settled_us, seen))

    def copy(self) -> Fold:
        """A copy that can be closed without closing this one."""
        other = copy(self)
        other._waiting = set(self._waiting)
        return other

    def settle(self, now_us: int) -> list[Period]:
        """The periods that are finished for good at `now_us`."""
        return self._settle_before(now_us - self._tolerance_us)

    def close(self, at_us: int) -> list[Period]:
        """All periods up to `at_us`, finished or not; nothing follows."""
        finished = self._settle_before(at_us)
        self._waiting.clear()
        if at_us > self._since_us:
            finished.append(Period(self._fact, self._condition, self._since_us, at_us))
            self._since_us = at_us
        return finished

    def _settle_before(self, before_us: int) -> list[Period]:
        due = sorted((one for one in self._waiting if one[0] < before_us), key=_order)
        self._waiting.difference_update(due)
        # Only the last of each instant: an observation that held for no time ends no period.
        holding = dict(due)
        finished = [p for from_us, seen in holding.items() for p in self._turn(from_us, seen)]
        self._settled_us = max(self._settled_us, before_us)
        return finished

    def _turn(self, from_us: int, seen: Observation) -> list[Period]:
        self._known_us = max(self._known_us, seen.at_us)
        if seen.condition == self._condition:
            return []
        ended = []
        if from_us > self._since_us:
            ended = [Period(self._fact, self._condition, self._since_us, from_us)]
        self._condition, self._since_us = seen.condition, from_us
        return ended


def _order(waiting: tuple[int, Observation]) -> tuple[int, int, int, str]:
    # Of two at the same instant the more severe one comes last and holds, in either order.
    from_us, seen = waiting
    return from_us, seen.at_us, _SEVERITY.index(seen.condition.state), seen.condition.cause or ""
