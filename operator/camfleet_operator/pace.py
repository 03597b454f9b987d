# SPDX-License-Identifier: Apache-2.0
"""Limits how often a namespace is planned and how often an object is written.

`reconcile` has both limits; `event_handler` asks for the batch period. Both drop entries without
effect, so that no memory is kept of deleted namespaces and objects.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable

BATCH_S = 0.1
"""Changes come in bursts and are gathered for this time, or longer where planning takes long."""
SHARE_OF_PLANNING = 4
"""A namespace is planned at most a fifth of the time: the wait is four times a plan's duration."""


class BatchPeriods:
    """How long changes of a namespace are gathered before it is planned."""

    def __init__(self) -> None:
        self._long: dict[str, float] = {}
        """Periods longer than BATCH_S, by namespace."""

    def of(self, namespace: str) -> float:
        """The period of a namespace, in seconds."""
        return self._long.get(namespace, BATCH_S)

    def planned(self, namespace: str, took_s: float) -> None:
        """Note how long the planning of the namespace took."""
        period_s = SHARE_OF_PLANNING * took_s
        if period_s > BATCH_S:
            self._long[namespace] = period_s
        else:
            self._long.pop(namespace, None)


class WritePace:
    """Decides when an object with a pace may be written again."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._next_at: dict[Hashable, float] = {}

    def wait_s(self, key: Hashable, every_s: float) -> float:
        """Seconds until the object may be written. At zero the write counts as made now."""
        now = self._monotonic()
        self._next_at = {one: at for one, at in self._next_at.items() if at > now}
        if key in self._next_at:
            return self._next_at[key] - now
        self._next_at[key] = now + every_s
        return 0.0

    def __len__(self) -> int:
        """How many objects have to wait."""
        return len(self._next_at)
