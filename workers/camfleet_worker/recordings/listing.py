# SPDX-License-Identifier: Apache-2.0
"""Finds the recordings of one camera on a volume by listing names (layout.py). It never writes.

Called by the export and by the command line. It is safe beside workers that write and retention
that deletes: a file that is gone when it is reached counts as not recorded.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from camfleet_worker.base.moments import SECOND_US, day_of, utc
from camfleet_worker.containers.codec_template import CLOCK_RATE
from camfleet_worker.containers.mp4 import played_90k
from camfleet_worker.record.layout import ObjectKey, Span, is_day, spans
from camfleet_worker.record.retention import camera_folders, objects_of_day


@dataclass(frozen=True, slots=True)
class RecordedSegment:
    """One file and the time that it covers, in microseconds since the epoch."""

    path: Path
    start_us: int
    end_us: int


@dataclass(frozen=True, slots=True)
class Interval:
    """An interval from `start_us` to before `end_us`, in microseconds since the epoch."""

    start_us: int
    end_us: int


def folders_of(root: Path, camera: str) -> list[Path]:
    """The folders of `namespace/name`: one for each device that was declared under this name.

    The name of a folder itself names one of them.
    """
    namespace, _, name = camera.partition("/")
    return sorted(
        folder
        for folder in camera_folders(root)
        if folder.parent == root / namespace
        and name in (folder.name, folder.name.partition(".")[0])
    )


def cameras_on(root: Path) -> list[str]:
    """Every camera with a folder on the volume, as `namespace/name`."""
    found = {f"{f.parent.name}/{f.name.partition('.')[0]}" for f in camera_folders(root)}
    return sorted(found)


def recorded_segments(folder: Path, wanted: Interval) -> list[RecordedSegment]:
    """The segments that have a part of an interval, ordered by time."""
    found = [
        segment
        for span in spans(_keys(folder, wanted))
        for segment in _segments(folder, span)
        if segment.start_us < wanted.end_us and segment.end_us > wanted.start_us
    ]
    return sorted(found, key=lambda segment: segment.start_us)


def recorded_between(folder: Path, start_us: int, end_us: int) -> list[tuple[int, int]]:
    """The recorded spans of an interval, for the journal after a restart. Raises OSError."""
    found = stretches(recorded_segments(folder, Interval(start_us, end_us)))
    return [(one.start_us, one.end_us) for one in found]


def stretches(segments: Iterable[RecordedSegment]) -> list[Interval]:
    """Time that is recorded without a break."""
    found: list[Interval] = []
    for segment in segments:
        if found and segment.start_us <= found[-1].end_us:
            last = found.pop()
            found.append(Interval(last.start_us, max(last.end_us, segment.end_us)))
        else:
            found.append(Interval(segment.start_us, segment.end_us))
    return found


def gaps(recorded: list[Interval], wanted: Interval) -> list[Interval]:
    """What of an interval is not recorded."""
    edges = [
        Interval(wanted.start_us, wanted.start_us),
        *recorded,
        Interval(wanted.end_us, wanted.end_us),
    ]
    return [
        Interval(before.end_us, after.start_us)
        for before, after in pairwise(edges)
        if after.start_us > before.end_us
    ]


def time_text(at_us: int) -> str:
    """UTC to the millisecond, as RFC 3339 writes it."""
    at = utc(at_us)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z"


def _keys(folder: Path, wanted: Interval) -> Iterator[ObjectKey]:
    # A segment lies in the hour in which it began, at most an hour and a GOP before its end.
    first = day_of(wanted.start_us - 2 * 3600 * SECOND_US)
    last = day_of(wanted.end_us)
    for entry in sorted(path.name for path in folder.iterdir()):
        if is_day(entry) and first <= entry <= last:
            yield from (key for _, key in objects_of_day(folder, entry))


def _segments(folder: Path, span: Span) -> Iterator[RecordedSegment]:
    """A segment ends where the next of its span begins; the last one where the span ends."""
    for key, after in pairwise(span.segments):
        yield RecordedSegment(folder / str(key), key.at_us, after.at_us)
    last = span.segments[-1]
    path = folder / str(last)
    end_us = span.end_us
    if end_us is None:  # it is being written, or its writer died
        end_us = last.at_us + _played_us(path)
    yield RecordedSegment(path, last.at_us, end_us)


def _played_us(path: Path) -> int:
    try:
        return played_90k(path) * SECOND_US // CLOCK_RATE
    except FileNotFoundError:
        return 0
