# SPDX-License-Identifier: Apache-2.0
"""One camera: connect, watch, come back. `run` repeats `run_once` under a backoff.

The fleet makes one supervisor for each camera of the shard and cancels it to stop the camera.
Supervisors know protocols only by the narrow interfaces of surroundings.py, publish facts to the
reporter and never touch another camera; what cameras share (budgets, the ledger of attempts, the
media loop) is handed in.

A failure stands until something better is known: while a camera that is down is being tried
again its facts do not change, so trying costs no status write.
"""

from __future__ import annotations

import asyncio
import logging
import random
from contextlib import AbstractAsyncContextManager, nullcontext

from camfleet_api.camera import CameraStatus, DeviceStatus, LearnedStatus
from camfleet_api.conditions import Reason
from camfleet_worker.assignment import Assignment
from camfleet_worker.attempts import Login
from camfleet_worker.credentials import Credentials
from camfleet_worker.errors import IngestError, Retry
from camfleet_worker.facts import CameraFacts, Failure
from camfleet_worker.media.access_unit import VideoFormat
from camfleet_worker.media.counters import StreamCounters
from camfleet_worker.memory import (
    device_status,
    learned_from_stream,
    learned_status,
    recalled,
    recalled_side,
    side_failures,
    stream_target,
    without_transport,
)
from camfleet_worker.resolve import AttemptGate, ResolveRequest, needs_resolve, revealed
from camfleet_worker.resolve.freshness import MAX_AGE_S
from camfleet_worker.rtsp.client import PlayingStream, no_gate
from camfleet_worker.session_events import SessionEvents
from camfleet_worker.sink_set import NO_SINKS, SinkSet, wanted_sinks
from camfleet_worker.surroundings import MediaChannel, Surroundings

log = logging.getLogger(__name__)

PROBE_S = 5.0
RTSP_DEADLINE_S = 10.0
SECRET_PATIENCE_S = 5.0
"""How long the first read of a Secret may take before it counts as missing."""
HEALTHY_AFTER_S = 60.0
"""A camera that plays for two seconds and dies keeps its long backoff."""
SLOW_RETRY_S = 30 * 60.0
SLOW_JITTER_S = 120.0


class CameraSupervisor:
    """Keeps one camera connected."""

    def __init__(self, assignment: Assignment, channel: MediaChannel, around: Surroundings) -> None:
        self.assignment = assignment
        self.reconnects = 0
        self.auth_failures = 0
        self._channel = channel
        self._around = around
        self._backoff = around.backoff()
        self._wake = asyncio.Event()
        self._credentials: Credentials | None = None
        self._sinks: SinkSet = NO_SINKS
        self._streaming = False
        self._failure: Failure | None = None
        self._last_error: Reason | None = None
        self._side: tuple[Failure, ...] = ()
        self._device: DeviceStatus | None = None
        self._learned: LearnedStatus | None = None
        self._learnt_at = 0.0
        self._published: CameraFacts | None = None
        self._session_timeout_s = 0.0
        self._past = StreamCounters()
        self._session = StreamCounters()

    @property
    def streaming(self) -> bool:
        """Whether whole access units arrive."""
        return self._streaming

    @property
    def received(self) -> StreamCounters:
        """What has arrived since the camera was assigned, over all sessions."""
        return _sum(self._past, self._session)

    @property
    def sinks(self) -> SinkSet:
        """The sinks of the camera; none before the first connect."""
        return self._sinks

    async def run(self) -> None:
        """Keep the camera connected until cancelled."""
        self._recollect(await self._around.recollect(self.assignment))
        while True:
            error = await self.run_once()
            await self._rest(error)

    async def run_once(self) -> IngestError:
        """One connect and the session after it; never retries, returns why it ended."""
        self._wake.clear()
        try:
            stream = await self._connect()
            error = await self._watch(stream)
        except IngestError as failed:
            error = failed
        self._fail(error)
        return error

    def renew(self, assignment: Assignment) -> None:
        """Go on under another generation: nothing that reaches the stream has changed."""
        self.assignment = assignment
        if self._learned is not None:
            generation = assignment.camera.generation
            self._learned = self._learned.model_copy(update={"generation": generation})
        self.publish()

    def secret_changed(self, name: str) -> None:
        """A Secret has other content: retry at once where it was the cause; a stream goes on."""
        camera = self.assignment.camera
        if camera.credentials is not None and camera.credentials.secret_name == name:
            self._wake.set()
        relays = self.assignment.policy.relays
        concerned = any(r.credentials and r.credentials.secret_name == name for r in relays)
        if concerned and self._sinks != NO_SINKS:
            self._make_sinks()
        self.publish()

    def publish(self) -> None:
        """Tell the reporter what is known, if that is news. Called every so often by the fleet:
        sinks change their state on other threads and ring no bell."""
        facts = CameraFacts(
            generation=self.assignment.camera.generation,
            streaming=self._streaming,
            failure=self._failure,
            sinks=self._sinks.facts(wanted_sinks(self.assignment.policy)),
            side=self._side,
            device=self._device,
            learned=self._learned,
            attempts=self._around.ledger.of(self._account) if self._account else None,
        )
        if facts != self._published:
            self._published = facts
            self._around.reports.publish(self.assignment.uid, facts)

    # Connecting.

    async def _connect(self) -> PlayingStream:
        """ONVIF where it must be asked, then RTSP."""
        self._credentials = await self._login_at_hand()
        async with self._gate() as login:
            if self._must_resolve():
                await self._turn()
                await self._resolve(login)
            await self._turn()
            return await self._open(login)

    async def _login_at_hand(self) -> Credentials | None:
        """The camera's account; IngestError where the Secret does not give one.

        A device that is away is told as such, whatever the Secret: Reachable stands before
        Authenticated, and nobody need look for a Secret before the camera has power.
        """
        camera = self.assignment.camera
        if camera.credentials is None:
            return None
        await self._around.accounts.known(camera.credentials.secret_name, SECRET_PATIENCE_S)
        try:
            return self._around.accounts.camera_login(camera.credentials)
        except IngestError as error:
            self._credentials = None
            trouble = await self._around.probe(camera.host, camera.onvif_port, PROBE_S)
            raise trouble or error from None

    def _gate(self) -> AbstractAsyncContextManager[Login | None]:
        """What every login passes; nothing where there is nothing to log in with."""
        if self._account is None:
            return nullcontext()
        uid, generation = self.assignment.uid, self.assignment.camera.generation
        return self._around.ledger.login(
            self._account,
            lambda attempts: self._around.reports.record_attempt(uid, attempts, generation),
        )

    def _must_resolve(self) -> bool:
        learned = self._learned
        if learned is None:
            return True
        unproven = self._account is not None and not self._around.ledger.proven(self._account)
        return needs_resolve(
            recalled(learned),
            spec_changed=learned.generation != self.assignment.camera.generation or unproven,
            age_s=_now() - self._learnt_at,
            last_error=self._last_error,
        )

    async def _turn(self) -> None:
        """Wait for the connect budget of the site and of the worker."""
        site, per_s = self.assignment.camera.site, self.assignment.policy.site_connects_per_second
        await self._around.budget.take(site, per_s)

    async def _resolve(self, login: Login | None) -> None:
        """Ask the camera by ONVIF and remember the answer."""
        camera = self.assignment.camera
        gate: AttemptGate = login if login is not None else _NoLogin()
        learned = recalled(self._learned) if self._learned is not None else None
        request = ResolveRequest.of(camera, self.assignment.policy, learned)
        resolution = await self._around.resolver.resolve(request, self._credentials, attempts=gate)
        self._device = device_status(resolution)
        self._learned = learned_status(resolution.learned, camera.generation, self._learned)
        self._learnt_at = _now()
        self._side = side_failures(resolution)
        self._last_error = None

    async def _open(self, login: Login | None) -> PlayingStream:
        assert self._learned is not None  # _must_resolve is True without it
        camera = self.assignment.camera
        path = revealed(self._learned.stream_path, self._credentials)
        target = stream_target(
            camera, self.assignment.policy, self._learned, path, self._session_timeout_s
        )
        try:
            stream = await self._around.open_stream(
                target,
                self._credentials,
                deadline_s=RTSP_DEADLINE_S,
                before_attempt=no_gate if login is None else login.before_rtsp_attempt,
            )
        except IngestError as error:
            if login is not None and error.reason in (
                Reason.RTSP_CREDENTIALS_REJECTED,
                Reason.ACCOUNT_LOCKED,
            ):
                login.rtsp_rejected(error)
            raise
        if login is not None:
            login.rtsp_taken()
        return stream

    # Watching.

    async def _watch(self, stream: PlayingStream) -> IngestError:
        """Hand the session to the media loop and wait until it has ended."""
        self._session_timeout_s = stream.session.timeout_s
        if self._learned is not None:
            self._learned = learned_from_stream(self._learned, stream)
        self._make_sinks()
        events = SessionEvents()
        session = self._channel.play(stream, events)
        self._session = session.counters
        try:
            video = await events.first_key_frame_or_end()
            if video is not None:
                self._succeed(video)
                await self._refresh_until(events)
            error = await events.end()
            if error.reason is Reason.NO_FRAMES and self._learned is not None:
                self._learned = without_transport(self._learned)
            return error
        finally:
            session.stop()
            self._past = _sum(self._past, self._session)
            self._session = StreamCounters()

    async def _refresh_until(self, events: SessionEvents) -> None:
        """While the session lasts: forgive after a minute, ask ONVIF again once a day."""
        if await events.ends_within(HEALTHY_AFTER_S):
            return
        self._backoff.reset()
        while not await events.ends_within(max(1.0, self._learnt_at + MAX_AGE_S - _now())):
            try:
                async with self._gate() as login:
                    await self._turn()
                    await self._resolve(login)
            except IngestError as error:
                # The stream plays: whatever ONVIF says now cannot be worse than waiting a day.
                self._learnt_at = _now()
                log.info("daily resolve failed", extra=self._names() | {"cause": str(error)})
            self.publish()

    def _succeed(self, video: VideoFormat) -> None:
        log.info("streaming", extra=self._names())
        self._streaming, self._failure, self._last_error = True, None, None
        self.reconnects += 1
        if self._learned is not None and video.width and video.height:
            size = {"width": video.width, "height": video.height}
            self._learned = self._learned.model_copy(update=size)
        self.publish()

    def _fail(self, error: IngestError) -> None:
        failure = Failure.of(error)
        if failure != self._failure:
            log.info("not streaming", extra=self._names() | {"cause": str(error)})
        if error.retry is Retry.ON_SECRET_CHANGE:
            self.auth_failures += 1
        self._streaming, self._failure, self._last_error = False, failure, error.reason
        self.publish()

    async def _rest(self, error: IngestError) -> None:
        """Wait until trying again can help, or until a Secret has changed."""
        if error.retry is Retry.BACKOFF:
            delay_s = self._backoff.next_s()
        else:
            delay_s = SLOW_RETRY_S + random.uniform(0.0, SLOW_JITTER_S)
        try:
            async with asyncio.timeout(delay_s):
                await self._wake.wait()
        except TimeoutError:
            pass

    # What is remembered.

    def _recollect(self, status: CameraStatus | None) -> None:
        """Begin where the last worker stopped."""
        if status is not None:
            self._device = status.device
            self._learned = status.learned
            self._learnt_at = _now()
            self._side = recalled_side(status)
        self.publish()

    def _make_sinks(self) -> None:
        """Those that stay the same go on without a break."""
        made = self._around.make_sinks(self.assignment, self._sinks)
        if made != self._sinks:
            self._sinks = made
            self._channel.replace_sinks(made.sinks)

    @property
    def _account(self) -> str | None:
        """The account in the ledger: device address, user name, Secret version."""
        if self._credentials is None:
            return None
        camera = self.assignment.camera
        return self._credentials.account_key(f"{camera.host}:{camera.onvif_port}")

    def _names(self) -> dict[str, object]:
        return {"camera": self.assignment.camera.name, "site": self.assignment.camera.site}


class _NoLogin:
    """The gate of a camera without credentials: nothing is ever tried."""

    async def before_attempt(self, scheme: str) -> None:
        """Nobody asks."""

    async def proven(self, scheme: str) -> None:
        """Nobody tells."""

    async def rejected(self, scheme: str, error: IngestError) -> None:
        """Nobody tells."""


def _sum(past: StreamCounters, session: StreamCounters) -> StreamCounters:
    return StreamCounters(
        bytes=past.bytes + session.bytes,
        packets=past.packets + session.packets,
        lost_packets=past.lost_packets + session.lost_packets,
        access_units=past.access_units + session.access_units,
        last_access_unit_monotonic=max(
            past.last_access_unit_monotonic, session.last_access_unit_monotonic
        ),
    )


def _now() -> float:
    return asyncio.get_running_loop().time()
