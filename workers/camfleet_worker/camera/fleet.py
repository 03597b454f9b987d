# SPDX-License-Identifier: Apache-2.0
"""Runs all cameras of a worker, with one supervisor each, as the shard lists them.

The shard follower calls it with every shard, and Accounts with every changed Secret. It touches
only cameras whose entry changed. A supervisor that a bug ends is counted and started again alone.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Protocol

from camfleet_api.camera import DeviceStatus
from camfleet_api.cause import Cause
from camfleet_api.ingest_shard import IngestShardSpec
from camfleet_worker.base.backoff import Backoff
from camfleet_worker.camera.assignment import Assignment, assignments_of, change_between
from camfleet_worker.camera.assignment_index import AssignmentIndex
from camfleet_worker.camera.supervisor import CameraSupervisor, Feed, SupervisorDeps
from camfleet_worker.resolve.identity import shared

log = logging.getLogger(__name__)

POLL_S = 0.5
"""How soon a changed sink is noticed; a check costs two attribute reads a sink."""
CLOSE_S = 4.0
"""How long removed cameras may take to close; they go on closing after that."""


class StatusReporter(Protocol):
    """Keeps a report on each camera."""

    def follow(self, name: str, uid: str) -> None:
        """Begin to report."""

    def forget(self, uid: str) -> None:
        """Stop reporting."""


@dataclass
class _Running:
    supervisor: CameraSupervisor
    feed: Feed
    task: asyncio.Task[None]


class Fleet:
    """Runs the supervisors of all assigned cameras."""

    def __init__(
        self,
        deps: SupervisorDeps,
        reporter: StatusReporter,
        open_feed: Callable[[str], Feed],
        index: AssignmentIndex,
    ) -> None:
        """`index`: the fleet keeps the running assignments in it."""
        self._deps = deps
        self._reporter = reporter
        self._open_feed = open_feed
        self._index = index
        self._running: dict[str, _Running] = {}
        self._compared: dict[str, DeviceStatus] = {}
        self.bugs = 0

    @property
    def supervisors(self) -> Collection[CameraSupervisor]:
        """The supervisors of all running cameras, for metrics and snapshots."""
        return [running.supervisor for running in self._running.values()]

    async def apply(self, spec: IngestShardSpec) -> None:
        """Take a shard over. When it returns, removed cameras are stopped and forgotten."""
        old = {uid: running.supervisor.assignment for uid, running in self._running.items()}
        new = assignments_of(spec)
        change = change_between(old, new)
        for assignment in change.removed:
            self._reporter.forget(assignment.uid)
        for assignment in (*change.added, *change.changed):
            self._reporter.follow(assignment.camera.name, assignment.uid)
        self._index.hold(new)  # after follow: a status is read of followed cameras only
        await self._stop(a.uid for a in (*change.removed, *change.changed))
        for assignment in (*change.added, *change.changed):
            self._start(assignment)
        for assignment in change.renewed:
            self._running[assignment.uid].supervisor.renew(assignment)
        log.info(
            "shard taken over",
            extra={
                "hash": spec.hash,
                "added": len(change.added),
                "removed": len(change.removed),
                "changed": len(change.changed),
            },
        )

    def secret_changed(self, name: str) -> None:
        """Wake the cameras that use this Secret, and no other."""
        for assignment in self._index.with_secret(name):
            running = self._running.get(assignment.uid)
            if running is not None:
                running.supervisor.secret_changed(name)

    async def poll(self) -> None:
        """Make every supervisor publish the state of its sinks and device, for ever."""
        while True:
            await asyncio.sleep(POLL_S)
            self._compare_identities()
            for supervisor in self.supervisors:
                supervisor.publish()

    def _compare_identities(self) -> None:
        """Make supervisors report different devices with one identity. The channels of a recorder
        are one device."""
        answering = {
            str(s.assignment.device): s.answering
            for s in self.supervisors
            if s.answering is not None
        }
        if answering == self._compared:
            return
        self._compared = answering
        details = {
            device: group.detail_for(device)
            for group in shared(answering)
            for device in group.devices
        }
        for supervisor in self.supervisors:
            supervisor.share_identity(details.get(str(supervisor.assignment.device)))

    async def stop(self) -> None:
        """Stop every camera: TEARDOWN, files closed."""
        await self._stop(list(self._running))

    def _start(self, assignment: Assignment) -> None:
        feed = self._open_feed(assignment.camera.name)
        supervisor = CameraSupervisor(assignment, feed, self._deps)
        task = asyncio.create_task(self._keep(supervisor), name=f"camera {assignment.camera.name}")
        self._running[assignment.uid] = _Running(supervisor, feed, task)

    async def _stop(self, uids: Iterable[str]) -> None:
        stopping = [self._running.pop(uid) for uid in uids]
        for running in stopping:
            running.task.cancel()
        await asyncio.gather(*(running.task for running in stopping), return_exceptions=True)
        closed = [asyncio.wrap_future(running.feed.close()) for running in stopping]
        if closed:
            # The media loop ends a session that answers no TEARDOWN within seconds of its own.
            await asyncio.wait(closed, timeout=CLOSE_S)
        self._deps.journals.close([running.supervisor.journal for running in stopping])

    async def _keep(self, supervisor: CameraSupervisor) -> None:
        """Run a camera, and run it again after a bug of ours, which is counted and logged."""
        backoff = Backoff(first_s=1.0, most_s=60.0)
        while True:
            try:
                await supervisor.run()
            except Exception:
                self.bugs += 1
                supervisor.journal.failed(Cause.SYSTEM)
                log.exception(
                    "bug in a supervisor", extra={"camera": supervisor.assignment.camera.name}
                )
            await asyncio.sleep(backoff.next_s())
