# SPDX-License-Identifier: Apache-2.0
"""The journals of all cameras of a worker: stepped, written beside the recordings, handed out.

Supervisors open one for each camera and note failures in it, the fleet closes it; `run` steps a few
at a time. Files are touched on the volume's writer thread alone, one job a camera at a time:
a disk that stalls costs memory up to a bound, and what exceeds it is counted. A camera that is not
recorded has its journal on the pod's in-memory volume, which outlives the process and not the pod.
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
"""How often it is looked for journals that are due."""
STEP_S = 5.0
CHECKPOINT_S = 30.0
"""What a worker that is killed had seen of its relays since is lost: at most this much."""
IN_MEMORY_BYTES = 24 << 10
"""Of a camera that is not recorded: some two days."""
ALL_IN_MEMORY_BYTES = 8 << 20
"""Half of what the pod's in-memory volume holds: who exceeds that is evicted. 200 cameras that run
take less, in whole pages; those that ran once give way."""
_WAITING_ENTRIES = 512
"""For a disk that does not take them: the gaps of a bad day of one camera."""


@dataclass(slots=True)
class JournalCounters:
    """Of all cameras; read by metrics. Written on the writer's thread under the journals' lock."""

    lines: int = 0
    dropped_lines: int = 0
    """Neither written nor handed out: the disk did not take them."""
    lost_bytes: int = 0
    """Written, then given up unacknowledged to stay within the bound."""
    write_failures: int = 0
    bugs: int = 0


@dataclass(frozen=True, slots=True)
class JournalPlaces:
    """Where journals lie: beside the recordings below the first, else below the second."""

    recordings: Path
    memory: Path


class KeptJournal:
    """One camera's, as its supervisor sees it. Called on the main loop; `write` and `finish` run on
    the writer's thread."""

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
        """Whether what the worker before left open is told, or waits for the disk."""
        self._recovery: Callable[[], tuple[list[Entry], Checkpoint]] | None = None
        self.windows: tuple[Window, ...] = ()
        """What is planned at the site, as it was declared last."""
        self._windows_on_disk: tuple[Window, ...] | None = None
        self.renew(assignment)

    def renew(self, assignment: Assignment) -> None:
        """The site declares its maintenance windows anew; nothing else of a journal can change."""
        declared = assignment.policy.site_maintenance_windows
        self.windows = tuple(window_of(one) for one in declared)
        self._journal.declare_windows(self.windows)

    def failed(self, cause: Cause, *, connecting: bool = False) -> None:
        """The camera does not stream. `connecting`: it was asked and this came of it."""
        self._journal.failed(self._wall_us(), cause, connecting=connecting)

    def follow(self, sinks: SinkSet) -> None:
        """These bring pictures to their ends from now on, or could not be made."""
        now_us = self._wall_us()
        made = {_fact(sink): sink for sink in sinks.sinks if isinstance(sink, TrackedSink)}
        for fact in self._journal.facts:
            sink = made.get(fact)
            if sink is not None:
                self._journal.follow(fact, sink.delivery_log, now_us)
            self._journal.lacks(fact, None if sink is not None else _missing(fact, sinks.errors))

    def look(self, sinks: SinkSet) -> None:
        """Whether the picture can be used, as it is known now."""
        picture = sinks.picture
        healthy = False if picture.failure is not None else True if picture.working else None
        self._journal.picture(self._wall_us(), healthy)

    @property
    def settled_us(self) -> int:
        """Nothing that ends before it will come to the disk any more; 0 until it is told there
        what the worker before left open."""
        if not self._begun:
            return 0
        with self._lock:
            waiting = [ended_us(entry) for entry in self._waiting]
        return min([self._journal.settled_us, *waiting])

    def step(self) -> None:
        """Tell what is known for good now."""
        self._wait(self._journal.step(self._wall_us()))

    @property
    def has_waiting(self) -> bool:
        """Whether something is finished, or declared, and not on the disk."""
        return bool(self._waiting) or self.windows != self._windows_on_disk

    def now(self) -> list[Entry]:
        """What goes on, and what is finished and not on the disk: may still change its end."""
        with self._lock:
            waiting = list(self._waiting)
        return waiting + list(self._final if self.closing else self._journal.peek(self._wall_us()))

    def checkpoint(self) -> Checkpoint:
        """For whoever comes after a worker that dies."""
        now_us = self._wall_us()
        return Checkpoint(
            tuple(self._journal.peek(now_us)), Cause.SYSTEM, tuple(self._journal.ends(now_us))
        )

    def recover(self, facts: Iterable[Fact], began_us: int, stretches: Stretches) -> None:
        """Close what the worker before left open, now or with the first write that succeeds: until
        then nothing takes the place of what it left. Runs on the writer's thread."""
        self._recovery = partial(
            what_was_left_open, self.store, tuple(facts), began_us, stretches, self.windows
        )
        self.write(None)

    def write(self, checkpoint: Checkpoint | None) -> None:
        """Bring what waits to the disk, then the checkpoint; None: what was recovered. Runs on the
        writer's thread."""
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
            # Room is made before a line is written: what was given up is gone either way.
            self._counters.lost_bytes += self.store.lost_bytes - before
        self._failing = False
        written = {id(entry) for entry in entries}
        with self._lock:
            self._waiting = deque(one for one in self._waiting if id(one) not in written)
        self._counters.lines += len(entries)

    def _write_windows(self) -> None:
        """Raises OSError."""
        windows = self.windows
        if windows != self._windows_on_disk:
            self.store.declare_windows(windows)
            self._windows_on_disk = windows

    def _recover(self) -> Checkpoint | None:
        """Where that was not possible yet. Raises OSError."""
        if self._recovery is None:
            return None
        told, checkpoint = self._recovery()
        self._recovery = None
        self._wait(told)
        self._begun = True
        return checkpoint

    def end(self, then: Cause, at_us: int) -> None:
        """The last checkpoint: whoever comes next knows whose the gap is. It comes before the lines
        of `finish`, which take long where many cameras end at once.

        `at_us`: when the camera was stopped. The disk may reach this much later, when the next
        journal of the camera has begun."""
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
        """Bring everything to the disk."""
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
    """Those of all cameras that run, and of those that ran until a while ago."""

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
        """Begin the journal of a camera, where the last worker left it."""
        began_us = self._wall_us()
        store = self._store(assignment)
        facts = _facts(assignment)
        journal = CameraJournal(began_us, arrivals, facts)
        kept = KeptJournal(assignment, journal, store, self._wall_us, self.counters)
        self._run(lambda: kept.recover((ARRIVING, *facts), began_us, self._stretches))
        self._running.append(kept)
        # The lines of a former one of this folder are handed out as this one's.
        for former in [one for one in self._closed if one.store.camera == store.camera]:
            self._closed.remove(former)
        if not assignment.policy.recording.enabled and not self._bounding:
            self._bounding = True
            self._run(self._bound_memory)
        return kept

    async def run(self) -> None:
        """Write what is due, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            self.step()

    def step(self) -> None:
        """Step those that are due; called twice a second, it spreads them over time."""
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
        """End these, which `open` gave: their cameras stopped on purpose. All that was handed to
        the volume before counts as what it became."""
        leaving = {id(journal) for journal in journals}
        ending = [kept for kept in self._running if id(kept) in leaving]
        at_us = self._wall_us()
        for kept in ending:
            self._running.remove(kept)
            kept.closing = True  # from here on its delivery logs are the writer's thread's to read
            self._closed.append(kept)
            self._run(partial(kept.end, then, at_us))
        for kept in ending:
            self._run(partial(kept.finish, then))

    @property
    def kept(self) -> list[KeptJournal]:
        """All of them, for whoever collects."""
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
        """On the writer's thread, which a bug of ours must not end."""

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
    """Why there is no sink for a fact."""
    condition = ConditionType.RELAYING if fact.stage is Stage.RELAYED else ConditionType.RECORDING
    of_it = (error for error in errors if error.condition is condition)
    return next((cause_of(error.reason) for error in of_it), None)
