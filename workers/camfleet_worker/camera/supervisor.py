# SPDX-License-Identifier: Apache-2.0
"""Keeps one camera connected: `run_once` connects and watches, `run` repeats it under a backoff.

The fleet makes one supervisor for each camera of the shard and cancels it to stop the camera. It
only decides when to connect and when to wait. Its parts do the rest: the connect (`connector.py`),
learnt values (`learnt.py`), the reported state (`stream_state.py`) and the sinks
(`camera_sinks.py`). It never touches another camera; what cameras share comes as an argument.

A failure is reported until another state is known: while a camera that is down is tried again its
snapshot does not change, so trying causes no status write.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol

from camfleet_api.camera import CameraStatus, DeviceStatus
from camfleet_api.cause import Cause
from camfleet_api.conditions import ConditionType, Reason, cause_of
from camfleet_worker.base.errors import IngestError, Retry
from camfleet_worker.camera.assignment import Assignment
from camfleet_worker.camera.camera_sinks import CameraSinks, MakeSinks
from camfleet_worker.camera.connector import ConnectDeps, Connector
from camfleet_worker.camera.devices import Devices
from camfleet_worker.camera.learnt import Learnt
from camfleet_worker.camera.received_totals import ReceivedTotals
from camfleet_worker.camera.sink_set import SinkSet, wanted_sinks
from camfleet_worker.camera.status_mapping import recalled_side
from camfleet_worker.camera.stream_state import StreamState
from camfleet_worker.camera.timings import CameraTimings
from camfleet_worker.media.counters import StreamCounters
from camfleet_worker.media.session_events import SessionEvents
from camfleet_worker.media.stream import StreamListener
from camfleet_worker.media_types.access_unit import VideoFormat
from camfleet_worker.media_types.delivery_log import DeliveryLog
from camfleet_worker.media_types.sink import Sink
from camfleet_worker.reporter.facts import CameraSnapshot, Failure
from camfleet_worker.rtsp.client import PlayingStream

log = logging.getLogger(__name__)


class Journal(Protocol):
    """The journal of one camera's gaps."""

    def failed(self, cause: Cause, *, connecting: bool = False) -> None:
        """Note that the camera does not stream. `connecting`: a connect failed."""

    def follow(self, sinks: SinkSet) -> None:
        """Read the delivery logs of these sinks, and note those that could not be made."""

    def look(self, sinks: SinkSet) -> None:
        """Note whether the picture can be used."""

    def renew(self, assignment: Assignment) -> None:
        """Take the site's maintenance windows anew."""


class JournalKeeper(Protocol):
    """The journals of all cameras."""

    def open(self, assignment: Assignment, arrivals: DeliveryLog) -> Journal:
        """Begin the journal of a camera."""

    def close(self, journals: Sequence[Journal]) -> None:
        """End journals of cameras that were stopped on purpose."""


class Session(Protocol):
    """A session inside the media loop."""

    @property
    def counters(self) -> StreamCounters:
        """The counts of this session; they may be read at any time."""

    def stop(self) -> Future[None]:
        """Send TEARDOWN; done when the socket is closed. The listener is not called any more."""


class Feed(Protocol):
    """A camera's place in the media loop; its sinks outlive its sessions."""

    @property
    def arrivals(self) -> DeliveryLog:
        """The delivery log of the access units that arrive."""

    def play(self, stream: PlayingStream, listener: StreamListener) -> Session:
        """Receive the stream in the media loop."""

    def replace_sinks(self, sinks: Sequence[Sink]) -> None:
        """Replace the sinks; those in both sets go on, the others are closed."""

    def close(self) -> Future[None]:
        """End the session and close every sink; done when both are done."""


class SnapshotReports(Protocol):
    """Writes the Camera's status."""

    def publish(self, uid: str, facts: CameraSnapshot) -> None:
        """Take a new snapshot of a camera."""


RestoreStatus = Callable[[Assignment], Awaitable[CameraStatus | None]]
"""Returns the status that former workers wrote for a camera. When it returns, the ledger has every
attempt that was spent at its device."""


@dataclass(frozen=True)
class SupervisorDeps:
    """The parts that the supervisors of a worker share."""

    connect: ConnectDeps
    devices: Devices
    restore_status: RestoreStatus
    make_sinks: MakeSinks
    journals: JournalKeeper
    reports: SnapshotReports
    timings: CameraTimings


class CameraSupervisor:
    """Keeps one camera connected."""

    def __init__(self, assignment: Assignment, feed: Feed, deps: SupervisorDeps) -> None:
        self.assignment = assignment
        self.reconnects = 0
        self.auth_failures = 0
        self.journal = deps.journals.open(assignment, feed.arrivals)
        self._feed = feed
        self._deps = deps
        self._timings = deps.timings
        self._backoff = deps.timings.backoff()
        self._device = deps.devices.at(
            assignment.device, assignment.camera.rtsp_port, deps.timings.backoff
        )
        self._learnt = Learnt()
        self._connector = Connector(deps.connect, self._device, self._learnt, deps.timings)
        self._state = StreamState()
        self._sinks = CameraSinks(deps.make_sinks, feed.replace_sinks)
        self._received = ReceivedTotals()
        self._published: CameraSnapshot | None = None
        self._wake = asyncio.Event()

    @property
    def streaming(self) -> bool:
        """Whether whole access units arrive."""
        return self._state.streaming

    @property
    def received(self) -> StreamCounters:
        """The counts since the camera was assigned, over all sessions."""
        return self._received.total

    @property
    def sinks(self) -> SinkSet:
        """The sinks of the camera; none before the first connect."""
        return self._sinks.set

    @property
    def answering(self) -> DeviceStatus | None:
        """The identity that the device returned when it was last asked."""
        return self._learnt.identity.answering

    def share_identity(self, detail: str | None) -> None:
        """Note that another declared device has the same identity; None: no more. For the fleet."""
        self._learnt.identity.share(detail)

    async def run(self) -> None:
        """Keep the camera connected until cancelled."""
        self._recall(await self._deps.restore_status(self.assignment))
        while True:
            error = await self.run_once()
            await self._rest(error)

    async def run_once(self) -> IngestError:
        """Connect and watch the session, without a retry; returns why it ended."""
        self._wake.clear()
        connecting = True
        try:
            stream = await self._connector.connect(self.assignment)
            connecting = False
            error = await self._watch(stream)
        except IngestError as failed:
            error = failed
        self.journal.failed(cause_of(error.reason), connecting=connecting)
        self._fail(error)
        return error

    def renew(self, assignment: Assignment) -> None:
        """Take an assignment with another generation, of which no change reaches the stream."""
        self.assignment = assignment
        self.journal.renew(assignment)
        self._learnt.renew(assignment.camera.generation)
        if self._sinks.made:
            self._renew_sinks()  # the same sinks; this declares the limit of the site's recordings
        self.publish()

    def secret_changed(self, name: str) -> None:
        """Retry at once where this changed Secret was the cause of a failure; a stream goes on."""
        camera = self.assignment.camera
        if camera.credentials is not None and camera.credentials.secret_name == name:
            self._wake.set()
        relays = self.assignment.policy.relays
        concerned = any(r.credentials and r.credentials.secret_name == name for r in relays)
        if concerned and self._sinks.made:
            self._renew_sinks()
        self.publish()

    def publish(self) -> None:
        """Give the reporter and the journal the current state, if it has changed. The fleet calls
        it regularly, because sinks change their state on other threads without a callback."""
        self.journal.look(self._sinks.set)
        self._learnt.lasts(_now())
        snapshot = self.snapshot
        if snapshot != self._published:
            self._published = snapshot
            self._deps.reports.publish(self.assignment.uid, snapshot)

    @property
    def snapshot(self) -> CameraSnapshot:
        """The state of the camera now."""
        return CameraSnapshot(
            generation=self.assignment.camera.generation,
            streaming=self._state.streaming,
            failure=self._state.failure,
            sinks=self._sinks.set.facts(wanted_sinks(self.assignment.policy)),
            side=self._side_failures(),
            device=self._learnt.identity.device,
            learned=self._learnt.status,
            attempts=self._connector.attempts,
        )

    def _side_failures(self) -> tuple[Failure, ...]:
        also = (
            self._sinks.picture_failure(),
            self._learnt.identity.failure,
            self._state.flapping(_now()),
        )
        return (*self._learnt.side, *(failure for failure in also if failure is not None))

    # Watching.

    async def _watch(self, stream: PlayingStream) -> IngestError:
        """Give the session to the media loop and wait until it has ended."""
        if stream.silence:
            log.info("video without audio", extra=self._names() | {"cause": stream.silence})
        self._renew_sinks()
        events = SessionEvents()
        session = self._feed.play(stream, events)
        self._received.begin(session.counters)
        try:
            video = await events.first_key_frame_or_end()
            if video is not None:
                self._succeed(video)
                await self._refresh_until(events)
            error = await events.end()
            if error.reason is Reason.NO_FRAMES:
                self._learnt.nothing_arrived()
            return error
        finally:
            session.stop()
            self._device.doubt()
            self._received.end()

    async def _refresh_until(self, events: SessionEvents) -> None:
        """While the session lasts, reset the backoff after a minute, and ask ONVIF once a day and
        some minutes after an outage, when the device or its clock may be another."""
        if await events.ends_within(self._timings.healthy_after_s):
            return
        self._backoff.reset()
        self._device.healthy()
        self._state.healthy()
        while not await events.ends_within(self._learnt.due_in_s(_now())):
            try:
                await self._connector.resolve(self.assignment)
            except IngestError as error:
                self._learnt.not_resolved(_now())
                log.info(
                    "resolve beside stream failed", extra=self._names() | {"cause": str(error)}
                )
            self.publish()

    def _succeed(self, video: VideoFormat) -> None:
        log.info("streaming", extra=self._names())
        timings, now = self._timings, _now()
        if self._state.up(now) >= timings.outage_s:
            seconds = random.uniform(timings.recheck_least_s, timings.recheck_most_s)
            self._learnt.recheck_in(seconds, now)
        self._learnt.streams(video)
        self.reconnects += 1
        self.publish()

    def _fail(self, error: IngestError) -> None:
        self._learnt.ended(error.reason, _now(), streamed=self._state.streaming)
        if error.retry is Retry.ON_SECRET_CHANGE:
            self.auth_failures += 1
        if self._state.down(error, _now()):
            log.info("not streaming", extra=self._names() | {"cause": str(error)})
        self.publish()

    # Waiting.

    async def _rest(self, error: IngestError) -> None:
        """Wait until the next try is due, or until a Secret has changed."""
        try:
            async with asyncio.timeout(self._rest_s(error)):
                await self._wake.wait()
        except TimeoutError:
            pass

    def _rest_s(self, error: IngestError) -> float:
        """The seconds to wait; a device that is away has one backoff for all its cameras."""
        if error.retry is not Retry.BACKOFF:
            return self._timings.slow_retry_s + random.uniform(0.0, self._timings.slow_jitter_s)
        away_s = self._device.away_for(_now())
        if away_s is not None:
            return away_s
        patience_s = (error.retry_after_s or 0.0) * random.uniform(1.0, 1.2)
        return max(self._backoff.next_s(), patience_s)

    # Its parts.

    def _recall(self, status: CameraStatus | None) -> None:
        """Take over the status that the last worker wrote."""
        if status is not None:
            side = recalled_side(status)
            self._learnt.recall(status, _now())
            self._sinks.recall_picture(side)
            for failure in side:
                if failure.condition is ConditionType.STABLE:
                    self._state.recall_flapping(failure, _now())
        self.publish()

    def _renew_sinks(self) -> None:
        if self._sinks.renew(self.assignment):
            self.journal.follow(self._sinks.set)

    def _names(self) -> dict[str, object]:
        return {"camera": self.assignment.camera.name, "site": self.assignment.camera.site}


def _now() -> float:
    return asyncio.get_running_loop().time()
