# SPDX-License-Identifier: Apache-2.0
"""Converts moments, in microseconds since the epoch, from and to other forms. Pure.

Wherever a time of day is kept, compared or written, it is a whole number of microseconds since
1970-01-01T00:00:00Z; only this module converts it.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

SECOND_US = 1_000_000
DAY_US = 86_400 * SECOND_US

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_END_US = (datetime(5000, 1, 1, tzinfo=UTC) - EPOCH) // timedelta(microseconds=1)
"""Far from the end of a datetime's range, in any zone."""


def microseconds(seconds: float) -> int:
    """Seconds of a clock in whole microseconds; the fraction is dropped."""
    return int(seconds * SECOND_US)


def utc(at_us: int) -> datetime:
    """A moment as a date and time in UTC. Raises OverflowError past the year 9999."""
    return EPOCH + timedelta(microseconds=at_us)


def day_of(at_us: int) -> str:
    """The UTC day of a moment, as in `2026-05-01`; a moment before 1970 counts as 1970-01-01."""
    return f"{utc(max(at_us, 0)):%Y-%m-%d}"


def moment_us(text: str) -> int:
    """The time in `text`, in microseconds since the epoch. Raises ValueError with a sentence for a
    person; a time without an offset is an error, because its meaning depends on the reader."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise ValueError(f"{text!r} is no time with an offset, such as 2026-05-01T07:00:00+07:00")
    at_us = (at - EPOCH) // timedelta(microseconds=1)
    if not 0 <= at_us < _END_US:
        raise ValueError(f"{text!r} is not between the years 1970 and 5000")
    return at_us
