# SPDX-License-Identifier: Apache-2.0
"""Chooses the failure that is reported while a camera is down and its failures alternate. Pure.

A dead line causes now no route, now a timeout, and a camera that starts refuses its ports one after
the other. The reported failure changes twice at once, which covers the usual course of an outage,
and then only to a failure that has been the only one for longer and longer. `StreamState` calls it
with every failure.
"""

from __future__ import annotations

from camfleet_worker.reporter.facts import Failure

STANDS_ALONE_S = (0.0, 0.0, 60.0, 300.0, 1800.0)
"""How long another failure must have been the only one before the reported failure changes for the
n-th time."""


class FailureDamping:
    """Chooses the reported failure of one camera."""

    def __init__(self) -> None:
        self._reported: Failure | None = None
        self._other: Failure | None = None
        self._other_since = 0.0
        self._changes = 0

    def reported(self, failure: Failure, now: float, *, final: bool = False) -> Failure:
        """The failure to report after this one. `final`: only a person can end it and nothing is
        tried meanwhile, so it cannot alternate and is reported at once."""
        if self._reported is None or final:
            return self._change_to(failure)
        if failure == self._reported:
            self._other = None
            return failure
        if failure != self._other:
            self._other, self._other_since = failure, now
        stands_alone_s = STANDS_ALONE_S[min(self._changes, len(STANDS_ALONE_S) - 1)]
        if now - self._other_since >= stands_alone_s:
            self._changes += 1
            return self._change_to(failure)
        return self._reported

    def streams(self) -> None:
        """Note that the camera streams."""
        self._reported = self._other = None

    def outage_over(self) -> None:
        """It has streamed for long enough: the next outage is another one."""
        self._changes = 0

    def _change_to(self, failure: Failure) -> Failure:
        self._reported, self._other = failure, None
        return failure
