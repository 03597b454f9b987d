# SPDX-License-Identifier: Apache-2.0
"""One segment on its way to the disk. Called on the thread of the volume's writer alone.

It appends whole fragments or nothing of them, and reports the result of each to a WriteObserver. It
neither decides when a segment ends nor deletes anything: a callback makes room.
"""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from camfleet_worker.base.errors import IngestError
from camfleet_worker.base.files import sync_folder
from camfleet_worker.containers.fragment import Octets
from camfleet_worker.media_types.sink_state import Units
from camfleet_worker.record.layout import ObjectKey
from camfleet_worker.record.storage_error import is_full, storage_error

log = logging.getLogger(__name__)

_MOST_PARTS = os.sysconf("SC_IOV_MAX")


@dataclass(frozen=True, slots=True)
class Content:
    """The content of a fragment: how many units, and when its access units arrived, in microseconds
    since the epoch. `begins`: no access unit of its span was submitted before."""

    units: Units
    first_us: int = 0
    last_us: int = 0
    key_frames_us: tuple[int, ...] = ()
    begins: bool = False


class WriteObserver(Protocol):
    """Gets the results of writes to a file. Called on the writer's thread."""

    def wrote(self, size: int, content: Content) -> None:
        """These bytes are in the file."""

    def lost(self, size: int, units: Units, error: IngestError | None) -> None:
        """These bytes are not; `error` where this write failed, None where an earlier one did."""


class SegmentFile:
    """A segment: `failed` may be read by any thread, the methods run on the writer's."""

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
                sync_folder(path.parent)
            sync_folder(self._path.parent)
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
                if is_full(error) and make_room():
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
        # The lock shows retention and repair that the file is being written; it ends with us.
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


def _write_all(file: BinaryIO, data: Octets) -> None:
    """All parts, by as few system calls as can be; a part that went half goes on from there."""
    rest: list[bytes | memoryview] = [*data.parts]
    while rest:
        written = os.writev(file.fileno(), rest[:_MOST_PARTS])
        while rest and written >= len(rest[0]):
            written -= len(rest.pop(0))
        if written:
            rest[0] = memoryview(rest[0])[written:]
