# SPDX-License-Identifier: Apache-2.0
"""What a sink tells of itself: its state and its counters.

Compiled by mypyc (workers/compile_media.py): no attribute may be added from outside, none may be of
another type than declared, and nothing may be set on the class by a test.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from camfleet_worker.base.errors import IngestError


class SinkPhase(StrEnum):
    """Whether the sink does its work."""

    STARTING = "starting"
    WORKING = "working"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class SinkState:
    """What a sink knows of itself; `error` is set exactly when `phase` is FAILED."""

    phase: SinkPhase
    error: IngestError | None = None


STARTING = SinkState(SinkPhase.STARTING)
WORKING = SinkState(SinkPhase.WORKING)


class Units(NamedTuple):
    """How many access units and audio units some octets hold."""

    access_units: int = 0
    audio_units: int = 0


@dataclass(slots=True)
class SinkCounters:
    """What has passed; read by metrics, written by the sink only."""

    access_units: int = 0
    bytes: int = 0
    dropped_access_units: int = 0
    dropped_gops: int = 0
    connects: int = 0
    short_sessions: int = 0
    """Those at a monitoring system that ended before they had lasted for a minute."""
    audio_units: int = 0
    dropped_audio_units: int = 0
