# SPDX-License-Identifier: Apache-2.0
"""Maintenance windows of a Site: which part of a gap was planned, and who planned it. Pure.

The journal of a running camera applies them before a gap becomes final, and a later judgement
applies those that are declared then. A gap is never lengthened or removed here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TypeVar

from camfleet_api.cause import Cause
from camfleet_api.site import MaintenanceWindow
from camfleet_worker.base.moments import microseconds
from camfleet_worker.journal.hindsight import Tile
from camfleet_worker.journal.period import Condition, Period, State, down


@dataclass(frozen=True, slots=True)
class Window:
    """The time of planned work, in microseconds since the epoch, UTC, and who planned it."""

    start_us: int
    end_us: int
    author: str
    reason: str


def window_of(declared: MaintenanceWindow) -> Window:
    """A window as the Site declares it."""
    start_us, end_us = (microseconds(at.timestamp()) for at in (declared.from_, declared.until))
    return Window(start_us, end_us, declared.author, declared.reason)


Timed = TypeVar("Timed", Tile, Period)


def with_planned_gaps(parts: Iterable[Timed], windows: Iterable[Window]) -> list[Timed]:
    """The same tiles or periods; their gaps are split at the edges of windows, planned inside."""
    joined = _joined(windows)
    if not joined:
        return list(parts)
    return [
        replace(one, start_us=start_us, end_us=end_us, condition=condition)
        for one in parts
        for start_us, end_us, condition in _parts(one.start_us, one.end_us, one.condition, joined)
    ]


def _joined(windows: Iterable[Window]) -> list[tuple[int, int]]:
    """The times of windows, ordered by start; windows that overlap or touch become one."""
    found: list[tuple[int, int]] = []
    for start_us, end_us in sorted((one.start_us, one.end_us) for one in windows):
        if found and start_us <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end_us))
        else:
            found.append((start_us, end_us))
    return found


def _parts(
    start_us: int, end_us: int, condition: Condition, planned: list[tuple[int, int]]
) -> list[tuple[int, int, Condition]]:
    """The parts of one tile or period, without a hole between them."""
    if condition.state is not State.GAP:
        return [(start_us, end_us, condition)]
    found: list[tuple[int, int, Condition]] = []
    at_us = start_us
    for from_us, until_us in planned:
        from_us, until_us = max(from_us, at_us), min(until_us, end_us)
        if until_us <= from_us:
            continue
        if from_us > at_us:
            found.append((at_us, from_us, condition))
        found.append((from_us, until_us, down(Cause.PLANNED)))
        at_us = until_us
    if end_us > at_us:
        found.append((at_us, end_us, condition))
    return found
