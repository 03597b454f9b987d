# SPDX-License-Identifier: Apache-2.0
"""The command line of `python -m camfleet_worker.recordings`: commands, arguments, exit status.

Asked by `__main__` alone. It reads no volume.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

from camfleet_worker.base.moments import DAY_US, microseconds, moment_us

Command = Callable[[argparse.Namespace], None]

_ABOUT = """\
What lies on a volume of recordings, one playable file of an interval, and how available the cameras
were. It reads beside workers that write, and never writes below the volume."""
_EXIT_STATUS = """\
exit status:
  0  done; an export that lacks some of the interval says so on stderr
  1  what was asked for is not on the volume, or the volume cannot be read: one sentence on stderr
  2  the arguments are wrong"""


def _time(text: str) -> int:
    """A moment, refused with a sentence: argparse shows none of a ValueError."""
    try:
        return moment_us(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def parser_for(listed: Command, exported: Command, counted: Command) -> argparse.ArgumentParser:
    """The parser of the three commands. What it answers has the command's function as `run`, the
    moments `start` and `end` in microseconds since the epoch, and `start` None for a list that
    begins where the volume does."""
    parser = argparse.ArgumentParser(
        prog="python -m camfleet_worker.recordings",
        description=_ABOUT,
        epilog=_EXIT_STATUS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    listing = commands.add_parser("list", help="cameras of a volume, or spans and gaps of one")
    listing.add_argument(
        "camera", nargs="?", help="namespace/name; without it, the names of all cameras are listed"
    )
    listing.add_argument("--json", action="store_true", help="print JSON, for programs")
    listing.set_defaults(run=listed)
    exporting = commands.add_parser("export", help="one playable MP4 of an interval")
    exporting.add_argument("camera", help="namespace/name, as `list` shows it")
    exporting.add_argument(
        "output",
        type=Path,
        help="file to write, such as gate.mp4; where the codec changes, gate-2.mp4 follows",
    )
    exporting.set_defaults(run=exported)
    available = commands.add_parser("availability", help="good minutes, from the journal of gaps")
    available.add_argument(
        "camera", nargs="?", help="namespace/name; without it, all cameras are counted"
    )
    available.add_argument("--json", action="store_true", help="print JSON, for programs")
    available.set_defaults(run=counted)
    now_us = microseconds(time.time())
    _add_interval(listing, "the first that the volume tells of the camera", None, now_us)
    _add_interval(exporting)
    _add_interval(available, "a day ago", now_us - DAY_US, now_us)
    return parser


def _add_interval(
    command: argparse.ArgumentParser,
    begins: str = "",
    start_us: int | None = None,
    end_us: int | None = None,
) -> None:
    """The volume and the interval. Without `end_us` both ends must be named; `begins` describes
    `start_us` in words."""
    command.add_argument(
        "--volume",
        type=Path,
        default=Path("/recordings"),
        metavar="FOLDER",
        help="where the recordings are mounted; else /recordings",
    )
    needed = end_us is None
    for name, field, default_us, otherwise in (
        ("--from", "start", start_us, begins),
        ("--to", "end", end_us, "now"),
    ):
        command.add_argument(
            name,
            dest=field,
            type=_time,
            required=needed,
            default=default_us,
            metavar="TIME",
            help="such as 2026-05-01T07:00:00+07:00" + ("" if needed else f"; else {otherwise}"),
        )
