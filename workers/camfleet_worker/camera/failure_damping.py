# SPDX-License-Identifier: Apache-2.0
"""Which failure is told while a camera is down: not each one that it shows in turn. Pure.

A dead line shows now as no route, now as a timeout, and a camera that starts refuses its ports one
after the other. What is told changes at once twice, which covers the usual course of an outage,
and then only for a failure that has been the only one for longer and longer. Supervisors ask it
with every failure.
"""

from __future__ import annotations

from camfleet_worker.reporter.facts import Failure

HOLDS_S = (0.0, 0.0, 60.0, 300.0, 1800.0)
"""How long another failure must have stood alone before the n-th change of what is told."""


class Outage:
    """What is told of one camera."""

    def __init__(self) -> None:
        self._told: Failure | None = None
        self._other: Failure | None = None
        self._other_since = 0.0
        self._changes = 0

    def tell(self, failure: Failure, now: float, *, final: bool = False) -> Failure:
        """The failure to tell, given that this one was seen. `final`: a person must act and
        nothing is tried meanwhile, so it cannot alternate and is told at once."""
        if self._told is None or final:
            return self._change_to(failure)
        if failure == self._told:
            self._other = None
            return failure
        if failure != self._other:
            self._other, self._other_since = failure, now
        hold_s = HOLDS_S[min(self._changes, len(HOLDS_S) - 1)]
        if now - self._other_since >= hold_s:
            self._changes += 1
            return self._change_to(failure)
        return self._told

    def streams(self) -> None:
        """The camera streams, for now."""
        self._told = self._other = None

    def over(self) -> None:
        """It has streamed for long enough: the next outage is another one."""
        self._changes = 0

    def _change_to(self, failure: Failure) -> Failure:
        self._told, self._other = failure, None
        return failure
