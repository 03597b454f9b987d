# SPDX-License-Identifier: Apache-2.0
"""Periods and tallies as lines of JSON, one a line, with the version of their form. Pure.

Written and read by store.py. What is no whole line of a known version is None, never an error: a
writer that died leaves half a line.
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
    """Up to when a fact is told of."""

    fact: Fact
    at_us: int


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What would be told if the worker ended now, up to when that reaches for each stage that it
    watches, and whose gap would follow. `told`: it stands in the lines as well."""

    entries: tuple[Period | Tally, ...]
    then: Cause
    ends: tuple[End, ...] = ()
    told: bool = False


Entry = Period | Tally
"""What a line may state."""


def said(entry: Entry) -> dict[str, object]:
    """An entry as the fields of its line: of a period or of an hour's key frames."""
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
    """One line, with its end."""
    return json.dumps(said(entry), separators=(",", ":")).encode() + b"\n"


def entry_of(line: bytes) -> Entry | None:
    """What a line states."""
    try:
        return _entry(json.loads(line))
    except (RecursionError, ValueError):
        return None


def checkpoint_text(checkpoint: Checkpoint) -> bytes:
    """What a file of a checkpoint holds."""
    return json.dumps(
        {
            "v": VERSION,
            "then": checkpoint.then,
            "told": checkpoint.told,
            "ends": [
                {"stage": end.fact.stage, "system": end.fact.system, "endUs": end.at_us}
                for end in checkpoint.ends
            ],
            "entries": [said(entry) for entry in checkpoint.entries],
        },
        separators=(",", ":"),
    ).encode()


def checkpoint_of(text: bytes) -> Checkpoint | None:
    """The checkpoint that a file holds."""
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


def windows_said(windows: Iterable[Window]) -> list[dict[str, object]]:
    """Windows as a file and a collector are told of them."""
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
    """What a file of windows holds."""
    said = {"v": VERSION, "windows": windows_said(windows)}
    return json.dumps(said, separators=(",", ":")).encode()


def windows_of(text: bytes) -> tuple[Window, ...]:
    """The windows that a file holds; none where it cannot be read."""
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
    # type, not isinstance: true is an int, and no time.
    if type(number) is not int:
        raise TypeError
    return number
