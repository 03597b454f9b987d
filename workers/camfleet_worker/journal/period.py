# SPDX-License-Identifier: Apache-2.0
"""What a journal states: one fact of one camera, up, down with a cause, or unknown, for a time.

Pure values, made by fold.py and recovery.py, written by lines.py, judged by minutes.py. The three
facts are never mixed: whether one is up is derived from no other. (Whose gap it is may be: a
picture that never arrived is no fault of the disk.)
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from camfleet_api.cause import Cause


class Stage(StrEnum):
    """How far pictures have come."""

    ARRIVING = "arriving"
    RELAYED = "relayed"
    ON_DISK = "onDisk"
    USABLE = "usable"
    """No stage of the way: whether a person could use the picture. It blames the camera."""


class State(StrEnum):
    """What is known of a period. Unknown is not up."""

    SPAN = "span"
    GAP = "gap"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Fact:
    """A stage, and for a relay the monitoring system that it goes to."""

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
    """From the first moment to the one after the last, in microseconds since the epoch, UTC."""

    fact: Fact
    condition: Condition
    start_us: int
    end_us: int

    def __post_init__(self) -> None:
        if not 0 <= self.start_us < self.end_us:
            raise ValueError("a period begins at or after the epoch, and ends after its beginning")
