# SPDX-License-Identifier: Apache-2.0
"""A bounded queue of access units that drops whole GOPs, counted.

Used by the relays. Without one access unit, a decoder shows damaged pictures until the next key
frame, so all access units up to a key frame are dropped together. The oldest GOP goes first, so
that a monitoring system that lags shows the present. Not thread-safe: a caller with two threads
must lock.

Compiled by mypyc (workers/compile_media.py): no attribute may be added from outside, none may be of
another type than declared, and nothing may be set on the class by a test.
"""

from __future__ import annotations

from collections import deque

from camfleet_worker.media_types.access_unit import AccessUnit
from camfleet_worker.media_types.sink_state import SinkCounters

QUEUE_BYTES = 4 << 20
"""The most that waits for a monitoring system: a quarter of a minute at 2 Mbit/s."""
BATCH_BYTES = 256 << 10
"""The most that leaves the queue at once, for a socket."""


class GopQueue:
    """The access units that wait to be sent, beginning with a key frame."""

    def __init__(self, max_bytes: int, counters: SinkCounters) -> None:
        self.bytes = 0
        self._max_bytes = max_bytes
        self._counters = counters
        self._units: deque[AccessUnit] = deque()
        self._wants_key = True

    def __len__(self) -> int:
        return len(self._units)

    def push(self, unit: AccessUnit) -> bool:
        """Append; False where this unit or others had to be dropped for lack of room."""
        if self._wants_key and not unit.key:
            self._counters.dropped_access_units += 1
            return True
        self._wants_key = False
        self._units.append(unit)
        self.bytes += len(unit.data)
        if self.bytes <= self._max_bytes:
            return True
        self._drop_before_last_key()
        if self.bytes > self._max_bytes:
            self.drop_all()
        return False

    @property
    def first(self) -> AccessUnit:
        """The next access unit to send, which stays in the queue."""
        return self._units[0]

    @property
    def first_pts(self) -> int | None:
        """The presentation time of the next access unit; None where none waits."""
        return self._units[0].pts_90k if self._units else None

    def pop(self) -> AccessUnit:
        """Remove and return the next access unit to send."""
        unit = self._units.popleft()
        self.bytes -= len(unit.data)
        return unit

    def begin_at_key(self) -> None:
        """Drop up to a key frame, because a new connection can decode nothing before one."""
        while self._units and not self._units[0].key:
            self._drop_first()
        if not self._units:
            self._wants_key = True

    def drop_all(self) -> None:
        """Drop everything and wait for a key frame."""
        self._counters.dropped_gops += 1 if self._units else 0
        while self._units:
            self._drop_first(count_gop=False)
        self._wants_key = True

    def _drop_before_last_key(self) -> None:
        last = max((i for i, unit in enumerate(self._units) if unit.key), default=0)
        for position in range(last):
            # The first GOP may have been sent in part; its rest counts as one.
            self._drop_first(count_gop=position == 0 or self._units[0].key)

    def _drop_first(self, count_gop: bool = False) -> None:
        self.pop()
        self._counters.dropped_access_units += 1
        self._counters.dropped_gops += 1 if count_gop else 0
