# SPDX-License-Identifier: Apache-2.0
"""The entries of a journal: for a period, a fact of a camera is up, down with a cause, or unknown.

Pure values, made by fold.py and recovery.py, written by lines.py, judged by minutes.py. The state
of a fact is never derived from another fact; the cause of a gap may be: an access unit that never
arrived is no fault of the disk.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from camfleet_api.cause import Cause


class Stage(StrEnum):
    """How far access units have come."""

    ARRIVING = "arriving"
    RELAYED = "relayed"
    ON_DISK = "onDisk"
    USABLE = "usable"
    """Whether a person could use the picture, which is no stage; the cause is the camera."""


class State(StrEnum):
    """The state in a period. Unknown is not up."""

    SPAN = "span"
    GAP = "gap"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Fact:
    """A stage, and for a relay the name of the monitoring system."""

    stage: Stage
    system: str = ""

    def __post_init__(self) -> None:
        if (self.stage is Stage.RELAYED) != bool(self.system):
            raise ValueError("a relay names its monitoring system, and nothing else does")


ARRIVING = Fact(Stage.ARRIVING)
ON_DISK = Fact(Stage.ON_DISK)
USABLE = Fact(Stage.USABLE)


@dataclass(frozen=True, slots=True)
class Condition:
    """Up, down with a cause, or unknown."""

    state: State
    cause: Cause | None = None

    def __post_init__(self) -> None:
        if (self.state is State.GAP) != (self.cause is not None):
            raise ValueError("a gap has a cause, and nothing else does")


UP = Condition(State.SPAN)
UNKNOWN = Condition(State.UNKNOWN)


def down(cause: Cause) -> Condition:
    """The condition of a gap."""
    return Condition(State.GAP, cause)


@dataclass(frozen=True, slots=True)
class Period:
    """The condition of a fact from its first moment to before `end_us`, in microseconds since the
    epoch, UTC."""

    fact: Fact
    condition: Condition
    start_us: int
    end_us: int

    def __post_init__(self) -> None:
        if not 0 <= self.start_us < self.end_us:
            raise ValueError("a period begins at or after the epoch, and ends after its beginning")
