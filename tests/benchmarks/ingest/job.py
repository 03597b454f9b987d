# SPDX-License-Identifier: Apache-2.0
"""What one reader is asked to do, and what it says of it; both travel as JSON between processes."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Self

FPS = 25
CLIP = "720p"
"""H.264 at 2 Mbit/s with a key frame every two seconds: what the goals are stated for."""
LONG_GOP_CLIP = "720p-gop10"
"""The same with a key frame every ten seconds."""


class Task(StrEnum):
    """What is done with a stream."""

    RECEIVE = "receive"
    RECORD = "record"
    RELAY = "record and relay"


class Reader(StrEnum):
    """Who does it."""

    OURS = "ours"
    PYAV = "PyAV"
    FFMPEG = "ffmpeg"


@dataclass(frozen=True)
class Job:
    """One run of one reader. `systems` holds the URL for each camera's relay."""

    reader: Reader
    task: Task
    cameras: list[str]
    systems: list[str]
    folder: str
    seconds: float
    warm_s: float
    tick_s: float = 0.1
    authorities: str = ""

    def as_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        fields = json.loads(text)
        fields |= {"reader": Reader(fields["reader"]), "task": Task(fields["task"])}
        return cls(**fields)


@dataclass(frozen=True)
class Usage:
    """What a reader used between two moments. `pictures` counts those that went the whole way, to
    the slower of disk and relay; -1 where the reader does not tell. `pss_mb` is that at the end."""

    cpu_s: float
    took_s: float
    pictures: int
    pss_mb: float
