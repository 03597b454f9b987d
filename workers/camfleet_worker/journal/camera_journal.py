# SPDX-License-Identifier: Apache-2.0
"""The journal of one camera while a worker runs it: reads delivery logs, makes entries. Pure.

The keeper steps it every few seconds. An entry becomes final after a minute (hindsight.py), when
causes are known and the slowest relay has noted what it took. `peek` returns the entries that would
be final if the worker ended now; from this checkpoint the next worker goes on after kill -9.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from camfleet_api.cause import Cause
from camfleet_worker.journal.fold import Fold, Observation
from camfleet_worker.journal.hindsight import Gap, Note, Tile, blamed, gaps, passed_on, whole
from camfleet_worker.journal.lines import End, Entry
from camfleet_worker.journal.period import (
    ARRIVING,
    UNKNOWN,
    UP,
    USABLE,
    Condition,
    Fact,
    State,
    down,
)
from camfleet_worker.journal.tally import Counting
from camfleet_worker.journal.windows import Window, with_planned_gaps
from camfleet_worker.media_types.delivery_log import PAUSE_US, DeliveryLog, Failure, Stretch

HINDSIGHT_US = 60_000_000
"""Entries become final after this time, unless a sink lags behind."""
PATIENCE_US = 600_000_000
"""The longest wait for a sink that lags: a disk may stall, and at 128 kbit/s its queue of 8 MiB
holds the access units of this time."""
FRESH_US = 20_000_000
"""A stage that passed an access unit within this time goes on, because sinks lag behind."""
LAG_US = 3_000_000
"""How late a stage may note access units: a fragment holds them for a second, and waits a second
more for their audio."""
_MARGIN_US = 5_000_000


@dataclass(slots=True)
class _Track:
    """What is known of one stage."""

    fold: Fold
    counting: Counting
    sources: list[tuple[int, DeliveryLog]] = field(default_factory=list)
    """Its delivery logs, each with the moment from which it counts: a sink may be replaced."""
    stretches: dict[tuple[int, int], Stretch] = field(default_factory=dict)
    """The stretches, by source and beginning."""
    failures: dict[Failure, None] = field(default_factory=dict)
    missing: Cause | None = None
    """Why there is no sink; None where there is one."""
    bygone: frozenset[tuple[int, int]] = frozenset()
    """Keys of stretches that were noted before our clock was set back."""

    def follow(self, deliveries: DeliveryLog, now_us: int) -> None:
        if all(known is not deliveries for _, known in self.sources):
            self.sources.append((now_us, deliveries))

    def take_up(self) -> None:
        """Read what the delivery logs noted since the last time."""
        for number, (since_us, deliveries) in enumerate(self.sources):
            ended = [deliveries.ended.popleft() for _ in range(len(deliveries.ended))]
            if deliveries.under_way is not None:
                ended.append(deliveries.under_way)
            for stretch in ended:
                if (number, stretch.since_us) not in self.bygone:
                    self.stretches[number, stretch.since_us] = stretch
            for _ in range(len(deliveries.failures)):
                after_us, cause = deliveries.failures.popleft()
                self.failures[Failure(after_us or since_us, cause)] = None
            self.counting.take(
                deliveries.key_frames.popleft() for _ in range(len(deliveries.key_frames))
            )

    def begin_anew(self, fact: Fact, now_us: int) -> None:
        """Start again after our clock was set back, without the stretches before that."""
        self.fold, self.counting = Fold(fact, now_us, 0), Counting(fact, now_us)
        self.bygone = frozenset(
            key for key, stretch in self.stretches.items() if stretch.until_us > now_us
        )
        self.stretches = {
            key: stretch for key, stretch in self.stretches.items() if key not in self.bygone
        }
        self.failures = {failure: None for failure in self.failures if failure.after_us <= now_us}

    @property
    def newest_us(self) -> int:
        """The arrival time of the last access unit that passed; 0 before the first."""
        return max((one.until_us for one in self.stretches.values()), default=0)

    def failed_at(self, gap: Gap) -> Cause | None:
        """The cause of the failure with which a gap begins."""
        first_us, end_us = gap.since_us - PAUSE_US, gap.end_us
        return next((f.cause for f in self.failures if first_us <= f.after_us < end_us), None)

    def failed_before(self, gap: Gap) -> Cause | None:
        """The cause of a failure shortly before a gap: a disk that lags drops data only later."""
        before = [one for one in self.stretches.values() if one.until_us <= gap.since_us]
        first_us = max((one.since_us for one in before), default=0)
        first_us = max(first_us, gap.since_us - HINDSIGHT_US)
        found = [f.cause for f in self.failures if first_us <= f.after_us < gap.since_us]
        return found[-1] if found else None

    def forget(self, before_us: int) -> None:
        """Drop old notes, but keep the last stretch, whose end is the beginning of a gap."""
        old = [one for one in self.stretches.values() if one.until_us < before_us]
        last = max(old, default=None, key=lambda one: one.until_us)
        self.stretches = {
            key: one
            for key, one in self.stretches.items()
            if one.until_us >= before_us or one is last
        }
        oldest_us = min((one.until_us for one in self.stretches.values()), default=0)
        oldest_us = min(oldest_us, before_us - HINDSIGHT_US)
        self.failures = {f: None for f in self.failures if f.after_us >= oldest_us}


class CameraJournal:
    """The facts of one camera. It is not thread-safe; the delivery logs that it reads are."""

    def __init__(
        self, began_us: int, arrivals: DeliveryLog, facts: Iterable[Fact], *, picture: bool = True
    ) -> None:
        self._began_us = began_us
        self._settled_us = began_us
        self._looked_us = began_us
        self._arriving = self._track(ARRIVING)
        self._arriving.follow(arrivals, began_us)
        self._sinks = {fact: self._track(fact) for fact in facts}
        self._usable = Fold(USABLE, began_us, 0) if picture else None
        self._usable_now: Condition = UNKNOWN
        self._notes: list[Note] = []
        self._known: Cause | None = None
        self._last_tiles: list[Tile] = []
        """The last final tiles of arriving, to compare later gaps of sinks with."""
        self._windows: tuple[Window, ...] = ()

    @property
    def settled_us(self) -> int:
        """All entries before this moment are final."""
        return self._settled_us

    @property
    def facts(self) -> tuple[Fact, ...]:
        """The facts that it has entries for."""
        usable = () if self._usable is None else (USABLE,)
        return (ARRIVING, *self._sinks, *usable)

    def follow(self, fact: Fact, deliveries: DeliveryLog, now_us: int) -> None:
        """Read this delivery log: a sink was made."""
        if fact in self._sinks:
            self._sinks[fact].follow(deliveries, now_us)

    def lacks(self, fact: Fact, cause: Cause | None) -> None:
        """Note why a sink cannot be made; None where it was made."""
        if fact in self._sinks:
            self._sinks[fact].missing = cause

    def declare_windows(self, windows: Iterable[Window]) -> None:
        """Replace the site's windows; they apply to all entries that are not final yet."""
        self._windows = tuple(windows)

    def failed(self, at_us: int, cause: Cause, *, connecting: bool) -> None:
        """Note that the camera's session ended, or that connecting to it failed."""
        self._notes.append(Note(at_us, cause, connecting))

    def picture(self, at_us: int, healthy: bool | None) -> None:
        """Note whether a person could use the picture; None while that is not known."""
        seen = UNKNOWN if healthy is None else UP if healthy else down(Cause.CAMERA)
        if self._usable is not None and seen != self._usable_now:
            self._usable_now = seen
            self._usable.observe(Observation(at_us, seen))

    def step(self, now_us: int) -> list[Entry]:
        """The entries that have become final since the last step."""
        if now_us < self._settled_us - PATIENCE_US:
            return self._begin_anew(now_us)
        self._looked_us = now_us
        self._take_up()
        horizon_us = min(now_us - HINDSIGHT_US, self._undecided_us(now_us))
        if horizon_us <= self._settled_us:
            return []
        entries: list[Entry] = []
        arriving = self._arriving_tiles(now_us)
        for track, tiles in self._tiles(arriving):
            known = self._planned(_clipped(tiles, self._settled_us, horizon_us))
            entries += _folded(track.fold, known).settle(horizon_us)
            entries += track.counting.settle(horizon_us)
        if self._usable is not None:
            entries += with_planned_gaps(self._usable.settle(horizon_us), self._windows)
        self._settle(_clipped(arriving, self._settled_us, horizon_us), horizon_us)
        return entries

    def peek(self, now_us: int, lag_us: int = LAG_US) -> list[Entry]:
        """The entries that would be final if the worker ended now. It changes nothing.

        `lag_us`: how long after its arrival a sink may note an access unit; 0 where no access unit
        is under way any more.
        """
        self._take_up()
        entries: list[Entry] = []
        for track, tiles in self._tiles(self._arriving_tiles(now_us)):
            end_us = max(self._settled_us, self._end_us(track, now_us, lag_us))
            known = self._planned(_clipped(tiles, self._settled_us, end_us))
            entries += _folded(track.fold.copy(), known).close(end_us)
            entries += track.counting.peek(end_us)
        if self._usable is not None:
            entries += with_planned_gaps(self._usable.copy().close(now_us), self._windows)
        return entries

    def ends(self, now_us: int, lag_us: int = LAG_US) -> list[End]:
        """Up to when a peek has entries for each stage."""
        tracks = {ARRIVING: self._arriving} | self._sinks
        return [
            End(fact, max(self._settled_us, self._end_us(track, now_us, lag_us)))
            for fact, track in tracks.items()
        ]

    def _begin_anew(self, now_us: int) -> list[Entry]:
        """Start again: our clock was set back so far that no entry would become final for long. All
        entries become final now, and later ones overlap with them."""
        entries = self.peek(self._looked_us)
        self._began_us = self._settled_us = self._looked_us = now_us
        self._arriving.begin_anew(ARRIVING, now_us)
        for fact, track in self._sinks.items():
            track.begin_anew(fact, now_us)
        if self._usable is not None:
            self._usable = Fold(USABLE, now_us, 0)
            self._usable.observe(Observation(now_us, self._usable_now))
        self._notes = [note for note in self._notes if note.at_us <= now_us]
        self._known = None
        self._last_tiles = []
        return entries

    def _track(self, fact: Fact) -> _Track:
        return _Track(Fold(fact, self._began_us, 0), Counting(fact, self._began_us))

    def _take_up(self) -> None:
        for track in (self._arriving, *self._sinks.values()):
            track.take_up()

    def _undecided_us(self, now_us: int) -> int:
        """From when on a sink may still take access units, which wait in its queue."""
        arrived_us = self._arriving.newest_us
        behind = (
            max(track.newest_us, self._began_us)
            for track in self._sinks.values()
            if track.missing is None and track.newest_us < arrived_us - LAG_US
        )
        return min((at_us for at_us in behind if now_us - at_us < PATIENCE_US), default=now_us)

    def _end_us(self, track: _Track, now_us: int, lag_us: int = 0) -> int:
        """A stage that goes on is known up to its last access unit, a stopped one up to now."""
        newest_us = track.newest_us
        return newest_us if now_us - FRESH_US <= newest_us <= now_us else now_us - lag_us

    def _arriving_tiles(self, now_us: int) -> list[Tile]:
        """The tiles from the settled moment to now; a stage that goes on has no gap at the end."""
        track = self._arriving
        stretches = list(track.stretches.values())
        if self._end_us(track, now_us) < now_us:
            stretches.append(Stretch(track.newest_us, now_us))
        missing: list[Tile] = []
        for gap in gaps(stretches, self._began_us, self._settled_us, now_us):
            known = self._known if gap.since_us < self._settled_us else None
            usual = Cause.SYSTEM if gap.since_us == self._began_us else Cause.CAMERA
            missing += blamed(gap, self._notes, known or track.failed_at(gap), usual)
        return whole(missing, self._settled_us, now_us)

    def _tiles(self, arriving: Sequence[Tile]) -> Iterable[tuple[_Track, Sequence[Tile]]]:
        """The tiles of every stage, for the same time as those of arriving; none where our clock
        was set back to the settled moment."""
        yield self._arriving, arriving
        around = [*self._last_tiles, *arriving] if arriving else []
        first_us, last_us = (around[0].start_us, around[-1].end_us) if around else (0, 0)
        for track in self._sinks.values():
            missing: list[Tile] = []
            for gap in gaps(track.stretches.values(), self._began_us, first_us, last_us):
                own = track.failed_at(gap) or track.missing or track.failed_before(gap)
                missing += passed_on(gap, around, own or Cause.SYSTEM)
            yield track, whole(missing, first_us, last_us)

    def _planned(self, tiles: Iterable[Tile]) -> list[Tile]:
        """Tiles as entries show them; kept ones keep their cause, which counts after a window."""
        return with_planned_gaps(tiles, self._windows)

    def _settle(self, arriving: Sequence[Tile], horizon_us: int) -> None:
        self._settled_us = horizon_us
        last = arriving[-1].condition if arriving else UNKNOWN
        self._known = last.cause if last.state is State.GAP else None
        self._last_tiles = _clipped(
            [*self._last_tiles, *arriving], horizon_us - _MARGIN_US, horizon_us
        )
        for track in (self._arriving, *self._sinks.values()):
            track.forget(horizon_us - 2 * _MARGIN_US)
        old = [note for note in self._notes if note.at_us < horizon_us and note.connecting]
        new = [note for note in self._notes if note.at_us >= horizon_us]
        self._notes = [*old[-1:], *new]


def _folded(fold: Fold, tiles: Iterable[Tile]) -> Fold:
    for tile in tiles:
        fold.observe(Observation(tile.start_us, tile.condition))
    return fold


def _clipped(tiles: Iterable[Tile], start_us: int, end_us: int) -> list[Tile]:
    clipped = (
        Tile(max(tile.start_us, start_us), min(tile.end_us, end_us), tile.condition)
        for tile in tiles
    )
    return [tile for tile in clipped if tile.end_us > tile.start_us]
