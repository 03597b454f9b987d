# SPDX-License-Identifier: Apache-2.0
"""What was seen to pass, noted by whoever sees it, taken up by whoever keeps the journal. Pure.

One thread notes (the media loop, a volume's writer, a relay's thread), another takes up: what they
share is replaced whole or appended, so neither waits. Nothing is kept for a reader that never
comes. Times are those of arrival, in microseconds since the epoch: of a relay and of a disk too, so
that the three facts can be laid side by side.

Compiled by mypyc (workers/compile_media.py): no attribute may be added from outside, none may be of
another type than declared, and nothing may be set on the class by a test.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from camfleet_api.cause import Cause

SILENCE_US = 5_000_000
"""Longer without an access unit is a gap and not a slow camera; the recording ends its span as
well."""
PAUSE_US = 1_000_000
"""Where something ended and begins anew, a shorter pause is no gap."""
LATE_US = 3_000_000
"""So much later than its followers an access unit may pass: the end of a segment waits for its
audio."""
_KEPT = 1024


class Stretch(NamedTuple):
    """From the first access unit to the last one of those that followed on each other."""

    since_us: int
    until_us: int


class Failure(NamedTuple):
    """What failed, and which access unit was the last to pass before it (0: none yet)."""

    after_us: int
    cause: Cause


class DeliveryLog:
    """One stage of one camera."""

    __slots__ = ("_limit_us", "ended", "failures", "key_frames", "under_way")

    def __init__(self) -> None:
        self.under_way: Stretch | None = None
        """The newest stretch; the next access unit may lengthen it."""
        self.ended: deque[Stretch] = deque(maxlen=_KEPT)
        self.key_frames: deque[int] = deque(maxlen=_KEPT)
        """When each arrived that has passed here."""
        self.failures: deque[Failure] = deque(maxlen=_KEPT)
        self._limit_us = SILENCE_US

    def seen(self, at_us: int) -> None:
        """Access units up to this one have passed, nearly in the order of their arrival; a clock
        that was set back by more begins another stretch."""
        before = self.under_way
        if before is not None and -LATE_US <= at_us - before.until_us <= self._limit_us:
            self.under_way = Stretch(before.since_us, max(at_us, before.until_us))
        else:
            if before is not None:
                self.ended.append(before)
            self.under_way = Stretch(at_us, at_us)
        self._limit_us = SILENCE_US

    def broken(self) -> None:
        """What passed so far has ended: the next access unit is another beginning, unless it
        follows at once."""
        self._limit_us = PAUSE_US

    def failed(self, cause: Cause) -> None:
        """Nothing passes for now. Told again and again, it is noted once."""
        before = self.under_way
        failure = Failure(0 if before is None else before.until_us, cause)
        if not self.failures or self.failures[-1] != failure:
            self.failures.append(failure)
