# SPDX-License-Identifier: Apache-2.0
"""How many key frames passed in each minute of an hour: what a good minute is judged by. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from camfleet_worker.journal.minutes import MINUTE_US
from camfleet_worker.journal.period import Fact

MINUTES = 60
HOUR_US = MINUTES * MINUTE_US


@dataclass(frozen=True, slots=True)
class Tally:
    """One stage of one camera in one UTC hour; None for a minute that nobody saw the whole of."""

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
        """Count these."""
        for at_us in arrived_us:
            minute = at_us // MINUTE_US
            self._counts[minute] = self._counts.get(minute, 0) + 1

    def settle(self, until_us: int) -> list[Tally]:
        """The hours that are over for good."""
        finished = []
        while self._hour_us + HOUR_US <= until_us:
            finished += self._tally(self._hour_us, until_us)
            self._hour_us += HOUR_US
            first = self._hour_us // MINUTE_US
            self._counts = {minute: n for minute, n in self._counts.items() if minute >= first}
        return finished

    def peek(self, until_us: int) -> list[Tally]:
        """What is known up to now of the hours that are not over."""
        hours = range(self._hour_us, max(until_us, self._hour_us + 1), HOUR_US)
        return [tally for hour_us in hours for tally in self._tally(hour_us, until_us)]

    def _tally(self, hour_us: int, until_us: int) -> list[Tally]:
        counts = tuple(self._count(hour_us + n * MINUTE_US, until_us) for n in range(MINUTES))
        return [] if all(n is None for n in counts) else [Tally(self._fact, hour_us, counts)]

    def _count(self, start_us: int, until_us: int) -> int | None:
        """A key frame is a key frame; that there was none needs a whole minute to be said."""
        whole = self._began_us <= start_us and start_us + MINUTE_US <= until_us
        return self._counts.get(start_us // MINUTE_US, 0 if whole else None)


def key_frames_by_minute(tallies: Iterable[Tally], fact: Fact) -> Mapping[int, int]:
    """Counts by the minute's first moment; a minute that is told twice counts with the larger
    number: a worker that died had told it already."""
    found: dict[int, int] = {}
    for tally in tallies:
        if tally.fact == fact:
            for number, count in enumerate(tally.key_frames):
                if count is not None:
                    start_us = tally.hour_us + number * MINUTE_US
                    found[start_us] = max(found.get(start_us, 0), count)
    return found
