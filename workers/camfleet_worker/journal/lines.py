# SPDX-License-Identifier: Apache-2.0
"""Writes periods and tallies as JSON, each in one line, with the version of the format. Pure.

Used by store.py. A text that is no whole line of a known version reads as None and never as an
error, because a writer that died leaves half a line.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from camfleet_api.cause import Cause
from camfleet_worker.journal.period import Condition, Fact, Period, Stage, State
from camfleet_worker.journal.tally import Tally
from camfleet_worker.journal.windows import Window

VERSION = 1


@dataclass(frozen=True, slots=True)
class End:
    """The moment up to which a fact has entries."""

    fact: Fact
    at_us: int


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The entries that would be final if the worker ended now, the moment up to which each stage
    has entries, and the cause of the gap that would follow. `told`: the lines have them too."""

    entries: tuple[Period | Tally, ...]
    then: Cause
    ends: tuple[End, ...] = ()
    told: bool = False


Entry = Period | Tally
"""The contents of a line."""


def fields_of(entry: Entry) -> dict[str, object]:
    """The fields of an entry's line: a period, or the key frames of an hour."""
    about: dict[str, object] = {
        "v": VERSION,
        "stage": entry.fact.stage,
        "system": entry.fact.system,
    }
    if isinstance(entry, Tally):
        return about | {"hourUs": entry.hour_us, "keyFrames": list(entry.key_frames)}
    return about | {
        "state": entry.condition.state,
        "cause": entry.condition.cause,
        "startUs": entry.start_us,
        "endUs": entry.end_us,
    }


def line_of(entry: Entry) -> bytes:
    """The line of an entry, with the line end."""
    return json.dumps(fields_of(entry), separators=(",", ":")).encode() + b"\n"


def entry_of(line: bytes) -> Entry | None:
    """The entry in a line; None where the line has none."""
    try:
        return _entry(json.loads(line))
    except (RecursionError, ValueError):
        return None


def checkpoint_text(checkpoint: Checkpoint) -> bytes:
    """The content of a checkpoint's file."""
    return json.dumps(
        {
            "v": VERSION,
            "then": checkpoint.then,
            "told": checkpoint.told,
            "ends": [
                {"stage": end.fact.stage, "system": end.fact.system, "endUs": end.at_us}
                for end in checkpoint.ends
            ],
            "entries": [fields_of(entry) for entry in checkpoint.entries],
        },
        separators=(",", ":"),
    ).encode()


def checkpoint_of(text: bytes) -> Checkpoint | None:
    """The checkpoint in a file; None where it cannot be read."""
    try:
        found = json.loads(text)
        if not isinstance(found, dict) or found["v"] != VERSION:
            return None
        entries = (_entry(one) for one in found["entries"])
        whole = tuple(one for one in entries if one is not None)
        ends = tuple(_end(one) for one in found["ends"])
        return Checkpoint(whole, Cause(found["then"]), ends, found["told"] is True)
    except (KeyError, RecursionError, TypeError, ValueError):
        return None


def fields_of_windows(windows: Iterable[Window]) -> list[dict[str, object]]:
    """The fields of windows, for a file and for a collector."""
    return [
        {
            "startUs": one.start_us,
            "endUs": one.end_us,
            "author": one.author,
            "reason": one.reason,
        }
        for one in windows
    ]


def windows_text(windows: Iterable[Window]) -> bytes:
    """The content of a file of windows."""
    content = {"v": VERSION, "windows": fields_of_windows(windows)}
    return json.dumps(content, separators=(",", ":")).encode()


def windows_of(text: bytes) -> tuple[Window, ...]:
    """The windows in a file; none where it cannot be read."""
    try:
        found = json.loads(text)
        if not isinstance(found, dict) or found["v"] != VERSION:
            return ()
        return tuple(
            Window(
                _whole(one["startUs"]), _whole(one["endUs"]), str(one["author"]), str(one["reason"])
            )
            for one in found["windows"]
        )
    except (KeyError, RecursionError, TypeError, ValueError):
        return ()


def _end(found: dict[str, Any]) -> End:
    return End(Fact(Stage(found["stage"]), str(found["system"])), _whole(found["endUs"]))


def _entry(found: object) -> Entry | None:
    try:
        if not isinstance(found, dict) or found["v"] != VERSION:
            return None
        fact = Fact(Stage(found["stage"]), str(found["system"]))
        if "hourUs" in found:
            counts = tuple(None if n is None else _whole(n) for n in found["keyFrames"])
            return Tally(fact, _whole(found["hourUs"]), counts)
        cause = found["cause"]
        return Period(
            fact,
            Condition(State(found["state"]), None if cause is None else Cause(cause)),
            _whole(found["startUs"]),
            _whole(found["endUs"]),
        )
    except (KeyError, TypeError, ValueError):
        return None


def _whole(number: object) -> int:
    # type, not isinstance: True is an int, but no time.
    if type(number) is not int:
        raise TypeError
    return number
