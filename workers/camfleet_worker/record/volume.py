# SPDX-License-Identifier: Apache-2.0
"""A recording volume: the one thread that writes to it, and the one that keeps it from filling.

Made once per volume of a worker and shared by the recording sinks of its cameras. The media loop
hands over whole fragments and never waits: a disk that stalls stops this thread and nothing else.
Errors of the operating system become errors of ours here and nowhere else.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from camfleet_api.conditions import ConditionType, Reason
from camfleet_worker.base.errors import IngestError
from camfleet_worker.containers.codec_template import CLOCK_RATE
from camfleet_worker.containers.fragment import Octets
from camfleet_worker.containers.mp4 import played_90k, whole_boxes_bytes
from camfleet_worker.media_types.sink_state import Units
from camfleet_worker.record import retention
from camfleet_worker.record.layout import ObjectKey, spans
from camfleet_worker.record.used_bytes import UsedBytes

log = logging.getLogger(__name__)

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_ROOM_BYTES = 64 << 20
"""What a full disk is relieved of at once: some minutes of one camera."""
_MOST_PARTS = os.sysconf("SC_IOV_MAX")
_HOUSEKEEPING_S = 60.0
_MEASURE_S = 3600.0
"""Others may write to the volume too: what it holds is measured again this often."""


@dataclass(frozen=True, slots=True)
class VolumeSettings:
    """One recording volume of a placement. `max_bytes` bounds what recordings take of it."""

    root: Path
    max_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Content:
    """What a fragment holds: how many units, and when its pictures had arrived, in microseconds
    since the epoch. `begins`: no picture of its span was handed over before."""

    units: Units
    first_us: int = 0
    last_us: int = 0
    key_frames_us: tuple[int, ...] = ()
    begins: bool = False


class WriteObserver(Protocol):
    """Whom the writer tells what became of a file's bytes. Called on the writer's thread."""

    def wrote(self, size: int, content: Content) -> None:
        """These bytes are in the file."""

    def lost(self, size: int, units: Units, error: IngestError | None) -> None:
        """They are not; `error` where this write failed, None where an earlier one had."""


class SegmentFile:
    """One segment on its way to the disk. Its methods run on the writer's thread."""

    def __init__(self, root: Path, key: ObjectKey, observer: WriteObserver) -> None:
        self.key = key
        self.failed = False
        self._root = root
        self._path = root / str(key)
        self._observer = observer
        self._file: BinaryIO | None = None
        self._good_bytes = 0

    def write(self, data: Octets, content: Content, make_room: Callable[[], bool]) -> None:
        """Append one fragment, whole or not at all."""
        if self.failed:
            self._observer.lost(len(data), content.units, None)
            return
        try:
            self._append(data, make_room)
        except OSError as error:
            self._give_up()
            self._observer.lost(len(data), content.units, storage_error(error))
        else:
            self._observer.wrote(len(data), content)

    def finish(self, end: ObjectKey | None) -> None:
        """Bring the file to the disk for good; `end` names the end of its span."""
        if self.failed or self._file is None:
            return
        try:
            os.fsync(self._file.fileno())
            self._file.close()
            if end is not None:
                path = self._root / str(end)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
                _sync_folder(path.parent)
            _sync_folder(self._path.parent)
        except OSError as error:
            self._give_up()
            self._observer.lost(0, Units(), storage_error(error))

    def _append(self, data: Octets, make_room: Callable[[], bool]) -> None:
        while True:
            try:
                if self._file is None:
                    self._file = self._open()
                _write_all(self._file, data)
            except OSError as error:
                if self._file is not None:
                    os.ftruncate(self._file.fileno(), self._good_bytes)
                    self._file.seek(self._good_bytes)
                if error.errno in _FULL and make_room():
                    continue
                raise
            self._good_bytes += len(data)
            return

    def _open(self) -> BinaryIO:
        # Exclusive: a recording is never overwritten. Unbuffered: what was handed to the kernel
        # survives kill -9.
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            file = open(self._path, "xb", buffering=0)  # noqa: SIM115 - closed by finish
        except FileNotFoundError:
            # Retention removed the folder, still empty, between these two lines.
            self._path.parent.mkdir(parents=True, exist_ok=True)
            file = open(self._path, "xb", buffering=0)  # noqa: SIM115
        # The lock says "being written" to retention and to repair, and dies with the process.
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        return file

    def _give_up(self) -> None:
        self.failed = True
        if self._file is not None:
            try:
                self._file.close()
            except OSError as error:
                log.warning("closing a failed segment failed too: %s", error.strerror)
            if self._good_bytes == 0:
                self._path.unlink(missing_ok=True)


class VolumeWriter:
    """The threads of one volume."""

    def __init__(
        self,
        settings: VolumeSettings,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settings = settings
        self.deleted_for_space_bytes = 0
        self.room_bytes = _ROOM_BYTES
        self._wall = wall
        self._monotonic = monotonic
        self._handed_over = 0
        self._done = 0
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._busy_since: float | None = None
        self._used = UsedBytes()
        self._measured_at = float("-inf")
        self._stop = threading.Event()
        self._writer = threading.Thread(target=self._write, name="volume-writer", daemon=True)
        self._keeper = threading.Thread(target=self._keep, name="volume-keeper", daemon=True)

    def start(self) -> None:
        """Begin to write; jobs handed over earlier wait."""
        self._writer.start()
        self._keeper.start()

    def close(self, within_s: float) -> bool:
        """Write what was handed over, then stop; False where the disk did not let us in time."""
        self._stop.set()
        self._jobs.put(None)
        self._writer.join(within_s)
        return not self._writer.is_alive()

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
        self.submit(lambda: file.write(data, content, self._make_room))
        self._used.add(self.settings.root / file.key.prefix, len(data))

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
                retention.declare_retention(folder, retention_days)
                retention.declare_site(folder, site)
            except OSError as error:
                failed(storage_error(error))

        self.submit(prepare)

    def bound_site(self, namespace: str, site: str, max_bytes: int | None) -> None:
        """Note beside the recordings what those of a site may take of this volume."""

        def bound() -> None:
            try:
                retention.declare_site_bound(self.settings.root / namespace, site, max_bytes)
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

    def _make_room(self) -> bool:
        """The disk is full: delete the oldest recordings, of whichever camera."""
        root = self.settings.root
        freed = retention.delete_oldest(root, self.room_bytes, self._used.subtract)
        self._note_deleted(freed, "the disk is full")
        return freed > 0

    def _keep(self) -> None:
        while True:
            try:
                self._delete_what_is_over()
            except OSError as error:
                # Not a recording's failure: writing goes on, and says so itself when it cannot.
                log.warning("housekeeping of the recording volume failed: %s", error.strerror)
            if self._stop.wait(_HOUSEKEEPING_S):
                return

    def _delete_what_is_over(self) -> None:
        """First what is too old, then what is too much for its site, then for the volume."""
        root, most = self.settings.root, self.settings.max_bytes
        retention.delete_expired(root, int(self._wall() * 1_000_000), self._used.subtract)
        sites = retention.bounded_sites(root)
        if most is None and not sites:
            return
        if not self._used.known or self._monotonic() - self._measured_at > _MEASURE_S:
            self._used.measured(retention.used_by_camera(root))
            self._measured_at = self._monotonic()
        for site in sites:
            why = "those of the site take more than allowed"
            self._keep_below(site.max_bytes, site.folders, why, site.name)
        if most is not None:
            folders = tuple(retention.camera_folders(root))
            self._keep_below(most, folders, "recordings take more than allowed")

    def _keep_below(
        self, max_bytes: int, folders: tuple[Path, ...], why: str, site: str = ""
    ) -> None:
        over = self._used.of(folders) - max_bytes
        if over > 0:
            root = self.settings.root
            freed = retention.delete_oldest(root, over, self._used.subtract, folders)
            self._note_deleted(freed, why, site)

    def _note_deleted(self, freed: int, why: str, site: str = "") -> None:
        if freed:
            self.deleted_for_space_bytes += freed
            about = {"freed_bytes": freed} | ({"site": site} if site else {})
            log.warning("oldest recordings deleted, because %s", why, extra=about)


def repair(root: Path, prefix: str) -> None:
    """Close the last span of a camera where its writer died without doing so.

    A torn fragment at the end is cut off; what lies before it was whole already. A segment that
    holds no whole fragment is removed. A segment that someone still writes is left alone.
    """
    last = retention.newest_hour(root / prefix)
    found = spans(key for _, key in last)
    if not found or found[-1].end_us is not None:
        return
    key = found[-1].segments[-1]
    path = root / prefix / str(key)
    with retention.locked(path) as descriptor:
        if descriptor is None:
            return
        with open(descriptor, "r+b", closefd=False) as file:
            size = os.fstat(descriptor).st_size
            good = whole_boxes_bytes(file, size)
        if good == 0:
            path.unlink()
        elif good < size:
            os.ftruncate(descriptor, good)
        os.fsync(descriptor)
    played = played_90k(path) if good else 0
    counter = key.counter + 1 if good else key.counter
    if counter > 0:
        end = ObjectKey(prefix, key.at_us + played * 1_000_000 // CLOCK_RATE, counter, end=True)
        (root / str(end)).parent.mkdir(parents=True, exist_ok=True)
        (root / str(end)).touch()


def storage_error(error: OSError) -> IngestError:
    """An error of the operating system, as ours."""
    if error.errno in _FULL:
        return IngestError(
            ConditionType.RECORDING,
            Reason.DISK_FULL,
            "The recording volume is full and holds no older recording to delete",
        )
    name = errno.errorcode.get(error.errno or 0, "an unknown error")
    return IngestError(
        ConditionType.RECORDING,
        Reason.STORAGE_FAILED,
        f"Writing to the recording volume failed with {name}",
    )


def _write_all(file: BinaryIO, data: Octets) -> None:
    """All parts, by as few system calls as can be; a part that went half goes on from there."""
    rest: list[bytes | memoryview] = [*data.parts]
    while rest:
        written = os.writev(file.fileno(), rest[:_MOST_PARTS])
        while rest and written >= len(rest[0]):
            written -= len(rest.pop(0))
        if written:
            rest[0] = memoryview(rest[0])[written:]


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
