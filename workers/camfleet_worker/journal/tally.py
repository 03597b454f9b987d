# SPDX-License-Identifier: Apache-2.0
"""Counts the key frames of each minute, by which minutes are judged, in hourly tallies. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from camfleet_worker.journal.minutes import MINUTE_US
from camfleet_worker.journal.period import Fact

MINUTES = 60
HOUR_US = MINUTES * MINUTE_US
_MOST_HOURS = 24
"""The most hours that are returned together where no key frame was counted."""


@dataclass(frozen=True, slots=True)
class Tally:
    """The key frames of one stage in one UTC hour; None for a minute that was watched in part."""

    fact: Fact
    hour_us: int
    key_frames: tuple[int | None, ...]

    def __post_init__(self) -> None:
        if self.hour_us % HOUR_US or self.hour_us < 0:
            raise ValueError("an hour begins on the hour")
        if len(self.key_frames) != MINUTES or any((n or 0) < 0 for n in self.key_frames):
            raise ValueError("an hour has sixty minutes, and no minute less than none")


class Counting:
    """Counts the key frames of one fact by the minute in which they arrived."""

    def __init__(self, fact: Fact, began_us: int) -> None:
        self._fact = fact
        self._began_us = began_us
        self._counts: dict[int, int] = {}
        self._hour_us = began_us // HOUR_US * HOUR_US

    def take(self, arrived_us: Iterable[int]) -> None:
        """Count key frames by their times of arrival."""
        for at_us in arrived_us:
            minute = at_us // MINUTE_US
            self._counts[minute] = self._counts.get(minute, 0) + 1

    def settle(self, until_us: int) -> list[Tally]:
        """The tallies of hours that have become final."""
        over_us = until_us // HOUR_US * HOUR_US
        if over_us <= self._hour_us:
            return []
        hours = self._hours(over_us)
        finished = [tally for hour_us in hours for tally in self._tally(hour_us, until_us)]
        self._hour_us = over_us
        first = over_us // MINUTE_US
        self._counts = {minute: n for minute, n in self._counts.items() if minute >= first}
        return finished

    def peek(self, until_us: int) -> list[Tally]:
        """The tallies up to now of the hours that are not final."""
        hours = self._hours(max(until_us, self._hour_us + 1))
        return [tally for hour_us in hours for tally in self._tally(hour_us, until_us)]

    def _hours(self, end_us: int) -> Iterable[int]:
        """The hours that begin before `end_us`. Our clock may step by years: of more than a day,
        only the hours with a key frame."""
        if end_us - self._hour_us <= _MOST_HOURS * HOUR_US:
            return range(self._hour_us, end_us, HOUR_US)
        counted = {minute * MINUTE_US // HOUR_US * HOUR_US for minute in self._counts}
        return sorted(hour_us for hour_us in counted if self._hour_us <= hour_us < end_us)

    def _tally(self, hour_us: int, until_us: int) -> list[Tally]:
        counts = tuple(self._count(hour_us + n * MINUTE_US, until_us) for n in range(MINUTES))
        return [] if all(n is None for n in counts) else [Tally(self._fact, hour_us, counts)]

    def _count(self, start_us: int, until_us: int) -> int | None:
        """The key frames of a minute; 0 only where the whole minute was watched, else None."""
        whole = self._began_us <= start_us and start_us + MINUTE_US <= until_us
        return self._counts.get(start_us // MINUTE_US, 0 if whole else None)


def key_frames_by_minute(tallies: Iterable[Tally], fact: Fact) -> Mapping[int, int]:
    """Counts by the minute's first moment. A minute with two counts has the larger one: a worker
    that died had written it already."""
    found: dict[int, int] = {}
    for tally in tallies:
        if tally.fact == fact:
            for number, count in enumerate(tally.key_frames):
                if count is not None:
                    start_us = tally.hour_us + number * MINUTE_US
                    found[start_us] = max(found.get(start_us, 0), count)
    return found
