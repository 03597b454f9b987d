# SPDX-License-Identifier: Apache-2.0
"""`python -m camfleet_worker.recordings`: what lies on a volume of recordings, files for people,
and how available its cameras were.

People run it in a worker's pod, or wherever a volume is mounted. It reads and never writes below
the volume. Its arguments and exit status: `arguments`.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path

from camfleet_api.cause import Cause
from camfleet_worker.journal.lines import fields_of_windows
from camfleet_worker.journal.minutes import Verdict
from camfleet_worker.journal.period import Period, Stage
from camfleet_worker.journal.store import JournalStore, cameras_with_journal
from camfleet_worker.journal.windows import Window, with_planned_gaps
from camfleet_worker.recordings.arguments import parser_for
from camfleet_worker.recordings.availability import Availability, availabilities
from camfleet_worker.recordings.export import ExportError, export
from camfleet_worker.recordings.gap_causes import gap_parts
from camfleet_worker.recordings.listing import (
    Interval,
    cameras_on,
    folders_of,
    gaps,
    recorded_segments,
    stretches,
    time_text,
)

_PROGRESS_US = 60_000_000


@dataclass(frozen=True, slots=True)
class _Row:
    """One span or gap, as it is printed."""

    kind: str
    covers: Interval
    cause: Cause | None = None

    def fields(self) -> dict[str, str]:
        covers = self.covers
        fields = {
            "kind": self.kind,
            "from": time_text(covers.start_us),
            "to": time_text(covers.end_us),
        }
        return fields | ({"cause": self.cause.value} if self.cause else {})

    def line(self) -> str:
        start, end = time_text(self.covers.start_us), time_text(self.covers.end_us)
        seconds = (self.covers.end_us - self.covers.start_us) / 1e6
        cause = f"  {self.cause.value}" if self.cause else ""
        return f"{start}  {end}  {seconds:10.1f} s  {self.kind}{cause}"


def main(arguments: list[str] | None = None) -> int:
    """Run one command; the exit status."""
    parser = parser_for(_list, _export, _availability)
    asked = parser.parse_args(arguments)
    if asked.start is not None and asked.start >= asked.end:
        parser.error(f"--from {time_text(asked.start)} is not before --to {time_text(asked.end)}")
    try:
        asked.volume.stat()  # a volume that is not there is not an empty one
        return int(asked.run(asked) or 0)
    except ExportError as error:
        print(error, file=sys.stderr)
    except OSError as error:
        print(f"{error.filename or asked.volume}: {error.strerror}", file=sys.stderr)
    return 1


def _list(asked: argparse.Namespace) -> None:
    """Spans on disk and the gaps between them. Raises ExportError."""
    if asked.camera is None:
        names = cameras_on(asked.volume)
        print(json.dumps(names, indent=2) if asked.json else "\n".join(names))
        return
    wanted = Interval(asked.start or 0, asked.end)
    folder = _folder(asked, wanted)
    recorded = stretches(recorded_segments(folder, wanted))
    store = JournalStore(folder)
    known = [one for one in store.known() if isinstance(one, Period)]
    if asked.start is None:
        wanted = Interval(_first_known_us(asked, recorded, known), asked.end)
    journal = with_planned_gaps(known, store.windows())
    missing = [part for gap in gaps(recorded, wanted) for part in gap_parts(gap, journal)]
    rows = [_Row("recorded", part) for part in recorded]
    rows += [_Row("gap", part.covers, part.cause) for part in missing]
    rows.sort(key=lambda row: row.covers.start_us)
    if asked.json:
        print(json.dumps([row.fields() for row in rows], indent=2))
        return
    for row in rows:
        print(row.line())


def _first_known_us(
    asked: argparse.Namespace, recorded: list[Interval], journal: list[Period]
) -> int:
    """The beginning of the camera's recordings and journal on the volume; before it there is no
    gap. Raises ExportError."""
    starts = [one.start_us for one in recorded]
    starts += [one.start_us for one in journal if one.fact.stage is Stage.ON_DISK]
    first_us = min(starts, default=asked.end)
    if first_us >= asked.end:
        until = time_text(asked.end)
        raise ExportError(f"Nothing of {asked.camera} lies on {asked.volume} from before {until}.")
    return first_us


def _availability(asked: argparse.Namespace) -> None:
    """Minutes good, not good, planned and unknown, of each stage of each camera."""
    wanted = Interval(asked.start, asked.end)
    found: dict[str, list[Availability]] = {}
    planned: dict[str, list[Window]] = {}
    for folder in _with_journal(asked):
        store, name = JournalStore(folder), f"{folder.parent.name}/{folder.name}"
        windows = store.windows()
        found[name] = availabilities(store.known(), wanted, windows)
        planned[name] = [one for one in windows if _overlap(one, wanted)]
    if asked.json:
        counted = [
            _counted(name, one) | {"windows": fields_of_windows(planned[name])}
            for name, stages in found.items()
            for one in stages
        ]
        print(json.dumps(counted, indent=2))
        return
    rows = [_availability_row(name, one) for name, stages in found.items() for one in stages]
    titles = ("camera", "stage", "good", "not good", "planned", "unknown", "not good by")
    widths = [max(len(row[n]) for row in (titles, *rows)) for n in range(len(titles))]
    for row in (titles, *rows):
        texts = [cell.ljust(width) for cell, width in zip(row[:2], widths, strict=False)]
        numbers = [cell.rjust(width) for cell, width in zip(row[2:-1], widths[2:], strict=False)]
        print("  ".join([*texts, *numbers, row[-1]]).rstrip())
    # A figure without planned minutes needs the author of the windows and the reason beside it.
    for window in dict.fromkeys(one for windows in planned.values() for one in windows):
        span = f"{time_text(window.start_us)} to {time_text(window.end_us)}"
        print(f"planned: {span}, {window.author}: {window.reason}")


def _overlap(window: Window, wanted: Interval) -> bool:
    return window.start_us < wanted.end_us and window.end_us > wanted.start_us


def _with_journal(asked: argparse.Namespace) -> list[Path]:
    """The folders of the camera asked for, or of all. Raises ExportError."""
    folders = cameras_with_journal(asked.volume)
    if asked.camera is None:
        return folders
    namespace, _, name = asked.camera.partition("/")
    found = [
        folder
        for folder in folders
        if folder.parent.name == namespace and name in (folder.name, folder.name.partition(".")[0])
    ]
    if not found:
        raise ExportError(f"No journal of {asked.camera} lies on {asked.volume}.")
    return found


def _counted(name: str, one: Availability) -> dict[str, object]:
    return {
        "camera": name,
        "stage": one.fact.stage.value,
        "system": one.fact.system,
        "minutes": {verdict.value: one.minutes.get(verdict, 0) for verdict in Verdict},
        "notGoodByCause": {cause.value: number for cause, number in sorted(one.causes.items())},
        "lacking": {what.value: number for what, number in sorted(one.shortfalls.items())},
    }


def _availability_row(name: str, one: Availability) -> tuple[str, ...]:
    minutes = [str(one.minutes.get(verdict, 0)) for verdict in Verdict]
    causes = ", ".join(f"{cause.value} {number}" for cause, number in sorted(one.causes.items()))
    return (name, f"{one.fact.stage.value} {one.fact.system}".rstrip(), *minutes, causes)


def _export(asked: argparse.Namespace) -> None:
    """One MP4 of an interval."""
    wanted = Interval(asked.start, asked.end)
    segments = recorded_segments(_folder(asked, wanted), wanted)
    said_us = wanted.start_us

    def progress(at_us: int) -> None:
        nonlocal said_us
        if at_us - said_us >= _PROGRESS_US:
            said_us = at_us
            print(f"at {time_text(at_us)}", file=sys.stderr)

    for file in export(segments, wanted, asked.output, progress):
        span = f"{time_text(file.covers.start_us)} to {time_text(file.covers.end_us)}"
        audio = "with audio" if file.audio_units else "no audio"
        print(f"{file.path}: {file.pictures} pictures, {file.codec}, {audio}, {span}")
    for part in gaps(stretches(segments), wanted):
        text = f"{time_text(part.start_us)} to {time_text(part.end_us)}"
        print(f"not recorded: {text}", file=sys.stderr)


def _folder(asked: argparse.Namespace, wanted: Interval) -> Path:
    """Where the camera's recordings of the interval lie. Raises ExportError."""
    folders = folders_of(asked.volume, asked.camera)
    if not folders:
        known = ", ".join(cameras_on(asked.volume)[:10]) or "nothing at all"
        raise ExportError(f"Nothing of {asked.camera} lies on {asked.volume}. There is {known}.")
    found = [folder for folder in folders if recorded_segments(folder, wanted)] or folders[:1]
    if len(found) > 1:
        # Two devices were declared under one name: their recordings are never mixed.
        names = ", ".join(folder.name for folder in found)
        raise ExportError(f"{names} all hold some of it. Name one of them as the camera.")
    return found[0]


if __name__ == "__main__":
    sys.exit(main())
