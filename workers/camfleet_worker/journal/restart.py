# SPDX-License-Identifier: Apache-2.0
"""Completes the journal of the last worker: the time without a worker, and what it did not write.

The keeper calls it once for each camera, on the writer's thread, and it reads the disk. The pure
module recovery.py makes the entries.
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
"""The recorded spans in a camera's folder between two moments, in microseconds since the epoch."""


def what_was_left_open(
    store: JournalStore,
    facts: Iterable[Fact],
    began_us: int,
    stretches: Stretches,
    windows: Iterable[Window] = (),
) -> tuple[list[Entry], Checkpoint]:
    """The entries that the last worker did not write, with the time without a worker, and the new
    checkpoint, so that they are not written twice if this worker dies too. `windows`: the site's
    maintenance windows. Raises OSError."""
    left = store.checkpoint()
    if left is None:
        # The power was lost, or there was no worker before: use the lines and the recordings.
        left = Checkpoint((), Cause.SYSTEM, _ends(store.read()), told=True)
    written_us = _written_since(store, left, began_us)
    ends = {
        end.fact: max(end.at_us, written_us.get(end.fact, 0))
        for end in left.ends
        if end.fact in facts
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
    return [*joined([*after(written_us, went_on), *holes]), *tallies], beginning


def _written_since(store: JournalStore, left: Checkpoint, began_us: int) -> Mapping[Fact, int]:
    """Up to when the lines have entries of each fact. They may be newer than the checkpoint, which
    waited for a disk that stalled, or the worker died before it. Raises OSError."""
    since_us = min((end.at_us for end in left.ends), default=began_us)
    lines = store.entries(max(0, since_us - DAY_US))
    # Lines from before our clock was set back do not count.
    return _written_until(
        one for one in lines if isinstance(one, Period) and one.end_us <= began_us
    )


def _written_until(periods: Iterable[Period]) -> Mapping[Fact, int]:
    found: dict[Fact, int] = {}
    for period in periods:
        found[period.fact] = max(found.get(period.fact, 0), period.end_us)
    return found


def _ends(periods: Iterable[Period]) -> tuple[End, ...]:
    """Up to when the lines have entries; what a relay took since then is unknown."""
    written_us = _written_until(period for period in periods if period.fact in (ARRIVING, ON_DISK))
    return tuple(End(fact, at_us) for fact, at_us in written_us.items())


def _holes(
    ends: Mapping[Fact, int],
    began_us: int,
    then: Cause,
    stretches: Callable[[int, int], list[tuple[int, int]]],
) -> list[Period]:
    """The time without a worker, for every fact that the last one watched."""
    lying: list[tuple[int, int]] = []
    if ends and then is not Cause.PLANNED:  # an orderly end has written everything
        lying = stretches(min(ends.values()), began_us)
    found: list[Period] = []
    for fact, end_us in ends.items():
        there = [] if fact.stage is Stage.RELAYED else lying
        found += recovered(end_us, began_us, there, fact, then)
    return found
