# SPDX-License-Identifier: Apache-2.0
"""The arithmetic of the measurements, and the table they end in."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field


def percentile(values: Sequence[float], share: float) -> float:
    """The value that this share of all does not exceed (nearest rank); 0.0 of nothing."""
    ordered = sorted(values)
    if not ordered:
        return 0.0
    return ordered[max(0, -(-len(ordered) * int(share * 100) // 100) - 1)]


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Least squares: growth of the second number for one of the first; 0.0 below two points."""
    count = len(points)
    if count < 2:
        return 0.0
    mean_x = sum(x for x, _ in points) / count
    mean_y = sum(y for _, y in points) / count
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread if spread else 0.0


def slope_error(points: Sequence[tuple[float, float]]) -> float:
    """Standard error of the slope: how far scatter alone may tilt the line."""
    count = len(points)
    if count < 3:
        return math.inf
    tilt = slope(points)
    mean_x = sum(x for x, _ in points) / count
    mean_y = sum(y for _, y in points) / count
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    left = sum((y - mean_y - tilt * (x - mean_x)) ** 2 for x, y in points)
    return math.sqrt(left / (count - 2) / spread) if spread else math.inf


@dataclass
class Figures:
    """Rows of the table, and demands that were not met."""

    rows: list[tuple[str, str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def add(self, what: str, measured: str, goal: str = "") -> None:
        """A row."""
        self.rows.append((what, measured, goal))

    def note(self, what: str, text: str) -> None:
        """Something to be read below the table."""
        self.notes.append(f"{what}: {text}")

    def demand(self, met: bool, failure: str) -> None:
        """Something without which the measurement fails."""
        if not met:
            self.failures.append(failure)

    def print(self) -> int:
        """The table on standard output; the exit status."""
        print(_table(self.rows), *self.notes, sep="\n")
        for failure in self.failures:
            print(f"FAILED {failure}")
        return 1 if self.failures else 0


def _table(rows: Sequence[tuple[str, str, str]]) -> str:
    lines = [("", "measured", "goal"), *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(3)]
    padded = ("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)
    return "\n".join(padded)
