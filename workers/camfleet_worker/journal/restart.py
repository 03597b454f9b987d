# SPDX-License-Identifier: Apache-2.0
"""What a worker's journal owes for the worker before it: the time that nobody watched, and what was
seen and not written. Called once for each camera by the keeper, on the writer's thread; it reads
the disk. What follows from what was read is decided in recovery.py, which is pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path

from camfleet_api.cause import Cause
from camfleet_worker.base.moments import DAY_US
from camfleet_worker.journal.lines import Checkpoint, End, Entry
from camfleet_worker.journal.period import ARRIVING, ON_DISK, Fact, Period, Stage
from camfleet_worker.journal.recovery import after, joined, recovered
from camfleet_worker.journal.store import JournalStore
from camfleet_worker.journal.tally import Tally
from camfleet_worker.journal.windows import Window, with_planned_gaps

Stretches = Callable[[Path, int, int], list[tuple[int, int]]]
"""What of a camera lies in its folder between two moments, in microseconds since the epoch."""


def what_was_left_open(
    store: JournalStore,
    facts: Iterable[Fact],
    began_us: int,
    stretches: Stretches,
    windows: Iterable[Window] = (),
) -> tuple[list[Entry], Checkpoint]:
    """What the worker before did not tell, the time in which none watched included, and the new
    beginning: a worker that dies again now must not have it told twice. `windows`: what is planned
    at the site. Raises OSError."""
    left = store.checkpoint()
    if left is None:
        # Lost with the power, or this is the first: the lines and the recordings have to do.
        left = Checkpoint((), Cause.SYSTEM, _ends(store.read()), told=True)
    told_us = _told_since(store, left, began_us)
    ends = {
        end.fact: max(end.at_us, told_us.get(end.fact, 0)) for end in left.ends if end.fact in facts
    }
    holes = with_planned_gaps(
        _holes(ends, began_us, left.then, partial(stretches, store.camera)), windows
    )
    beginning = Checkpoint(
        tuple(holes), Cause.SYSTEM, tuple(End(fact, began_us) for fact in facts), told=True
    )
    if left.told:
        return list(holes), beginning
    tallies = [one for one in left.entries if isinstance(one, Tally)]
    went_on = [one for one in left.entries if isinstance(one, Period)]
    return [*joined([*after(told_us, went_on), *holes]), *tallies], beginning


def _told_since(store: JournalStore, left: Checkpoint, began_us: int) -> Mapping[Fact, int]:
    """Up to when lines tell that were written after the checkpoint was made: it waited for a disk
    that stalled, or the worker died between the two. Raises OSError."""
    since_us = min((end.at_us for end in left.ends), default=began_us)
    lines = store.entries(max(0, since_us - DAY_US))
    # Those of a time that our clock was set back from say nothing of this one.
    return _told_until(one for one in lines if isinstance(one, Period) and one.end_us <= began_us)


def _told_until(periods: Iterable[Period]) -> Mapping[Fact, int]:
    found: dict[Fact, int] = {}
    for period in periods:
        found[period.fact] = max(found.get(period.fact, 0), period.end_us)
    return found


def _ends(periods: Iterable[Period]) -> tuple[End, ...]:
    """Where lines end. What a relay took since, nobody knows."""
    told_us = _told_until(period for period in periods if period.fact in (ARRIVING, ON_DISK))
    return tuple(End(fact, at_us) for fact, at_us in told_us.items())


def _holes(
    ends: Mapping[Fact, int],
    began_us: int,
    then: Cause,
    stretches: Callable[[int, int], list[tuple[int, int]]],
) -> list[Period]:
    """The time in which no worker watched, for every fact that one watched before."""
    lying: list[tuple[int, int]] = []
    if ends and then is not Cause.PLANNED:  # an orderly end has told everything
        lying = stretches(min(ends.values()), began_us)
    found: list[Period] = []
    for fact, end_us in ends.items():
        there = [] if fact.stage is Stage.RELAYED else lying
        found += recovered(end_us, began_us, there, fact, then)
    return found
