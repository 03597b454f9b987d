# SPDX-License-Identifier: Apache-2.0
"""Deleting old recordings of a volume: by age, by size, and when the disk is full.

Called by the volume's threads. A volume may be shared by several workers: a segment that someone
still writes holds a lock (flock) and is left alone. What is no recording is never touched. How long
a camera's recordings are kept stands in a file beside them, so that they expire also after the
camera is no longer declared or has moved to another worker.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from camfleet_worker.sinks.layout import ObjectKey, is_day, parse_key

RETENTION_FILE = "retention_days"
_DEPTH = 3
"""Folders between the root and the days: namespace, camera, and one to spare."""
_DAY_US = 86_400 * 1_000_000


def declare_retention(folder: Path, days: int) -> None:
    """Write beside a camera's recordings how long they are kept."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / RETENTION_FILE
    wanted = f"{days}\n"
    if not file.exists() or file.read_text() != wanted:
        # Replaced whole: half a number must never be read.
        temporary = folder / f".{RETENTION_FILE}.{os.getpid()}"
        temporary.write_text(wanted)
        temporary.replace(file)


def delete_expired(root: Path, now_us: int) -> int:
    """Delete what is older than the retention declared beside it; answers bytes set free."""
    freed = 0
    for folder in camera_folders(root):
        days = _declared_days(folder)
        if days is not None:
            for path, key in oldest_first(folder):
                if key.at_us >= now_us - days * _DAY_US:
                    break
                freed += _delete(path)
    return freed


def delete_oldest(root: Path, wanted_bytes: int) -> int:
    """Delete the oldest objects of all cameras until `wanted_bytes` are free; answers how many are.

    Fewer than wanted when everything that remains is being written.
    """
    freed = 0
    for path, _ in _oldest_of_all(root):
        if freed >= wanted_bytes:
            break
        freed += _delete(path)
    return freed


def used_bytes(root: Path) -> int:
    """What all recordings of the volume take, by their sizes."""
    return sum(_size(path) for folder in camera_folders(root) for path, _ in oldest_first(folder))


def camera_folders(root: Path) -> Iterator[Path]:
    """The folders that hold days."""
    yield from _camera_folders(root, _DEPTH)


def oldest_first(folder: Path) -> Iterator[tuple[Path, ObjectKey]]:
    """The objects of one camera by time, listing a day only when it is reached."""
    for day in _sorted_names(folder):
        if is_day(day):
            yield from objects_of_day(folder, day)


def objects_of_day(folder: Path, day: str) -> Iterator[tuple[Path, ObjectKey]]:
    """The objects of one camera and one UTC day by time, an hour listed when it is reached."""
    for hour in _sorted_names(folder / day):
        for name in _sorted_names(folder / day / hour):
            key = parse_key(f"{day}/{hour}/{name}")
            if key is not None:
                yield folder / day / hour / name, key


def newest_hour(folder: Path) -> list[tuple[Path, ObjectKey]]:
    """The objects of the last hour that a camera has any of."""
    for day in reversed([name for name in _sorted_names(folder) if is_day(name)]):
        for hour in reversed(_sorted_names(folder / day)):
            found = [
                (folder / day / hour / name, key)
                for name in _sorted_names(folder / day / hour)
                if (key := parse_key(f"{day}/{hour}/{name}")) is not None
            ]
            if found:
                return found
    return []


@contextmanager
def locked(path: Path) -> Iterator[int | None]:
    """An open descriptor that holds the segment's lock, or None where someone is writing it."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        yield None
        return
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
        else:
            yield descriptor
    finally:
        os.close(descriptor)


def _oldest_of_all(root: Path) -> Iterator[tuple[Path, ObjectKey]]:
    """The objects of all cameras, day by day. Within an hour camera by camera: fair enough."""
    hours = sorted(
        {
            (day, hour)
            for folder in camera_folders(root)
            for day in _sorted_names(folder)
            if is_day(day)
            for hour in _sorted_names(folder / day)
        }
    )
    for day, hour in hours:
        found = [
            (folder / day / hour / name, key)
            for folder in camera_folders(root)
            for name in _sorted_names(folder / day / hour)
            if (key := parse_key(f"{day}/{hour}/{name}")) is not None
        ]
        yield from sorted(found, key=lambda item: item[1].at_us)


def _camera_folders(folder: Path, depth: int) -> Iterator[Path]:
    names = _sorted_names(folder)
    if any(is_day(name) for name in names) or RETENTION_FILE in names:
        yield folder
    elif depth > 0:
        for name in names:
            yield from _camera_folders(folder / name, depth - 1)


def _sorted_names(folder: Path) -> list[str]:
    """Names in a folder; none where it is gone or is no folder: others delete at the same time."""
    try:
        return sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []


def _declared_days(folder: Path) -> int | None:
    try:
        text = (folder / RETENTION_FILE).read_text().strip()
    except FileNotFoundError:
        return None
    return int(text) if text.isascii() and text.isdigit() and len(text) < 6 else None


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _delete(path: Path) -> int:
    """Delete one object and the folders it leaves empty; answers the bytes set free."""
    with locked(path) as descriptor:
        if descriptor is None:
            return 0
        size = os.fstat(descriptor).st_size
        path.unlink(missing_ok=True)
    for folder in (path.parent, path.parent.parent):
        try:
            folder.rmdir()
        except OSError:
            break  # not empty: that is what stops the climb
    return size
