# SPDX-License-Identifier: Apache-2.0
"""What a worker that died did not write down, told from what lies on the disk. Pure.

The next start asks it, with the stretches that listing the segments shows. What is not on the disk
there is a gap of ours: a gap that the dead worker had seen end would stand in its journal.
"""

from __future__ import annotations

from collections.abc import Iterable

from camfleet_worker.journal.period import UP, Cause, Fact, Period, Stage, down

_ON_DISK = Fact(Stage.ON_DISK)


def recovered(since_us: int, until_us: int, stretches: Iterable[tuple[int, int]]) -> list[Period]:
    """Periods on disk from where the journal ends to the start of the new worker."""
    found: list[Period] = []
    at_us = since_us
    for start_us, end_us in sorted(stretches):
        start_us, end_us = max(start_us, at_us), min(end_us, until_us)
        if end_us <= start_us:
            continue
        if start_us > at_us:
            found.append(Period(_ON_DISK, down(Cause.US), at_us, start_us))
        if found and found[-1].condition == UP:
            start_us = found.pop().start_us
        found.append(Period(_ON_DISK, UP, start_us, end_us))
        at_us = end_us
    if until_us > at_us:
        found.append(Period(_ON_DISK, down(Cause.US), at_us, until_us))
    return found
