# SPDX-License-Identifier: Apache-2.0
"""Keeps the journals of all cameras of a worker: steps them, writes them beside the recordings.

Supervisors open one for each camera and note failures in it, the fleet closes it; `run` steps a few
at a time. Only the volume's writer thread reads and writes files, in one job a camera at a time: a
disk that stalls costs memory up to a limit, and entries beyond it are counted. A camera without
recording has its journal on the pod's in-memory volume, which outlives the process, not the pod.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from camfleet_api.cause import Cause
from camfleet_api.conditions import ConditionType, cause_of
from camfleet_worker.base.errors import IngestError
from camfleet_worker.base.moments import microseconds
from camfleet_worker.camera.assignment import Assignment
from camfleet_worker.camera.sink_set import SinkSet
from camfleet_worker.journal.camera_journal import CameraJournal
from camfleet_worker.journal.lines import Checkpoint, End, Entry
from camfleet_worker.journal.period import ARRIVING, ON_DISK, Fact, Stage
from camfleet_worker.journal.restart import Stretches, what_was_left_open
from camfleet_worker.journal.store import JournalStore, ended_us, give_up_oldest
from camfleet_worker.journal.windows import Window, window_of
from camfleet_worker.media_types.delivery_log import DeliveryLog
from camfleet_worker.media_types.sink import Sink, TrackedSink
from camfleet_worker.record.layout import camera_prefix

log = logging.getLogger(__name__)

LOOK_S = 0.5
"""How often `run` looks for journals that are due."""
STEP_S = 5.0
CHECKPOINT_S = 30.0
"""The time between checkpoints. A killed worker loses what its relays took since the last one."""
IN_MEMORY_BYTES = 24 << 10
"""The limit of a camera that is not recorded: some two days."""
ALL_IN_MEMORY_BYTES = 8 << 20
"""Half of the pod's in-memory volume; a pod that exceeds its limit is evicted. 200 running cameras
take less, in whole pages; journals of cameras that left are removed first."""
_WAITING_ENTRIES = 512
"""The most entries that wait for a disk: the gaps of a bad day of one camera."""


@dataclass(slots=True)
class JournalCounters:
    """Counts for all cameras, read by metrics; the writer's thread writes them under the lock."""

    lines: int = 0
    dropped_lines: int = 0
    """Lines that were dropped, because the disk did not take them."""
    lost_bytes: int = 0
    """Bytes that were written and then removed unacknowledged to stay within the limit."""
    write_failures: int = 0
    bugs: int = 0


@dataclass(frozen=True, slots=True)
class JournalPlaces:
    """The folders of journals: the first with the recordings, the second for all others."""

    recordings: Path
    memory: Path


class KeptJournal:
    """The journal of one camera for its supervisor. The main loop calls it; `write` and `finish`
    run on the writer's thread."""

    def __init__(
        self,
        assignment: Assignment,
        journal: CameraJournal,
        store: JournalStore,
        wall_us: Callable[[], int],
        counters: JournalCounters,
    ) -> None:
        self.camera = assignment.camera.name
        self.uid = assignment.uid
        self.store = store
        self.closing = False
        self.step_at = self.checkpoint_at = float("-inf")
        self.writing = False
        self._journal = journal
        self._wall_us = wall_us
        self._counters = counters
        self._lock = threading.Lock()
        self._waiting: deque[Entry] = deque()
        self._final: tuple[Entry, ...] = ()
        self._ends: tuple[End, ...] = ()
        self._failing = False
        self._begun = False
        """Whether the entries that the last worker left open are written or wait for the disk."""
        self._recovery: Callable[[], tuple[list[Entry], Checkpoint]] | None = None
        self.windows: tuple[Window, ...] = ()
        """The site's maintenance windows, as they were declared last."""
        self._windows_on_disk: tuple[Window, ...] | None = None
        self.renew(assignment)

    def renew(self, assignment: Assignment) -> None:
        """Take the site's maintenance windows anew; nothing else of a journal can change."""
        declared = assignment.policy.site_maintenance_windows
        self.windows = tuple(window_of(one) for one in declared)
        self._journal.declare_windows(self.windows)

    def failed(self, cause: Cause, *, connecting: bool = False) -> None:
        """Note that the camera does not stream. `connecting`: a connect failed."""
        self._journal.failed(self._wall_us(), cause, connecting=connecting)

    def follow(self, sinks: SinkSet) -> None:
        """Read the delivery logs of these sinks, and note those that could not be made."""
        now_us = self._wall_us()
        made = {_fact(sink): sink for sink in sinks.sinks if isinstance(sink, TrackedSink)}
        for fact in self._journal.facts:
            sink = made.get(fact)
            if sink is not None:
                self._journal.follow(fact, sink.delivery_log, now_us)
            self._journal.lacks(fact, None if sink is not None else _missing(fact, sinks.errors))

    def look(self, sinks: SinkSet) -> None:
        """Note whether the picture can be used now."""
        picture = sinks.picture
        healthy = False if picture.failure is not None else True if picture.working else None
        self._journal.picture(self._wall_us(), healthy)

    @property
    def settled_us(self) -> int:
        """No later line has an entry that ends before this moment; 0 until the lines have what the
        last worker left open."""
        if not self._begun:
            return 0
        with self._lock:
            waiting = [ended_us(entry) for entry in self._waiting]
        return min([self._journal.settled_us, *waiting])

    def step(self) -> None:
        """Queue the entries that are final now."""
        self._wait(self._journal.step(self._wall_us()))

    @property
    def has_waiting(self) -> bool:
        """Whether final entries or declared windows are not on the disk yet."""
        return bool(self._waiting) or self.windows != self._windows_on_disk

    def now(self) -> list[Entry]:
        """The entries that are not on the disk: final ones, and those whose end may change."""
        with self._lock:
            waiting = list(self._waiting)
        return waiting + list(self._final if self.closing else self._journal.peek(self._wall_us()))

    def checkpoint(self) -> Checkpoint:
        """The checkpoint for the next worker, in case this one dies."""
        now_us = self._wall_us()
        return Checkpoint(
            tuple(self._journal.peek(now_us)), Cause.SYSTEM, tuple(self._journal.ends(now_us))
        )

    def recover(self, facts: Iterable[Fact], began_us: int, stretches: Stretches) -> None:
        """Close what the last worker left open, now or with the first write that succeeds; until
        then its checkpoint is not replaced. Runs on the writer's thread."""
        self._recovery = partial(
            what_was_left_open, self.store, tuple(facts), began_us, stretches, self.windows
        )
        self.write(None)

    def write(self, checkpoint: Checkpoint | None) -> None:
        """Write the waiting entries, then the checkpoint; with None only one that was recovered.
        Runs on the writer's thread."""
        before = self.store.lost_bytes
        try:
            checkpoint = self._recover() or checkpoint
            with self._lock:
                entries = list(self._waiting)
            self.store.append(*entries)
            self._write_windows()
            if checkpoint is not None:
                self.store.keep(checkpoint)
        except OSError as error:
            self._failed(error)
            return
        finally:
            # Old lines are removed before one is written, so they are gone even after an error.
            self._counters.lost_bytes += self.store.lost_bytes - before
        self._failing = False
        written = {id(entry) for entry in entries}
        with self._lock:
            self._waiting = deque(one for one in self._waiting if id(one) not in written)
        self._counters.lines += len(entries)

    def _write_windows(self) -> None:
        """Write the windows where they have changed. Raises OSError."""
        windows = self.windows
        if windows != self._windows_on_disk:
            self.store.declare_windows(windows)
            self._windows_on_disk = windows

    def _recover(self) -> Checkpoint | None:
        """Recover where that was not possible before; None where it was. Raises OSError."""
        if self._recovery is None:
            return None
        entries, checkpoint = self._recovery()
        self._recovery = None
        self._wait(entries)
        self._begun = True
        return checkpoint

    def end(self, then: Cause, at_us: int) -> None:
        """Write the last checkpoint, with the cause of the gap that follows. It comes before the
        lines of `finish`, which take long where many cameras end at once.

        `at_us`: when the camera was stopped. The writer's thread may run this much later, when the
        next journal of the camera has begun."""
        self._final = tuple(self._journal.peek(at_us, lag_us=0))
        self._ends = tuple(self._journal.ends(at_us, lag_us=0))
        try:
            self._recover()
            with self._lock:
                entries = (*self._waiting, *self._final)
            self.store.keep(Checkpoint(entries, then, self._ends))
        except OSError as error:
            self._failed(error)

    def finish(self, then: Cause) -> None:
        """Write the last entries to the disk."""
        self._wait(self._final)
        last, self._final = self._final, ()
        self.write(Checkpoint(last, then, self._ends, told=True))

    def _wait(self, entries: Iterable[Entry]) -> None:
        with self._lock:
            self._waiting.extend(entries)
            while len(self._waiting) > _WAITING_ENTRIES:
                self._waiting.popleft()
                self._counters.dropped_lines += 1

    def _failed(self, error: OSError) -> None:
        self._counters.write_failures += 1
        if not self._failing:
            self._failing = True
            log.warning(
                "journal not written, kept in memory",
                extra={"camera": self.camera, "cause": error.strerror or type(error).__name__},
            )


class Journals:
    """The journals of all cameras that run here, or ran here until a while ago."""

    def __init__(
        self,
        namespace: str,
        places: JournalPlaces,
        submit: Callable[[Callable[[], None]], None],
        stretches: Stretches,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`submit` runs a job on the volume's writer thread, after those before it."""
        self.counters = JournalCounters()
        self._namespace = namespace
        self._places = places
        self._submit = submit
        self._stretches = stretches
        self._wall = wall
        self._monotonic = monotonic
        self._running: deque[KeptJournal] = deque()
        self._bounding = False
        self._closed: deque[KeptJournal] = deque(maxlen=256)

    def open(self, assignment: Assignment, arrivals: DeliveryLog) -> KeptJournal:
        """Begin the journal of a camera where the last worker stopped."""
        began_us = self._wall_us()
        store = self._store(assignment)
        facts = _facts(assignment)
        journal = CameraJournal(began_us, arrivals, facts)
        kept = KeptJournal(assignment, journal, store, self._wall_us, self.counters)
        self._run(lambda: kept.recover((ARRIVING, *facts), began_us, self._stretches))
        self._running.append(kept)
        # This journal also returns the lines of a former one in this folder.
        for former in [one for one in self._closed if one.store.camera == store.camera]:
            self._closed.remove(former)
        if not assignment.policy.recording.enabled and not self._bounding:
            self._bounding = True
            self._run(self._bound_memory)
        return kept

    async def run(self) -> None:
        """Step and write journals until cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            self.step()

    def step(self) -> None:
        """Step the journals that are due; called twice a second, it spreads them over time."""
        now = self._monotonic()
        for _ in range(len(self._running) // 8 + 1 if self._running else 0):
            kept = self._running[0]
            if now < kept.step_at:
                return
            self._running.rotate(-1)
            kept.step_at = now + STEP_S
            try:
                self._step(kept, now)
            except Exception:
                # A bug of ours costs this journal, and no stream.
                self.counters.bugs += 1
                log.exception("bug in a journal: it ends", extra={"camera": kept.camera})
                self._running.remove(kept)

    def close(self, journals: Iterable[object], then: Cause = Cause.PLANNED) -> None:
        """End journals that `open` returned: their cameras were stopped on purpose. Jobs that were
        submitted to the volume before are done first."""
        leaving = {id(journal) for journal in journals}
        ending = [kept for kept in self._running if id(kept) in leaving]
        at_us = self._wall_us()
        for kept in ending:
            self._running.remove(kept)
            kept.closing = True  # from here on only the writer's thread reads its delivery logs
            self._closed.append(kept)
            self._run(partial(kept.end, then, at_us))
        for kept in ending:
            self._run(partial(kept.finish, then))

    @property
    def kept(self) -> list[KeptJournal]:
        """All journals, for a collector."""
        return [*self._running, *self._closed]

    def _step(self, kept: KeptJournal, now: float) -> None:
        kept.step()
        if not kept.writing and (kept.has_waiting or now >= kept.checkpoint_at):
            kept.checkpoint_at = now + CHECKPOINT_S
            self._write(kept)

    def _bound_memory(self) -> None:
        """Runs on the writer's thread."""
        self._bounding = False
        in_use = {kept.store.camera for kept in tuple(self._running)}
        try:
            given_up = give_up_oldest(self._places.memory, ALL_IN_MEMORY_BYTES, in_use)
        except OSError as error:
            log.warning("old journals stay", extra={"cause": error.strerror or str(error)})
        else:
            self.counters.lost_bytes += given_up

    def _write(self, kept: KeptJournal) -> None:
        checkpoint = kept.checkpoint()
        kept.writing = True

        def write() -> None:
            try:
                kept.write(checkpoint)
            finally:
                kept.writing = False

        self._run(write)

    def _run(self, job: Callable[[], None]) -> None:
        """Run a job on the writer's thread, which a bug of ours must not end."""

        def guarded() -> None:
            try:
                job()
            except Exception:
                self.counters.bugs += 1
                log.exception("bug in a journal")

        self._submit(guarded)

    def _store(self, assignment: Assignment) -> JournalStore:
        camera = assignment.camera
        prefix = camera_prefix(self._namespace, camera.name, camera.uid)
        if assignment.policy.recording.enabled:
            return JournalStore(self._places.recordings / prefix)
        return JournalStore(self._places.memory / prefix, IN_MEMORY_BYTES)

    def _wall_us(self) -> int:
        return microseconds(self._wall())


def _facts(assignment: Assignment) -> list[Fact]:
    policy = assignment.policy
    relayed = [Fact(Stage.RELAYED, relay.name) for relay in policy.relays]
    return [*relayed, *([ON_DISK] if policy.recording.enabled else [])]


def _fact(sink: Sink) -> Fact:
    if sink.condition is ConditionType.RELAYING:
        return Fact(Stage.RELAYED, sink.name)
    return ON_DISK


def _missing(fact: Fact, errors: Iterable[IngestError]) -> Cause | None:
    """The cause for which a fact has no sink."""
    condition = ConditionType.RELAYING if fact.stage is Stage.RELAYED else ConditionType.RECORDING
    of_it = (error for error in errors if error.condition is condition)
    return next((cause_of(error.reason) for error in of_it), None)
