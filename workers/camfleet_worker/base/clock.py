# SPDX-License-Identifier: Apache-2.0
"""The wall clock as a parameter.

Intervals are measured with the event loop's time (monotonic); only times for people need this one.
Tests pass one that follows a loop of virtual time.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

WallClock = Callable[[], datetime]


def wall_clock() -> datetime:
    """The time now in UTC, in whole seconds, because metav1.Time has no fractions."""
    return datetime.now(UTC).replace(microsecond=0)
