# SPDX-License-Identifier: Apache-2.0
"""Moments as people and programs write them (RFC 3339), in microseconds since the epoch. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

DAY_US = 86_400_000_000

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_END_US = (datetime(5000, 1, 1, tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1)
"""Far from the end of what a datetime can tell, in whatever zone."""


def moment_us(text: str) -> int:
    """What `text` says, as microseconds since the epoch. Raises ValueError with a sentence for
    whoever wrote it: a time without an offset means another moment to everybody."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise ValueError(f"{text!r} is no time with an offset, such as 2026-05-01T07:00:00+07:00")
    at_us = (at - _EPOCH) // timedelta(microseconds=1)
    if not 0 <= at_us < _END_US:
        raise ValueError(f"{text!r} is not between the years 1970 and 5000")
    return at_us
