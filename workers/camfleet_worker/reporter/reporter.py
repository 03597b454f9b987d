# SPDX-License-Identifier: Apache-2.0
"""Writes Camera statuses: on transitions only, debounced, coalesced, within a budget.

Supervisors publish facts and never wait for a write, with one exception: a login attempt is
written before it is made (`record_attempt`). An unchanged status is never sent. Of many that are
due, cameras that came up go first. Where the API server does not answer, facts are kept and the
last one of each camera is written when it does.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Protocol

from camfleet_api.camera import Attempts, CameraStatus
from camfleet_base.token_bucket import TokenBucket
from camfleet_worker.base.backoff import Backoff
from camfleet_worker.base.clock import WallClock
from camfleet_worker.cluster.errors import ClusterError, Trouble
from camfleet_worker.reporter.conditions import runtime_part
from camfleet_worker.reporter.facts import CameraSnapshot
from camfleet_worker.reporter.report import Report

log = logging.getLogger(__name__)

FORBIDDEN_PAUSE_S = 3.0
"""The Role of a camera just assigned follows within moments."""
INVALID_PAUSE_S = 300.0
"""The API server refuses what we wrote: our bug. Repeating it changes nothing."""
CONFLICT_PAUSE_S = 1.0


class CameraDoor(Protocol):
    """What the reporter needs of the cluster."""

    async def camera(self, name: str) -> dict[str, Any] | None: ...

    async def apply_camera_status(self, name: str, status: dict[str, Any]) -> dict[str, Any]: ...


class Reporter:
    """The reports of all cameras of a worker."""

    def __init__(
        self,
        cluster: CameraDoor,
        clock: WallClock,
        budget: TokenBucket,
        on_written: Callable[[str, CameraStatus], None] = lambda uid, status: None,
    ) -> None:
        self._cluster = cluster
        self._clock = clock
        self._budget = budget
        self._on_written = on_written
        self._reports: dict[str, Report] = {}
        self._news = asyncio.Event()
        self._backoff = Backoff(first_s=1.0, most_s=15.0)
        self._paused_until = 0.0
        self.writes = 0

    def follow(self, name: str, uid: str) -> None:
        """Begin to report on a camera; nothing happens for one already followed."""
        if uid not in self._reports:
            self._reports[uid] = Report(name, uid)

    def forget(self, uid: str) -> None:
        """Stop reporting: the camera is another worker's, or no worker's."""
        self._reports.pop(uid, None)

    def publish(self, uid: str, facts: CameraSnapshot) -> None:
        """Take facts of a camera; they are written when they have lasted long enough."""
        report = self._reports.get(uid)
        if report is not None:
            report.publish(facts, self._clock(), _now())
            self._news.set()

    async def present(self, uid: str) -> CameraStatus | None:
        """What stands in the Camera's status now, read once; None for a camera that is gone.

        Raises ClusterError where the API server does not answer.
        """
        report = self._reports[uid]
        async with report.lock:
            await self._adopt(report)
        return report.reported

    async def record_attempt(self, uid: str, attempts: Attempts, generation: int) -> None:
        """Write an attempt down, now. ClusterError: it is not written and must not be made."""
        report = self._reports.get(uid)
        if report is None:
            raise ClusterError(Trouble.NOT_FOUND, "the camera is no longer reported on")
        async with report.lock:
            await self._adopt(report)
            if report.gone:
                raise ClusterError(Trouble.NOT_FOUND, "the Camera object does not exist")
            await self._budget.take()
            await self._apply(report, report.with_attempts(attempts, generation, self._clock()))
            if report.known is not None:
                report.known = report.known.model_copy(update={"attempts": attempts})
            report.settle(_now())

    def reread(self) -> None:
        """Somebody else may have written meanwhile (our Lease had run out): read all again."""
        for report in self._reports.values():
            report.reported = None
            report.gone = False
        self._news.set()

    async def run(self) -> None:
        """Write whatever is due, for ever."""
        while True:
            self._news.clear()
            report = self._most_urgent(_now())
            if report is None:
                await self._wait()
            else:
                await self._write(report)

    async def flush(self) -> None:
        """Write at once all that is due by now: the last thing before the process ends."""
        for report in self._due(_now()):
            await self._write(report)

    def _due(self, now: float) -> list[Report]:
        if now < self._paused_until:
            return []
        return [r for r in self._reports.values() if (at := r.due_at()) is not None and at <= now]

    def _most_urgent(self, now: float) -> Report | None:
        """Looked for anew before each write: while many are written, others come up."""
        return min(
            self._due(now),
            key=lambda report: (not report.urgent(), report.differs_since or 0.0),
            default=None,
        )

    async def _wait(self) -> None:
        """Until there is news, or the next write is due."""
        times = [at for r in self._reports.values() if (at := r.due_at()) is not None]
        at = max(min(times), self._paused_until) if times else None
        try:
            async with asyncio.timeout_at(at):
                await self._news.wait()
        except TimeoutError:
            pass

    async def _write(self, report: Report) -> None:
        """Write one report if it still differs; trouble decides when to try again."""
        async with report.lock:
            try:
                await self._adopt(report)
                at = report.due_at()
                if at is None or at > _now():
                    return
                await self._budget.take()
                if report.known is not None:
                    report.spend(_now())
                    await self._apply(report, report.known)
                    report.settle(_now())
            except ClusterError as error:
                self._postpone(report, error)
            else:
                self._backoff.reset()

    async def _adopt(self, report: Report) -> None:
        """Read what stands there, so that times are carried over and equal things not written."""
        if report.reported is not None or report.gone:
            return
        found = await self._cluster.camera(report.name)
        if found is None or found["metadata"]["uid"] != report.uid:
            self._lose(report)
            return
        report.reported = runtime_part(CameraStatus.read(found.get("status") or {}))
        report.settle(_now())

    async def _apply(self, report: Report, status: CameraStatus) -> None:
        answer = await self._cluster.apply_camera_status(report.name, status.to_wire())
        self.writes += 1
        # A status apply that names a uid is accepted whatever the uid: compare here.
        if answer["metadata"]["uid"] != report.uid:
            self._lose(report)
            return
        report.reported = status
        report.differs_since = None
        if report.uid in self._reports:
            self._on_written(report.uid, status)

    def _lose(self, report: Report) -> None:
        report.gone = True
        log.info("camera object is gone, no longer reported", extra={"camera": report.name})

    def _postpone(self, report: Report, error: ClusterError) -> None:
        if error.trouble is Trouble.NOT_FOUND:
            self._lose(report)
            return
        log.warning("status not written", extra={"camera": report.name, "cause": str(error)})
        pauses = {
            Trouble.FORBIDDEN: FORBIDDEN_PAUSE_S,
            Trouble.INVALID: INVALID_PAUSE_S,
            Trouble.CONFLICT: CONFLICT_PAUSE_S,
        }
        if error.trouble in pauses:
            report.not_before = _now() + pauses[error.trouble]
            return
        # The server itself is in trouble: no camera's write is tried for a while.
        delay_s = max(self._backoff.next_s(), error.retry_after_s or 0.0)
        self._paused_until = _now() + delay_s


def _now() -> float:
    return asyncio.get_running_loop().time()
