# SPDX-License-Identifier: Apache-2.0
"""Decides afterwards whether a camera was up at each moment, and the cause of each gap. Pure.

The cause of a gap is known only after it has begun: a session without packets looks like the
camera's fault until its host does not answer at all. So entries of the last minute are not final,
and final ones never change. camera_journal.py keeps what these functions need.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from camfleet_api.cause import Cause
from camfleet_worker.journal.period import UP, Condition, State, down
from camfleet_worker.media_types.delivery_log import PAUSE_US, Stretch


@dataclass(frozen=True, slots=True)
class Tile:
    """The condition from one moment to another."""

    start_us: int
    end_us: int
    condition: Condition


@dataclass(frozen=True, slots=True)
class Note:
    """A failure that a supervisor noted. `connecting`: a connect failed."""

    at_us: int
    cause: Cause
    connecting: bool


@dataclass(frozen=True, slots=True)
class Gap:
    """Time without access units, within a window; `since_us` is its true beginning."""

    since_us: int
    start_us: int
    end_us: int


def gaps(stretches: Iterable[Stretch], began_us: int, start_us: int, end_us: int) -> list[Gap]:
    """The gaps between the stretches in a window. Stretches may overlap, in any order."""
    found: list[Gap] = []
    since_us = began_us
    for stretch in sorted(stretches):
        _add(found, Gap(since_us, max(since_us, start_us), min(stretch.since_us, end_us)))
        since_us = max(since_us, stretch.until_us)
    _add(found, Gap(since_us, max(since_us, start_us), end_us))
    return found


def blamed(gap: Gap, notes: Iterable[Note], known: Cause | None, otherwise: Cause) -> list[Tile]:
    """The parts of one gap of a camera by cause.

    `known`: the cause at the window's start. Without it the first attempt to connect decides, back
    to the beginning; then why the session ended; then `otherwise`. Later another cause holds from
    the first of two attempts in a row that show it, because a dead line fails in changing ways.
    """
    within = sorted(
        (note for note in notes if gap.since_us <= note.at_us < gap.end_us),
        key=lambda note: note.at_us,
    )
    attempts = [note for note in within if note.connecting]
    cause = known or next((note.cause for note in (*attempts, *within)), otherwise)
    parts = [(gap.start_us, cause)]
    for before, after in pairwise(attempts):
        if before.cause is after.cause and after.cause is not parts[-1][1]:
            parts.append((max(before.at_us, gap.start_us), after.cause))
    edges = [*(at_us for at_us, _ in parts), gap.end_us]
    return [
        Tile(start_us, end_us, down(cause))
        for (start_us, end_us), (_, cause) in zip(pairwise(edges), parts, strict=True)
        if end_us > start_us
    ]


def whole(missing: Iterable[Tile], start_us: int, end_us: int) -> list[Tile]:
    """The tiles of a window, with up between the missing ones."""
    found: list[Tile] = []
    at_us = start_us
    for tile in sorted(missing, key=lambda tile: tile.start_us):
        if tile.start_us > at_us:
            found.append(Tile(at_us, tile.start_us, UP))
        found.append(tile)
        at_us = tile.end_us
    if end_us > at_us:
        found.append(Tile(at_us, end_us, UP))
    return found


def passed_on(gap: Gap, arriving: Sequence[Tile], own: Cause) -> list[Tile]:
    """The parts of one gap of a sink: where nothing arrived the cause of that gap, else `own`.

    A short pause beside a gap of arriving belongs to that gap: a sink takes access units later.
    """
    found: list[Tile] = []
    at_us = gap.start_us
    for tile in arriving:
        if tile.condition.state is not State.GAP:
            continue
        start_us, end_us = max(tile.start_us, at_us), min(tile.end_us, gap.end_us)
        if start_us - at_us <= PAUSE_US and tile.start_us < gap.end_us:
            start_us = at_us
        if gap.end_us - end_us <= PAUSE_US and tile.end_us > gap.start_us:
            end_us = gap.end_us
        if end_us <= start_us:
            continue
        if start_us > at_us:
            found.append(Tile(at_us, start_us, down(own)))
        found.append(Tile(start_us, end_us, tile.condition))
        at_us = end_us
    if gap.end_us > at_us:
        found.append(Tile(at_us, gap.end_us, down(own)))
    return found


def _add(found: list[Gap], gap: Gap) -> None:
    if gap.end_us > gap.start_us:
        found.append(gap)
