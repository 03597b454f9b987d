# SPDX-License-Identifier: Apache-2.0
"""Makes the entries that a worker which died did not write, from its segments on the disk. Pure.

The next start calls it with the stretches of the segments. Time without segments is a gap of ours:
a gap whose end the dead worker had seen would be in its journal.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from camfleet_api.cause import Cause
from camfleet_worker.journal.period import ON_DISK, UP, Fact, Period, down


def recovered(
    since_us: int,
    until_us: int,
    stretches: Iterable[tuple[int, int]],
    fact: Fact = ON_DISK,
    cause: Cause = Cause.SYSTEM,
) -> list[Period]:
    """Periods of a fact from where the journal ends to the start of the new worker.

    A recorded access unit has arrived too, so the stretches hold for both facts. `cause`: planned
    where the last worker was stopped in order.
    """
    found: list[Period] = []
    at_us = since_us
    for start_us, end_us in sorted(stretches):
        start_us, end_us = max(start_us, at_us), min(end_us, until_us)
        if end_us <= start_us:
            continue
        if start_us > at_us:
            found.append(Period(fact, down(cause), at_us, start_us))
        if found and found[-1].condition == UP:
            start_us = found.pop().start_us
        found.append(Period(fact, UP, start_us, end_us))
        at_us = end_us
    if until_us > at_us:
        found.append(Period(fact, down(cause), at_us, until_us))
    return found


def after(written_us: Mapping[Fact, int], periods: Iterable[Period]) -> list[Period]:
    """The parts of periods that the lines do not have yet: lines never change."""
    later = (
        (one, max(one.start_us, written_us.get(one.fact, 0)))
        for one in periods
        if one.end_us > written_us.get(one.fact, 0)
    )
    return [Period(one.fact, one.condition, start_us, one.end_us) for one, start_us in later]


def joined(periods: Iterable[Period]) -> list[Period]:
    """Periods by their start; equal ones that follow each other without a break become one."""
    found: list[Period] = []
    last: dict[Fact, int] = {}
    for period in sorted(periods, key=lambda one: one.start_us):
        before = found[last[period.fact]] if period.fact in last else None
        if before is not None and (before.condition, before.end_us) == (
            period.condition,
            period.start_us,
        ):
            whole = Period(period.fact, period.condition, before.start_us, period.end_us)
            found[last[period.fact]] = whole
        else:
            last[period.fact] = len(found)
            found.append(period)
    return found
