# SPDX-License-Identifier: Apache-2.0
"""The queue of namespaces to plan: each is in it once, urgent ones come first, failed ones later.

Called in the main loop only: `enqueue` by `event_handler` and `reconcile`, `get` and `done` by
`reconcile`. A namespace that is enqueued while it is worked on is worked on again afterwards, never
twice at the same time.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

from camfleet_operator.metrics import QUEUE_ADDS, QUEUE_DEPTH, QUEUE_RETRIES, QUEUE_SECONDS

NAME = "namespaces"
FIRST_DELAY_S = 0.5
GREATEST_DELAY_S = 300.0


class Priority(IntEnum):
    """The order of namespaces in the queue, lower first."""

    SPEC = 0
    STATUS = 1
    RESYNC = 2


@dataclass(slots=True)
class _Waiting:
    due: float
    priority: Priority
    since: float


class NamespaceQueue:
    """De-duplicating, prioritised, with a backoff of its own for every key."""

    def __init__(
        self,
        monotonic: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._waiting: dict[str, _Waiting] = {}
        self._working: set[str] = set()
        self._failures: dict[str, int] = {}
        self._changed = asyncio.Event()
        self._monotonic = monotonic
        self._jitter = jitter

    def enqueue(self, key: str, priority: Priority, in_s: float = 0.0) -> None:
        """Make a key due, at the latest in `in_s`. A failed key keeps its backoff, unless it is
        enqueued with `Priority.SPEC`."""
        QUEUE_ADDS.labels(NAME).inc()
        now = self._monotonic()
        due = now + in_s
        if (present := self._waiting.get(key)) is None:
            self._waiting[key] = _Waiting(due, priority, now)
        else:
            present.priority = min(present.priority, priority)
            if priority is Priority.SPEC or key not in self._failures:
                present.due = min(present.due, due)
        QUEUE_DEPTH.labels(NAME).set(len(self._waiting))
        self._changed.set()

    async def get(self) -> str:
        """The next key that is due; no other caller gets it until `done`."""
        while True:
            self._changed.clear()
            if (key := self._next()) is not None:
                waited = self._waiting.pop(key)
                self._working.add(key)
                QUEUE_DEPTH.labels(NAME).set(len(self._waiting))
                QUEUE_SECONDS.labels(NAME).observe(self._monotonic() - waited.since)
                return key
            await self._until_something_is_due()

    def done(self, key: str, failed: bool) -> None:
        """Give a key back; a failed one returns after its backoff."""
        self._working.discard(key)
        if failed:
            count = self._failures[key] = self._failures.get(key, 0) + 1
            QUEUE_RETRIES.labels(NAME).inc()
            self.enqueue(key, Priority.STATUS, self._delay_s(count))
        else:
            self._failures.pop(key, None)
        self._changed.set()

    def _next(self) -> str | None:
        now = self._monotonic()
        ready = (
            (waiting.priority, waiting.due, key)
            for key, waiting in self._waiting.items()
            if waiting.due <= now and key not in self._working
        )
        return min(ready, default=(0, 0.0, None))[2]

    async def _until_something_is_due(self) -> None:
        dues = [one.due for key, one in self._waiting.items() if key not in self._working]
        wait_s = min(dues) - self._monotonic() if dues else None
        try:
            await asyncio.wait_for(self._changed.wait(), wait_s)
        except TimeoutError:
            return

    def _delay_s(self, failures: int) -> float:
        """Exponential, with jitter upwards of half: failed keys must not be tried at the same
        time."""
        longest: float = min(GREATEST_DELAY_S, FIRST_DELAY_S * 2 ** min(failures - 1, 20))
        return longest * (0.5 + self._jitter() / 2)
