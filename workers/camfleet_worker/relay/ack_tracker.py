# SPDX-License-Identifier: Apache-2.0
"""Finds which access units the peer has acknowledged, by the octets that its TCP has. Pure.

Used by the relays. A relay reports with each batch how many octets it holds, and twice a second how
many octets are not acknowledged. An acknowledged access unit counts as delivered; one that was
under way when a connection broke never does.

Compiled by mypyc (workers/compile_media.py): no attribute may be added from outside, none may be of
another type than declared, and nothing may be set on the class by a test.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from camfleet_worker.base.moments import microseconds
from camfleet_worker.media_types.access_unit import AccessUnit
from camfleet_worker.media_types.delivery_log import DeliveryLog

ASK_EVERY_S = 0.5
"""The time between two questions for acknowledged octets, each of which costs a system call."""


class _Batch(NamedTuple):
    ends_at: int
    first_us: int
    last_us: int
    key_frames_us: tuple[int, ...]
    begins: bool


class AckTracker:
    """The tracker of one relay, over all its connections. Used on the relay's own thread."""

    def __init__(self, deliveries: DeliveryLog) -> None:
        self._deliveries = deliveries
        self._octets = 0
        self._batches: deque[_Batch] = deque()
        self._begins = True
        self._ask_at = float("-inf")

    def begin(self) -> None:
        """Begin a connection. Unacknowledged octets of the last one may have been lost."""
        self._octets = 0
        self._batches.clear()
        self._begins = True
        self._ask_at = float("-inf")

    def dropped(self) -> None:
        """Note that access units were dropped before the next one that is sent."""
        self._begins = True

    def sent(self, octets: int, units: Sequence[AccessUnit]) -> None:
        """Note that so many octets were sent, with these access units in them."""
        self._octets += octets
        if units:
            first_us, last_us = _us(units[0]), _us(units[-1])
            keys = tuple(_us(unit) for unit in units if unit.key)
            self._batches.append(_Batch(self._octets, first_us, last_us, keys, self._begins))
            self._begins = False

    def due(self, now: float) -> bool:
        """Whether to ask what was acknowledged; `now` is monotonic."""
        if not self._batches or now < self._ask_at:
            return False
        self._ask_at = now + ASK_EVERY_S
        return True

    def unacknowledged(self, octets: int) -> None:
        """Note how many of the sent octets are not acknowledged."""
        deliveries = self._deliveries
        while self._batches and self._batches[0].ends_at <= self._octets - octets:
            batch = self._batches.popleft()
            if batch.begins:
                deliveries.broken()
            deliveries.seen(batch.first_us)
            deliveries.seen(batch.last_us)
            deliveries.key_frames.extend(batch.key_frames_us)


def _us(unit: AccessUnit) -> int:
    return microseconds(unit.arrived_at)
