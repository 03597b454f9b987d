# SPDX-License-Identifier: Apache-2.0
"""Counts the good minutes of an interval from a journal. Pure.

Called by the command line. Each stage has its own figure: at the camera, at each monitoring system
and on the disk. Planned minutes are counted apart: the reader who divides good minutes by total
ones decides whether to leave them out, and states it beside the figure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from camfleet_api.cause import Cause
from camfleet_worker.journal.lines import Entry
from camfleet_worker.journal.minutes import MINUTE_US, UNKNOWNS, Minute, Shortfall, Verdict, judge
from camfleet_worker.journal.period import USABLE, Fact, Period, Stage
from camfleet_worker.journal.tally import Tally, key_frames_by_minute
from camfleet_worker.journal.windows import Window, with_planned_gaps
from camfleet_worker.recordings.listing import Interval


@dataclass(frozen=True, slots=True)
class Availability:
    """The minutes of one stage of one camera. A minute that is not good may have several causes, or
    no known one."""

    fact: Fact
    minutes: Mapping[Verdict, int]
    causes: Mapping[Cause, int]
    """Minutes that are not good, by the causes of the gaps in them."""
    shortfalls: Mapping[Shortfall, int]
    """Minutes that are not good or unknown, by what they lack."""


def availabilities(
    entries: Sequence[Entry], wanted: Interval, windows: Collection[Window] = ()
) -> list[Availability]:
    """The availability of each stage in the journal, over the whole minutes of an interval.

    `windows`: maintenance windows of the site, also those that were declared after the journal was
    written.
    """
    found = (entry for entry in entries if isinstance(entry, Period))
    periods = with_planned_gaps(found, windows)
    tallies = [entry for entry in entries if isinstance(entry, Tally)]
    facts = {period.fact for period in periods} - {USABLE}
    order = list(Stage)
    return [
        _availability(fact, periods, key_frames_by_minute(tallies, fact), wanted)
        for fact in sorted(facts, key=lambda one: (order.index(one.stage), one.system))
    ]


def _availability(
    fact: Fact, periods: Iterable[Period], key_frames: Mapping[int, int], wanted: Interval
) -> Availability:
    minutes, causes, shortfalls = Counter[Verdict](), Counter[Cause](), Counter[Shortfall]()
    for minute in _judged(fact, periods, key_frames, wanted):
        minutes[minute.verdict] += 1
        if minute.verdict is not Verdict.GOOD:
            shortfalls.update(minute.shortfalls)
        if minute.verdict is Verdict.NOT_GOOD:
            causes.update(minute.causes)
    unheard = len(_minutes(wanted)) - minutes.total()
    if unheard:
        minutes[Verdict.UNKNOWN] += unheard
        shortfalls.update(dict.fromkeys(UNKNOWNS, unheard))
    return Availability(fact, minutes, causes, shortfalls)


def _judged(
    fact: Fact, periods: Iterable[Period], key_frames: Mapping[int, int], wanted: Interval
) -> Iterator[Minute]:
    of_both = [period for period in periods if period.fact in (fact, USABLE)]
    for start_us, here in _by_minute(of_both, _known(of_both, key_frames, wanted)):
        yield judge(
            start_us,
            [period for period in here if period.fact == fact],
            key_frames.get(start_us),
            [period for period in here if period.fact == USABLE],
        )


def _minutes(wanted: Interval) -> range:
    """The first moments of the whole minutes of an interval."""
    first_us = -(-wanted.start_us // MINUTE_US) * MINUTE_US
    return range(first_us, wanted.end_us - MINUTE_US + 1, MINUTE_US)


def _known(periods: Sequence[Period], key_frames: Mapping[int, int], wanted: Interval) -> Interval:
    """The minutes of an interval for which there are entries, so that an interval of decades costs
    no time for those before the first camera."""
    starts = [*(period.start_us for period in periods), *key_frames]
    ends = [*(period.end_us for period in periods), *(at_us + MINUTE_US for at_us in key_frames)]
    first_us = min(starts, default=0) // MINUTE_US * MINUTE_US
    end_us = -(-max(ends, default=0) // MINUTE_US) * MINUTE_US
    return Interval(max(first_us, wanted.start_us), min(end_us, wanted.end_us))


def _by_minute(
    periods: Iterable[Period], wanted: Interval
) -> Iterator[tuple[int, Sequence[Period]]]:
    """The periods that each whole minute of an interval has a part in."""
    coming = sorted(periods, key=lambda period: period.start_us, reverse=True)
    here: list[Period] = []
    for start_us in _minutes(wanted):
        here = [period for period in here if period.end_us > start_us]
        while coming and coming[-1].start_us < start_us + MINUTE_US:
            period = coming.pop()
            if period.end_us > start_us:
                here.append(period)
        yield start_us, here
