# SPDX-License-Identifier: Apache-2.0
"""Deletes old recordings of a volume: by age, by the limits of sites and of the volume, and when
the disk is full.

Called by the volume's threads; housekeeping.py decides when. Several workers may share a volume: a
segment that a process still writes has a lock (flock) and is left alone. Only recordings are ever
deleted. The retention of cameras and the limits of sites are in declarations.py's files.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from camfleet_worker.base.moments import DAY_US
from camfleet_worker.record import declarations
from camfleet_worker.record.layout import ObjectKey, is_day, parse_key

_DEPTH = 3
"""The most folders between the root and the days: namespace, camera, and one in reserve."""

Deleted = Callable[[Path, int, int], None]
"""Called for each object with the folder of its camera, its size, which is 0 where nothing was
deleted, and when it begins, in microseconds."""


def _unnoticed(folder: Path, size: int, at_us: int) -> None:
    """Do not count what is deleted."""


@dataclass(frozen=True, slots=True)
class BoundedSite:
    """A site whose recordings have a limit, and the folders of its cameras."""

    name: str
    max_bytes: int
    folders: tuple[Path, ...]


def bounded_sites(root: Path) -> list[BoundedSite]:
    """The sites with a limit, each with all cameras whose recordings belong to it."""
    folders: dict[tuple[Path, str], list[Path]] = {}
    for folder in camera_folders(root):
        site = declarations.site_of(folder)
        if site:
            folders.setdefault((folder.parent, site), []).append(folder)
    found = []
    for (namespace, site), of_site in folders.items():
        bound = declarations.site_bound(namespace, site)
        if bound is not None:
            found.append(BoundedSite(site, bound, tuple(of_site)))
    return found


def delete_expired(root: Path, now_us: int, deleted: Deleted = _unnoticed) -> int:
    """Delete recordings older than the retention declared beside them; returns the freed bytes."""
    freed = 0
    for folder in camera_folders(root):
        days = declarations.retention_days(folder)
        if days is not None:
            for path, key in oldest_first(folder):
                if key.at_us >= now_us - days * DAY_US:
                    break
                size = _delete(path)
                deleted(folder, size, key.at_us)
                freed += size
    return freed


def delete_oldest(
    root: Path,
    wanted_bytes: int,
    deleted: Deleted = _unnoticed,
    folders: Iterable[Path] | None = None,
) -> int:
    """Delete the oldest objects of all cameras, or of those in `folders`, until `wanted_bytes` are
    freed; returns how many are.

    These are fewer than wanted where all remaining files are being written.
    """
    freed = 0
    among = camera_folders(root) if folders is None else folders
    for at_us, folder, path in _oldest_of_all(tuple(among)):
        if freed >= wanted_bytes:
            break
        size = _delete(path)
        deleted(folder, size, at_us)
        freed += size
    return freed


def used_by_camera(root: Path) -> dict[Path, int]:
    """The bytes of each camera's folder: its recordings, and its journal beside the days."""
    return {
        folder: _beside_the_days_bytes(folder)
        + sum(_size(path) for path, _ in oldest_first(folder))
        for folder in camera_folders(root)
    }


def camera_folders(root: Path) -> Iterator[Path]:
    """The folders of cameras, which have a folder for each day."""
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
    """An open descriptor with the segment's lock, or None where a process is writing it."""
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


def _oldest_of_all(folders: tuple[Path, ...]) -> Iterator[tuple[int, Path, Path]]:
    """The objects of all these cameras by time, each with when it begins and its camera's folder;
    an hour is listed when it is reached."""
    hours = sorted(
        {
            (day, hour)
            for folder in folders
            for day in _sorted_names(folder)
            if is_day(day)
            for hour in _sorted_names(folder / day)
        }
    )
    for day, hour in hours:
        found = [
            (key.at_us, folder, folder / day / hour / name)
            for folder in folders
            for name in _sorted_names(folder / day / hour)
            if (key := parse_key(f"{day}/{hour}/{name}")) is not None
        ]
        yield from sorted(found)


def _camera_folders(folder: Path, depth: int) -> Iterator[Path]:
    names = _sorted_names(folder)
    if any(is_day(name) for name in names) or declarations.RETENTION_FILE in names:
        yield folder
    elif depth > 0:
        for name in names:
            yield from _camera_folders(folder / name, depth - 1)


def _sorted_names(folder: Path) -> list[str]:
    """Names in a folder; none where it is gone or no folder, because others may delete it."""
    try:
        return sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []


def _beside_the_days_bytes(folder: Path) -> int:
    """The size of folders that are no days in whole blocks, which the limit of a volume counts."""
    return sum(
        _blocks_bytes(folder / name / file)
        for name in _sorted_names(folder)
        if not is_day(name)
        for file in _sorted_names(folder / name)
    )


def _blocks_bytes(path: Path) -> int:
    try:
        return path.stat().st_blocks * 512
    except FileNotFoundError:
        return 0  # replaced or acknowledged since it was listed


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _delete(path: Path) -> int:
    """Delete one object and the folders that become empty; returns the freed bytes."""
    with locked(path) as descriptor:
        if descriptor is None:
            return 0
        size = os.fstat(descriptor).st_size
        path.unlink(missing_ok=True)
    for folder in (path.parent, path.parent.parent):
        try:
            folder.rmdir()
        except OSError:
            break  # the folder is not empty, and so are those above
    return size
