# SPDX-License-Identifier: Apache-2.0
"""What is printed of a case: the conditions that are not True, as text or as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Line:
    """One condition that is not True."""

    condition: str
    status: str
    reason: str
    message: str


@dataclass(frozen=True)
class Row:
    """A case and what its worker says of it."""

    case: str
    sentence: str
    lines: tuple[Line, ...]
    """None where the camera is Ready and nothing stands beside it."""
    settled: bool
    """Whether the conditions stood still before the time was over."""

    def text(self) -> str:
        """For people: the case, and below it what they read."""
        said = [
            f"{line.condition}={line.status} {line.reason}: {line.message}" for line in self.lines
        ]
        unsettled = [] if self.settled else ["(still changing when the time was over)"]
        return "\n".join(
            (
                f"{self.case} - {self.sentence}",
                *map(_inner, said or ["Ready"]),
                *map(_inner, unsettled),
            )
        )


def lines_of(status: Mapping[str, Any]) -> tuple[Line, ...]:
    """The conditions that are not True. Without those that only wait for an earlier step, and
    without Ready, which repeats the first of them, unless nothing else says so."""
    lines = tuple(
        Line(one["type"], one["status"], one["reason"], one.get("message", ""))
        for one in status.get("conditions", ())
        if one["status"] != "True"
    )
    telling = tuple(x for x in lines if x.reason != "Pending" and x.condition != "Ready")
    return telling or tuple(line for line in lines if line.condition == "Ready")


def _inner(text: str) -> str:
    return f"    {text}"
