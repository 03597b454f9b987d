# SPDX-License-Identifier: Apache-2.0
"""`python -m camfleet_worker.recordings`: what lies on a volume, and files for people.

Exit status 1 with one sentence on stderr where what was asked for is not there.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from camfleet_worker.journal.period import Cause
from camfleet_worker.journal.store import JournalStore
from camfleet_worker.recordings.export import ExportError, export
from camfleet_worker.recordings.gap_causes import told
from camfleet_worker.recordings.listing import (
    Interval,
    cameras_on,
    folders_of,
    gaps,
    recorded_segments,
    stretches,
    time_text,
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PROGRESS_US = 60_000_000


@dataclass(frozen=True, slots=True)
class _Row:
    """One stretch or gap, as it is printed."""

    kind: str
    covers: Interval
    cause: Cause | None = None

    def fields(self) -> dict[str, str]:
        covers = self.covers
        said = {
            "kind": self.kind,
            "from": time_text(covers.start_us),
            "to": time_text(covers.end_us),
        }
        return said | ({"cause": self.cause.value} if self.cause else {})

    def line(self) -> str:
        start, end = time_text(self.covers.start_us), time_text(self.covers.end_us)
        seconds = (self.covers.end_us - self.covers.start_us) / 1e6
        cause = f"  {self.cause.value}" if self.cause else ""
        return f"{start}  {end}  {seconds:10.1f} s  {self.kind}{cause}"


def main(arguments: list[str] | None = None) -> int:
    """Run one command; the exit status."""
    asked = _parser().parse_args(arguments)
    try:
        return int(asked.run(asked) or 0)
    except ExportError as error:
        print(error, file=sys.stderr)
    except OSError as error:
        print(f"{error.filename or asked.volume}: {error.strerror}", file=sys.stderr)
    return 1


def _list(asked: argparse.Namespace) -> None:
    """Spans on disk and the gaps between them."""
    if asked.camera is None:
        print("\n".join(cameras_on(asked.volume)))
        return
    wanted = Interval(asked.start, asked.end)
    folder = _folder(asked, wanted)
    recorded = stretches(recorded_segments(folder, wanted))
    journal = JournalStore(folder).read()
    missing = [part for gap in gaps(recorded, wanted) for part in told(gap, journal)]
    rows = [_Row("recorded", part) for part in recorded]
    rows += [_Row("gap", part.covers, part.cause) for part in missing]
    rows.sort(key=lambda row: row.covers.start_us)
    if asked.json:
        print(json.dumps([row.fields() for row in rows], indent=2))
        return
    for row in rows:
        print(row.line())


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
        sound = "with sound" if file.sounds else "no sound"
        print(f"{file.path}: {file.pictures} pictures, {file.codec}, {sound}, {span}")
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
        # Two devices were declared under one name: their pictures are never mixed.
        names = ", ".join(folder.name for folder in found)
        raise ExportError(f"{names} all hold some of it. Name one of them as the camera.")
    return found[0]


def _time(text: str) -> int:
    """RFC 3339 with an offset, in microseconds since the epoch."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not like 2026-05-01T07:00:00Z") from error
    if at.tzinfo is None:
        raise argparse.ArgumentTypeError(f"{text!r} lacks an offset, such as Z or +07:00")
    return (at - _EPOCH) // timedelta(microseconds=1)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m camfleet_worker.recordings", description=__doc__
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    listing = commands.add_parser("list", help="cameras of a volume, or spans and gaps of one")
    listing.add_argument("camera", nargs="?", help="namespace/name; without: the cameras there are")
    listing.add_argument("--json", action="store_true", help="for programs")
    listing.set_defaults(run=_list)
    exporting = commands.add_parser("export", help="one playable MP4 of an interval")
    exporting.add_argument("camera", help="namespace/name")
    exporting.add_argument("output", type=Path, help="file to write, such as gate.mp4")
    exporting.set_defaults(run=_export)
    now_us = (datetime.now(UTC) - _EPOCH) // timedelta(microseconds=1)
    for command in (listing, exporting):
        needed = command is exporting
        command.add_argument("--volume", type=Path, default=Path("/recordings"), metavar="FOLDER")
        command.add_argument(
            "--from",
            dest="start",
            type=_time,
            required=needed,
            default=0,
            metavar="TIME",
            help="with an offset: 2026-05-01T07:00:00+07:00",
        )
        command.add_argument(
            "--to", dest="end", type=_time, required=needed, default=now_us, metavar="TIME"
        )
    return parser


if __name__ == "__main__":
    sys.exit(main())
