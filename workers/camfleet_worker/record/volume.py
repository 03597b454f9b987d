# SPDX-License-Identifier: Apache-2.0
"""A recording volume: the one thread that writes to it.

Made once per volume of a worker and shared by the recording sinks of its cameras. The media loop
hands over whole fragments and never waits: a disk that stalls stops this thread and nothing else.
What a job does on the thread is segment_file.py's and repair.py's, what is deleted is
housekeeping.py's.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable

from camfleet_worker.base.errors import IngestError
from camfleet_worker.containers.fragment import Octets
from camfleet_worker.record import declarations
from camfleet_worker.record.housekeeping import Housekeeper, VolumeSettings
from camfleet_worker.record.layout import ObjectKey
from camfleet_worker.record.repair import repair
from camfleet_worker.record.segment_file import Content, SegmentFile, WriteObserver
from camfleet_worker.record.storage_error import storage_error

log = logging.getLogger(__name__)


class VolumeWriter:
    """The writer's thread and its jobs. Public methods may be called by any thread; none waits for
    the disk but `close`."""

    def __init__(
        self,
        settings: VolumeSettings,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settings = settings
        self.housekeeper = Housekeeper(settings, wall, monotonic)
        self._monotonic = monotonic
        self._handed_over = 0
        self._done = 0
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._busy_since: float | None = None
        self._thread = threading.Thread(target=self._write, name="volume-writer", daemon=True)

    def start(self, *, housekeeping: bool = True) -> None:
        """Begin to write; jobs handed over earlier wait. Without `housekeeping` nothing is deleted
        but what a full disk asks for."""
        self._thread.start()
        if housekeeping:
            self.housekeeper.start()

    def close(self, within_s: float) -> bool:
        """Write what was handed over, then stop; False where the disk did not let us in time."""
        self.housekeeper.stop()
        self._jobs.put(None)
        self._thread.join(within_s)
        return not self._thread.is_alive()

    def busy_s(self, now: float) -> float:
        """For how long the present write has been under way."""
        since = self._busy_since
        return 0.0 if since is None else max(0.0, now - since)

    @property
    def idle(self) -> bool:
        """Whether everything handed over so far is done."""
        return self._done == self._handed_over

    def submit(self, job: Callable[[], None]) -> None:
        """Run a job on the writer's thread, after those before it. Called by any thread."""
        self._handed_over += 1
        self._jobs.put(job)

    def segment(self, key: ObjectKey, observer: WriteObserver) -> SegmentFile:
        """A new segment; nothing is on disk before its first write."""
        return SegmentFile(self.settings.root, key, observer)

    def write(self, file: SegmentFile, data: Octets, content: Content) -> None:
        """Append a fragment, later, on the writer's thread."""
        self.submit(lambda: file.write(data, content, self.housekeeper.make_room))
        self.housekeeper.used.add(self.settings.root / file.key.prefix, len(data))

    def finish(self, file: SegmentFile, end: ObjectKey | None) -> None:
        """Close a segment, later, on the writer's thread."""
        self.submit(lambda: file.finish(end))

    def prepare(
        self, prefix: str, retention_days: int, site: str, failed: Callable[[IngestError], None]
    ) -> None:
        """Repair what a dead writer left behind and note how long recordings are kept, and of
        which site they are."""

        def prepare() -> None:
            folder = self.settings.root / prefix
            try:
                repair(self.settings.root, prefix)
                declarations.declare_retention(folder, retention_days)
                declarations.declare_site(folder, site)
            except OSError as error:
                failed(storage_error(error))

        self.submit(prepare)

    def bound_site(self, namespace: str, site: str, max_bytes: int | None) -> None:
        """Note beside the recordings what those of a site may take of this volume."""

        def bound() -> None:
            try:
                declarations.declare_site_bound(self.settings.root / namespace, site, max_bytes)
            except OSError as error:
                # Recordings go on, and say so themselves when they cannot.
                log.warning(
                    "the bound of a site could not be noted: %s",
                    error.strerror,
                    extra={"site": site},
                )

        self.submit(bound)

    def _write(self) -> None:
        while (job := self._jobs.get()) is not None:
            self._busy_since = self._monotonic()
            job()
            self._busy_since = None
            self._done += 1
