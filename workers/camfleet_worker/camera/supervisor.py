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
import math
import random
from contextlib import AbstractAsyncContextManager, nullcontext

from camfleet_api.camera import CameraStatus, DeviceStatus, LearnedStatus
from camfleet_api.conditions import ConditionType, Reason
from camfleet_worker.base.errors import IngestError, Retry
from camfleet_worker.camera.assignment import Assignment
from camfleet_worker.camera.failure_damping import Outage
from camfleet_worker.camera.first_login import require_first_login
from camfleet_worker.camera.flapping import Flapping
from camfleet_worker.camera.identity_watch import IdentityWatch
from camfleet_worker.camera.sink_set import NO_SINKS, SinkSet, wanted_sinks
from camfleet_worker.camera.status_mapping import (
    learned_from_stream,
    learned_status,
    recalled,
    recalled_side,
    side_failures,
    stream_target,
    without_transport,
)
from camfleet_worker.camera.surroundings import MediaChannel, Surroundings
from camfleet_worker.login.attempts import Login
from camfleet_worker.login.credentials import Credentials
from camfleet_worker.media.counters import StreamCounters
from camfleet_worker.media.session_events import SessionEvents
from camfleet_worker.media.session_totals import added
from camfleet_worker.media_types.access_unit import VideoFormat
from camfleet_worker.media_types.causes import cause_of
from camfleet_worker.reporter.facts import CameraFacts, Failure
from camfleet_worker.resolve import AttemptGate, ResolveRequest, needs_resolve, revealed
from camfleet_worker.resolve.freshness import MAX_AGE_S
from camfleet_worker.rtsp.client import PlayingStream, no_gate

log = logging.getLogger(__name__)

PROBE_S = 5.0
RTSP_DEADLINE_S = 10.0
SECRET_PATIENCE_S = 5.0
"""How long the first read of a Secret may take before it counts as missing."""
SLOW_RETRY_S = 30 * 60.0
SLOW_JITTER_S = 120.0
OF_THE_SUPERVISOR = frozenset(
    {ConditionType.IDENTITY_STABLE, ConditionType.IMAGE_HEALTHY, ConditionType.STABLE}
)
"""Side conditions that it knows by itself; the others come from a resolve."""


class CameraSupervisor:
    """Keeps one camera connected."""

    def __init__(self, assignment: Assignment, channel: MediaChannel, around: Surroundings) -> None:
        self.assignment = assignment
        self.reconnects = 0
        self.auth_failures = 0
        self._channel = channel
        self._around = around
        self._backoff = around.backoff()
        place = f"{self.assignment.device}:{assignment.camera.rtsp_port}"
        self._device = around.devices.at(place, around.backoff)
        self.journal = around.journals.open(assignment, channel.arrivals)
        self._wake = asyncio.Event()
        self._credentials: Credentials | None = None
        self._sinks: SinkSet = NO_SINKS
        self._streaming = False
        self._failure: Failure | None = None
        self._last_error: Reason | None = None
        self._down_since: float | None = None
        self._outage = Outage()
        self._flapping = Flapping()
        self._side: tuple[Failure, ...] = ()
        self._recalled_picture: Failure | None = None
        self._identity = IdentityWatch()
        self._learned: LearnedStatus | None = None
        self._learnt_at = 0.0
        self._recheck_at = math.inf
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
        return added(self._past, self._session)

    @property
    def sinks(self) -> SinkSet:
        """The sinks of the camera; none before the first connect."""
        return self._sinks

    @property
    def answering(self) -> DeviceStatus | None:
        """What the device said it is when it was last asked."""
        return self._identity.answering

    @property
    def identity_trouble(self) -> Failure | None:
        """Why IdentityStable is not True."""
        return self._identity.failure

    def share_identity(self, fact: str | None) -> None:
        """Told by the fleet: another declared device answers as this one does."""
        self._identity.share(fact)

    async def run(self) -> None:
        """Keep the camera connected until cancelled."""
        self._recollect(await self._around.recollect(self.assignment))
        while True:
            error = await self.run_once()
            await self._rest(error)

    async def run_once(self) -> IngestError:
        """One connect and the session after it; never retries, returns why it ended."""
        self._wake.clear()
        connecting = True
        try:
            stream = await self._connect()
            connecting = False
            error = await self._watch(stream)
        except IngestError as failed:
            error = failed
        self.journal.failed(cause_of(error.condition, error.reason), connecting=connecting)
        self._fail(error)
        return error

    def renew(self, assignment: Assignment) -> None:
        """Go on under another generation: nothing that reaches the stream has changed."""
        self.assignment = assignment
        if self._learned is not None:
            generation = assignment.camera.generation
            self._learned = self._learned.model_copy(update={"generation": generation})
        if self._sinks != NO_SINKS:
            self._make_sinks()  # the same ones: what the site's recordings may take is told there
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
        """Tell the reporter and the journal what is known, if that is news. Called every so often
        by the fleet: sinks change their state on other threads and ring no bell."""
        self.journal.look(self._sinks)
        facts = CameraFacts(
            generation=self.assignment.camera.generation,
            streaming=self._streaming,
            failure=self._failure,
            sinks=self._sinks.facts(wanted_sinks(self.assignment.policy)),
            side=self._side_failures(),
            device=self._identity.device,
            learned=self._learned,
            attempts=self._around.ledger.of(self._account) if self._account else None,
        )
        if facts != self._published:
            self._published = facts
            self._around.reports.publish(self.assignment.uid, facts)

    def _side_failures(self) -> tuple[Failure, ...]:
        also = (self._picture_failure(), self._identity.failure, self._flapping.failure(_now()))
        return (*self._side, *(failure for failure in also if failure is not None))

    def _picture_failure(self) -> Failure | None:
        """Why ImageHealthy is not True. What a former worker saw holds until it is known here."""
        picture = self._sinks.picture
        if picture.working or picture.failure is not None:
            self._recalled_picture = None
        return picture.failure or self._recalled_picture

    # Connecting.

    async def _connect(self) -> PlayingStream:
        """ONVIF where it must be asked, then RTSP."""
        async with self._device.connecting():
            self._credentials = await self._login_at_hand()
            await self._require_first_login()
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
            raise await self._absence() or error from None

    async def _require_first_login(self) -> None:
        """IngestError while another worker's camera has not proven the account of both."""
        first = self.assignment.camera.login_after
        if first is None or self._account is None or self._around.ledger.proven(self._account):
            return
        status = await self._around.other_camera(first)
        try:
            require_first_login(self._around.ledger, self._account, first, status)
        except IngestError as error:
            raise await self._absence() or error from None

    async def _absence(self) -> IngestError | None:
        """Why the device cannot be reached at all; None where it answers."""
        camera = self.assignment.camera
        await self._turn()
        return await self._around.probe(camera.host, camera.onvif_port, PROBE_S)

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
        self._identity.see(resolution.device, camera.serial_number)
        self._learned = learned_status(resolution.learned, camera.generation, self._learned)
        self._learnt_at, self._recheck_at = _now(), math.inf
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
            raise await self._refused_port(error) or error from None
        if login is not None:
            login.rtsp_taken()
        return stream

    async def _refused_port(self, error: IngestError) -> IngestError | None:
        """RtspOff or ConnectionRefused: told by the other port, without asking ONVIF anything."""
        if error.reason is not Reason.CONNECTION_REFUSED:
            return None
        onvif, rtsp = self.assignment.camera.onvif_port, self.assignment.camera.rtsp_port
        if await self._absence() is None:
            reason, fact = Reason.RTSP_OFF, f"ONVIF answers, port {rtsp} (RTSP) does not"
        else:
            reason = Reason.CONNECTION_REFUSED
            fact = f"Port {rtsp} (RTSP) refuses the connection, port {onvif} (ONVIF) is closed too"
        return IngestError(ConditionType.REACHABLE, reason, fact)

    # Watching.

    async def _watch(self, stream: PlayingStream) -> IngestError:
        """Hand the session to the media loop and wait until it has ended."""
        self._session_timeout_s = stream.session.timeout_s
        if self._learned is not None:
            self._learned = learned_from_stream(self._learned, stream)
        if stream.silence:
            log.info("video without audio", extra=self._names() | {"cause": stream.silence})
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
            self._device.doubt()
            self._past = added(self._past, self._session)
            self._session = StreamCounters()

    async def _refresh_until(self, events: SessionEvents) -> None:
        """While the session lasts: forgive after a minute, ask ONVIF again once a day, and some
        minutes after an outage, when it may be another device or one that lost its clock."""
        if await events.ends_within(self._around.pace.healthy_after_s):
            return
        self._backoff.reset()
        self._device.healthy()
        self._outage.over()
        while not await events.ends_within(self._refresh_in_s()):
            try:
                async with self._gate() as login:
                    await self._turn()
                    await self._resolve(login)
            except IngestError as error:
                # The stream plays: whatever ONVIF says now cannot be worse than waiting a day.
                self._learnt_at, self._recheck_at = _now(), math.inf
                log.info(
                    "resolve beside stream failed", extra=self._names() | {"cause": str(error)}
                )
            self.publish()

    def _refresh_in_s(self) -> float:
        return max(0.1, min(self._learnt_at + MAX_AGE_S, self._recheck_at) - _now())

    def _succeed(self, video: VideoFormat) -> None:
        log.info("streaming", extra=self._names())
        pace, now = self._around.pace, _now()
        if self._down_since is not None and now - self._down_since >= pace.outage_s:
            self._recheck_at = now + random.uniform(pace.recheck_least_s, pace.recheck_most_s)
        self._streaming, self._failure, self._last_error = True, None, None
        self._down_since = None
        self._outage.streams()
        self.reconnects += 1
        if self._learned is not None and video.width and video.height:
            size = {"width": video.width, "height": video.height}
            self._learned = self._learned.model_copy(update=size)
        self.publish()

    def _fail(self, error: IngestError) -> None:
        now = _now()
        # A stream that had pictures is where it was learnt to be: asking could only cost.
        self._last_error = None if self._streaming else error.reason
        if self._streaming:
            self._flapping.ended(now)
            self._down_since = now
        if error.retry is Retry.ON_SECRET_CHANGE:
            self.auth_failures += 1
        final = error.retry is not Retry.BACKOFF
        failure = self._outage.tell(Failure.of(error), now, final=final)
        if failure != self._failure:
            log.info("not streaming", extra=self._names() | {"cause": str(error)})
        self._streaming, self._failure = False, failure
        self.publish()

    async def _rest(self, error: IngestError) -> None:
        """Wait until trying again can help, or until a Secret has changed."""
        try:
            async with asyncio.timeout(self._rest_s(error)):
                await self._wake.wait()
        except TimeoutError:
            pass

    def _rest_s(self, error: IngestError) -> float:
        """A device that is away has one backoff for all its cameras."""
        if error.retry is not Retry.BACKOFF:
            return SLOW_RETRY_S + random.uniform(0.0, SLOW_JITTER_S)
        away_s = self._device.away_for(_now())
        if away_s is not None:
            return away_s
        patience_s = (error.retry_after_s or 0.0) * random.uniform(1.0, 1.2)
        return max(self._backoff.next_s(), patience_s)

    # What is remembered.

    def _recollect(self, status: CameraStatus | None) -> None:
        """Begin where the last worker stopped."""
        if status is not None:
            side = recalled_side(status)
            self._identity.recall(status.device, side)
            self._learned = status.learned
            self._learnt_at = _now()
            self._side = tuple(f for f in side if f.condition not in OF_THE_SUPERVISOR)
            pictures = (f for f in side if f.condition is ConditionType.IMAGE_HEALTHY)
            self._recalled_picture = next(pictures, None)
            if any(f.condition is ConditionType.STABLE for f in side):
                self._flapping.recall(_now())
        self.publish()

    def _make_sinks(self) -> None:
        """Those that stay the same go on without a break."""
        made = self._around.make_sinks(self.assignment, self._sinks)
        if made != self._sinks:
            self._sinks = made
            self._channel.replace_sinks(made.sinks)
            self.journal.follow(made)

    @property
    def _account(self) -> str | None:
        """The account in the ledger: device address, user name, Secret version."""
        if self._credentials is None:
            return None
        return self._credentials.account_key(self.assignment.device)

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

    async def unanswered(self, scheme: str) -> None:
        """Nobody tells."""


def _now() -> float:
    return asyncio.get_running_loop().time()
