# SPDX-License-Identifier: Apache-2.0
"""What a camera's clock says about the camera."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from camfleet_api.conditions import Reason

TOLERATED_OFFSET_S = 5
"""The narrowest window seen in which a camera accepts a WS-UsernameToken."""

SAME_S = 2.0
"""Readings that differ by less say the same: cameras tell whole seconds, over a network."""

_HOUR_S = 3600
_MOST_HOURS = 14
"""No zone is further from UTC."""
_HOUR_LEEWAY_S = 600.0
"""How wrong a clock may be besides, to be off "by whole hours"."""

_UNITS = ((86400, "day"), (3600, "hour"), (60, "minute"))


@dataclass(frozen=True, slots=True)
class ClockTrouble:
    """Why TimeSynchronized is not True."""

    reason: Reason
    fact: str


@dataclass(frozen=True, slots=True)
class ClockReading:
    """The camera's clock minus ours in seconds, in each way in which the camera tells it."""

    utc_s: float | None = None
    """UTCDateTime of GetSystemDateAndTime."""
    date_s: float | None = None
    """The Date header of its HTTP answer (RFC 9110 section 6.6.1)."""
    local_s: float | None = None
    """LocalDateTime of GetSystemDateAndTime, as if it were UTC."""


def offsets_to_sign_with(reading: ClockReading, learnt_s: float | None = None) -> list[float]:
    """What the camera's clock may be, the likeliest first; empty when it tells nothing.

    UTCDateTime is believed, unless there are signs that it carries local time: the Date header, or
    the offset that the camera took last, differs from it by whole hours. `learnt_s` is that offset.
    """
    told = [s for s in (reading.utc_s, reading.date_s, reading.local_s) if s is not None]
    if not told:
        return [] if learnt_s is None else [learnt_s]
    if reading.utc_s is None:
        first = told[0] - (_whole_hours(told[0]) if reading.date_s is None else 0)
    elif reading.date_s is not None and _whole_hours(reading.utc_s - reading.date_s):
        first = reading.date_s
    else:
        first = reading.utc_s
    offsets = [first]
    for offset in (first - _whole_hours(first), *told):
        if all(differs(offset, other) for other in offsets):
            offsets.append(offset)
    if learnt_s is not None:  # sorted() is stable: the others stay as they are
        offsets.sort(key=lambda offset: abs(offset - learnt_s) > _HOUR_LEEWAY_S)
    return offsets


def stepped_s(before: ClockReading, after: ClockReading) -> float:
    """By how much a clock has jumped between two readings; 0 where it has not, or says nothing."""
    pairs = (
        (before.utc_s, after.utc_s),
        (before.date_s, after.date_s),
        (before.local_s, after.local_s),
    )
    steps = [two - one for one, two in pairs if one is not None and two is not None]
    return steps[0] if steps and differs(steps[0], 0.0) else 0.0


def differs(one_s: float, other_s: float) -> bool:
    """Whether two readings are of different clocks, or of one that has stepped."""
    return abs(one_s - other_s) > SAME_S


def _whole_hours(seconds: float) -> float:
    """The hours in it, as seconds, where it is whole hours that a time zone can have; else 0."""
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
    """The TimeSynchronized condition of a camera: None when its clock is good enough.

    The sentence names a coarse unit: a message must not change while the fact is the same.
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
