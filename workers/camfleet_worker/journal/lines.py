# SPDX-License-Identifier: Apache-2.0
"""Periods as lines of JSON, one a line, with the version of their form. Pure.

Written and read by store.py. What is no whole line of a known version is None, never an error: a
writer that died leaves half a line.
"""

from __future__ import annotations

import json

from camfleet_worker.journal.period import Cause, Condition, Fact, Period, Stage, State

VERSION = 1


def line_of(period: Period) -> bytes:
    """One line, with its end."""
    said = {
        "v": VERSION,
        "stage": period.fact.stage,
        "system": period.fact.system,
        "state": period.condition.state,
        "cause": period.condition.cause,
        "startUs": period.start_us,
        "endUs": period.end_us,
    }
    return json.dumps(said, separators=(",", ":")).encode() + b"\n"


def period_of(line: bytes) -> Period | None:
    """The period that a line states."""
    try:
        said = json.loads(line)
        if not isinstance(said, dict) or said["v"] != VERSION:
            return None
        cause = said["cause"]
        return Period(
            Fact(Stage(said["stage"]), str(said["system"])),
            Condition(State(said["state"]), None if cause is None else Cause(cause)),
            _whole(said["startUs"]),
            _whole(said["endUs"]),
        )
    except (KeyError, RecursionError, TypeError, ValueError):
        return None


def _whole(number: object) -> int:
    # type, not isinstance: true is an int, and no time.
    if type(number) is not int:
        raise TypeError
    return number
