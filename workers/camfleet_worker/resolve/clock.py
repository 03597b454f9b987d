# SPDX-License-Identifier: Apache-2.0
"""Judges the readings of a camera's clock: what to sign logins with, and TimeSynchronized. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from camfleet_api.conditions import Reason

TOLERATED_OFFSET_S = 5
"""The narrowest window seen in which a camera accepts a WS-UsernameToken."""

SAME_S = 2.0
"""Readings that differ by less are equal: cameras send whole seconds, over a network."""

_HOUR_S = 3600
_MOST_HOURS = 14
"""No zone is further from UTC."""
_HOUR_LEEWAY_S = 600.0
"""How much more or less than whole hours an offset "by whole hours" may be."""

_UNITS = ((86400, "day"), (3600, "hour"), (60, "minute"))


@dataclass(frozen=True, slots=True)
class ClockTrouble:
    """Why TimeSynchronized is not True."""

    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True)
class ClockReading:
    """The camera's clock minus ours in seconds, by each field in which the camera sends a time."""

    utc_s: float | None = None
    """UTCDateTime of GetSystemDateAndTime."""
    date_s: float | None = None
    """The Date header of its HTTP answer (RFC 9110 section 6.6.1)."""
    local_s: float | None = None
    """LocalDateTime of GetSystemDateAndTime, read as UTC."""


def offsets_to_sign_with(reading: ClockReading, learnt_s: float | None = None) -> list[float]:
    """The offsets that the camera's clock may have, the likeliest first; empty without a reading.

    UTCDateTime is used unless it seems to hold local time: the Date header, or the offset
    `learnt_s` that the camera accepted last, differs from it by whole hours.
    """
    readings = [s for s in (reading.utc_s, reading.date_s, reading.local_s) if s is not None]
    if not readings:
        return [] if learnt_s is None else [learnt_s]
    if reading.utc_s is None:
        first = readings[0] - (_whole_hours(readings[0]) if reading.date_s is None else 0)
    elif reading.date_s is not None and _whole_hours(reading.utc_s - reading.date_s):
        first = reading.date_s
    else:
        first = reading.utc_s
    offsets = [first]
    for offset in (first - _whole_hours(first), *readings):
        if all(differs(offset, other) for other in offsets):
            offsets.append(offset)
    if learnt_s is not None:  # sorted() is stable: the others stay as they are
        offsets.sort(key=lambda offset: abs(offset - learnt_s) > _HOUR_LEEWAY_S)
    return offsets


def stepped_s(before: ClockReading, after: ClockReading) -> float:
    """By how much a clock stepped between two readings; 0 without a step or without a reading."""
    pairs = (
        (before.utc_s, after.utc_s),
        (before.date_s, after.date_s),
        (before.local_s, after.local_s),
    )
    steps = [two - one for one, two in pairs if one is not None and two is not None]
    return steps[0] if steps and differs(steps[0], 0.0) else 0.0


def differs(one_s: float, other_s: float) -> bool:
    """Whether two readings come from different clocks, or from one clock that has stepped."""
    return abs(one_s - other_s) > SAME_S


def _whole_hours(seconds: float) -> float:
    """The whole hours in it, in seconds, where a time zone can differ by so many; else 0."""
    hours = round(seconds / _HOUR_S)
    near = abs(seconds - hours * _HOUR_S) <= _HOUR_LEEWAY_S
    return float(hours * _HOUR_S) if near and abs(hours) <= _MOST_HOURS else 0.0


def utc_epoch(year: int, month: int, day: int, hour: int, minute: int, second: int) -> float | None:
    """Seconds since 1970 of a camera's UTC date and time; None when there is no such time.

    Cameras send zero dates, minute 61 and second 60.
    """
    try:
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp()
    except ValueError:
        return None


def clock_trouble(offset_s: int | None) -> ClockTrouble | None:
    """Why TimeSynchronized is not True for a camera; None where its clock is good enough.

    The detail names a coarse unit, because a message must not change while the fact is the same.
    """
    if offset_s is None:
        return ClockTrouble(Reason.CLOCK_UNREADABLE, "The camera does not tell its time")
    if abs(offset_s) <= TOLERATED_OFFSET_S:
        return None
    direction = "ahead of" if offset_s > 0 else "behind"
    return ClockTrouble(
        Reason.CLOCK_OFF, f"The camera's clock is {_coarse(abs(offset_s))} {direction} ours"
    )


def _coarse(seconds: int) -> str:
    """The greatest unit that fits, rounded down: "184 days".

    What lacks less than a tenth of a unit counts as whole. Clocks are often wrong by whole hours or
    days, and are read to some seconds: "8 hours" must not become "7 hours" from one reading to the
    next.
    """
    for unit_s, name in _UNITS:
        many = (seconds + unit_s // 10) // unit_s
        if many:
            return f"{many} {name}{'s' if many > 1 else ''}"
    return "seconds"
