# SPDX-License-Identifier: Apache-2.0
"""The causes of gaps, from the journal. Pure.

Called by the command line. The names of segments decide what is missing, the journal only why: a
gap that the journal does not have stays without a cause.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from camfleet_api.cause import Cause
from camfleet_worker.journal.period import Period, Stage, State
from camfleet_worker.recordings.listing import Interval


@dataclass(frozen=True, slots=True)
class GapPart:
    """A part of a gap, and its cause where the journal knows one."""

    covers: Interval
    cause: Cause | None


def gap_parts(gap: Interval, journal: Iterable[Period]) -> list[GapPart]:
    """One gap divided by cause. The parts cover it without overlap."""
    parts: list[GapPart] = []
    at_us = gap.start_us
    for period in sorted(_on_disk(journal), key=lambda one: one.start_us):
        start_us, end_us = max(period.start_us, at_us), min(period.end_us, gap.end_us)
        if end_us <= start_us:
            continue
        if start_us > at_us:
            parts.append(GapPart(Interval(at_us, start_us), None))
        parts.append(GapPart(Interval(start_us, end_us), period.condition.cause))
        at_us = end_us
    if at_us < gap.end_us:
        parts.append(GapPart(Interval(at_us, gap.end_us), None))
    return parts


def _on_disk(journal: Iterable[Period]) -> Iterator[Period]:
    for period in journal:
        if period.fact.stage is Stage.ON_DISK and period.condition.state is State.GAP:
            yield period
