# SPDX-License-Identifier: Apache-2.0
"""What a camera's clock says about the camera."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from camfleet_api.conditions import Reason

TOLERATED_OFFSET_S = 5
"""The narrowest window seen in which a camera accepts a WS-UsernameToken."""

_UNITS = ((86400, "day"), (3600, "hour"), (60, "minute"))


@dataclass(frozen=True, slots=True)
class ClockTrouble:
    """Why TimeSynchronized is not True."""

    reason: Reason
    fact: str


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
    """Say "184 days": the greatest unit that fits, rounded down."""
    for unit_s, name in _UNITS:
        if seconds >= unit_s:
            many = seconds // unit_s
            return f"{many} {name}{'s' if many > 1 else ''}"
    return "seconds"
