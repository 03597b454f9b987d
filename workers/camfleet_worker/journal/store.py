# SPDX-License-Identifier: Apache-2.0
"""The journal of one camera on a disk: a file for each UTC day in which entries ended, a checkpoint
of those that go on, which is replaced as a whole, and the maintenance windows of the site.

Its calls block: make them on the volume's writer thread, never on the media loop. One process
writes a folder. A journal has a folder of its own beside the days of the recordings, which
retention does not touch, and stays until it is acknowledged or exceeds its limit.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Collection
from pathlib import Path

from camfleet_worker.base.files import replace_file, sync_folder
from camfleet_worker.base.moments import day_of
from camfleet_worker.journal.lines import (
    Checkpoint,
    Entry,
    checkpoint_of,
    checkpoint_text,
    entry_of,
    line_of,
    windows_of,
    windows_text,
)
from camfleet_worker.journal.period import Period
from camfleet_worker.journal.tally import HOUR_US, Tally
from camfleet_worker.journal.windows import Window

FOLDER = "journal"
CHECKPOINT = "open.json"
WINDOWS = "windows.json"
_SUFFIX = ".jsonl"
_MAX_BYTES = 4 << 20
"""The limit of one camera's lines: some 30,000 periods."""


class JournalStore:
    """Reads and writes the journal beside one camera's recordings. Its methods raise OSError."""

    def __init__(self, camera_folder: Path, max_bytes: int = _MAX_BYTES) -> None:
        self.lost_bytes = 0
        """How many unacknowledged bytes were removed to stay within the limit."""
        self.camera = camera_folder
        self._folder = camera_folder / FOLDER
        self._max_bytes = max_bytes

    def append(self, *entries: Entry) -> None:
        """Add final entries. They survive a loss of power when this returns."""
        of_days: dict[str, bytes] = {}
        for entry in entries:
            day = day_of(ended_us(entry))
            of_days[day] = of_days.get(day, b"") + line_of(entry)
        for day, lines in of_days.items():
            self._append(day, lines)

    def keep(self, checkpoint: Checkpoint) -> None:
        """Replace the checkpoint: it survives the process, not the loss of power."""
        self._replace(CHECKPOINT, checkpoint_text(checkpoint))

    def checkpoint(self) -> Checkpoint | None:
        """The last writer's checkpoint; None where there is none, or it cannot be read."""
        try:
            return checkpoint_of((self._folder / CHECKPOINT).read_bytes())
        except FileNotFoundError:
            return None

    def declare_windows(self, windows: Collection[Window]) -> None:
        """Replace the site's maintenance windows, for later judgements of the journal."""
        if windows or (self._folder / WINDOWS).exists():
            self._replace(WINDOWS, windows_text(windows))

    def windows(self) -> tuple[Window, ...]:
        """The maintenance windows that were declared last."""
        try:
            return windows_of((self._folder / WINDOWS).read_bytes())
        except FileNotFoundError:
            return ()

    def entries(self, since_us: int = 0) -> list[Entry]:
        """All entries from the day of a moment on, each once, ordered by their end."""
        first = day_of(since_us)
        found = {
            entry
            for path in self._days()
            if path.stem >= first
            for line in _lines(path)
            if (entry := entry_of(line)) is not None
        }
        return sorted(found, key=ended_us)

    def known(self) -> list[Entry]:
        """All entries, with those of the checkpoint, which were going on."""
        left = self.checkpoint()
        return list(dict.fromkeys([*self.entries(), *(left.entries if left else ())]))

    def read(self) -> list[Period]:
        """All periods, each once, ordered by their start."""
        found = (entry for entry in self.entries() if isinstance(entry, Period))
        return sorted(found, key=lambda p: (p.start_us, p.end_us, p.fact.stage, p.fact.system))

    def acknowledge(self, until_us: int) -> None:
        """Remove the days whose entries all ended before `until_us`."""
        today = day_of(until_us)
        for path in self._days():
            if path.stem < today:
                path.unlink(missing_ok=True)

    def _replace(self, name: str, text: bytes) -> None:
        """Replace a file as a whole: readers find the former content or this one."""
        self._folder.mkdir(parents=True, exist_ok=True)
        replace_file(self._folder / name, text)

    def _append(self, day: str, lines: bytes) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._make_room(len(lines) + 1)
        path = self._folder / f"{day}{_SUFFIX}"
        new = not path.exists()
        with open(path, "ab+", buffering=0) as file:
            if _is_torn(file.fileno()):
                lines = b"\n" + lines
            if file.write(lines) != len(lines):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
            os.fsync(file.fileno())
        if new:
            sync_folder(self._folder)

    def _make_room(self, wanted: int) -> None:
        """Remove the oldest days, even unacknowledged, to stay within the limit; today last."""
        days = self._days()
        used = sum(path.stat().st_size for path in days)
        for path in days:
            if used + wanted <= self._max_bytes:
                return
            size = path.stat().st_size
            path.unlink()
            used -= size
            self.lost_bytes += size

    def _days(self) -> list[Path]:
        return sorted(self._folder.glob(f"*{_SUFFIX}"))


def cameras_with_journal(root: Path) -> list[Path]:
    """The folders below a root that have a journal, with or without recordings."""
    return sorted(folder.parent for folder in root.glob(f"*/*/{FOLDER}") if folder.is_dir())


def give_up_oldest(root: Path, max_bytes: int, in_use: Collection[Path]) -> int:
    """Remove whole journals below a root until the rest fits, the longest unchanged first; returns
    how many bytes of lines they had. Raises OSError."""
    journals = [camera / FOLDER for camera in cameras_with_journal(root)]
    taken = {folder: _allocated_bytes(folder) for folder in journals}
    used, given_up = sum(taken.values()), 0
    old = [folder for folder in journals if folder.parent not in in_use]
    for folder in sorted(old, key=lambda folder: folder.stat().st_mtime):
        if used <= max_bytes:
            break
        used -= taken[folder]
        given_up += sum(path.stat().st_size for path in folder.glob(f"*{_SUFFIX}"))
        shutil.rmtree(folder)
        folder.parent.rmdir()
    return given_up


def _allocated_bytes(folder: Path) -> int:
    """The size of a folder in whole blocks, which the limit of a volume counts."""
    found = 0
    for path in folder.iterdir():
        try:
            found += path.stat().st_blocks * 512
        except FileNotFoundError:
            continue  # it was replaced or acknowledged after it was listed
    return found


def ended_us(entry: Entry) -> int:
    """The end of an entry's time."""
    return entry.hour_us + HOUR_US if isinstance(entry, Tally) else entry.end_us


def _lines(path: Path) -> list[bytes]:
    try:
        return path.read_bytes().splitlines()
    except FileNotFoundError:
        return []  # it was acknowledged after it was listed: the reader may be another process


def _is_torn(descriptor: int) -> bool:
    """Whether the last writer died within a line."""
    size = os.fstat(descriptor).st_size
    return size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
