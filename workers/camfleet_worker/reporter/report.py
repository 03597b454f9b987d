# SPDX-License-Identifier: Apache-2.0
"""One camera's report: what stands in the API server and what we know. Pure but for its fields."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import datetime

from camfleet_api.camera import Attempts, CameraStatus
from camfleet_api.conditions import merge_transition
from camfleet_base.token_bucket import TokenBucket
from camfleet_worker.reporter.conditions import runtime_status
from camfleet_worker.reporter.debounce import new_generation, patience_s
from camfleet_worker.reporter.facts import CameraSnapshot

BURST = 10
WRITE_EVERY_S = 300.0
"""A camera that comes and goes costs ten writes, and then twelve an hour, whatever it does: with
no bound, one bad connector would write as much as a healthy province. Login attempts and answers
to a new generation stand outside: others bound those."""


@dataclass
class Report:
    """The state of reporting on one camera. Times are monotonic but for those in statuses."""

    name: str
    uid: str
    reported: CameraStatus | None = None
    """camfleet-runtime's part of the stored status; None until it has been read."""
    known: CameraStatus | None = None
    """What should stand there; None while the camera has published nothing."""
    differs_since: float | None = None
    patience_s: float | None = None
    """How long the difference must last; None: there is none. Kept, because comparing statuses
    costs more than all the rest."""
    not_before: float = 0.0
    """Trouble with this camera's last write: do not try again earlier."""
    gone: bool = False
    """The Camera was deleted, or another one bears its name: nothing to report any more."""
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    budget: TokenBucket = field(default_factory=lambda: TokenBucket(1 / WRITE_EVERY_S, BURST))

    def publish(self, facts: CameraSnapshot, now: datetime, monotonic: float) -> None:
        """Take new facts over."""
        before = self.known.conditions if self.known is not None else ()
        self.known = runtime_status(facts, now, before)
        self.settle(monotonic)

    def settle(self, monotonic: float) -> None:
        """Compare known with reported, and keep the times of what is reported already.

        A fact that came back within the debounce must find the old time, or the status would
        differ by nothing but a time.
        """
        if self.known is None or self.reported is None:
            return
        stored = {condition.type: condition for condition in self.reported.conditions}
        conditions = [merge_transition(c, stored.get(c.type)) for c in self.known.conditions]
        self.known = self.known.model_copy(update={"conditions": conditions})
        self.patience_s = patience_s(self.reported, self.known)
        if self.patience_s is None:
            self.differs_since = None
        elif self.differs_since is None:
            self.differs_since = monotonic

    def due_at(self) -> float | None:
        """When the next write is due; None: nothing to write."""
        if self.gone or self.known is None:
            return None
        if self.reported is None:
            return self.not_before
        if self.patience_s is None or self.differs_since is None:
            return None
        at = max(self.not_before, self.differs_since + self.patience_s)
        return at if self._answers_spec() else max(at, self.budget.next_at)

    def urgent(self) -> bool:
        """A first verdict or a camera that is back: people wait for these."""
        return self.patience_s == 0.0

    def spend(self, monotonic: float) -> None:
        """A write is about to be made."""
        if not self._answers_spec():
            self.budget.reserve(monotonic)

    def _answers_spec(self) -> bool:
        return (
            self.reported is not None
            and self.known is not None
            and new_generation(self.reported, self.known)
        )

    def with_attempts(self, attempts: Attempts, generation: int, now: datetime) -> CameraStatus:
        """What stands in the API server, plus an attempt: the debounce is not passed over."""
        base = self.reported
        if base is None or not base.conditions:
            base = runtime_status(CameraSnapshot(generation), now)
        return base.model_copy(update={"attempts": attempts})
