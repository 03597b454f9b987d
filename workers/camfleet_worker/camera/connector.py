# SPDX-License-Identifier: Apache-2.0
"""Connects one camera: with its account, by ONVIF where that must be asked, then by RTSP.

The supervisor calls it and decides what follows. It uses all that cameras share (the connect
budget, the ledger of logins, the device) and never retries.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Protocol

from camfleet_api.camera import Attempts
from camfleet_api.conditions import REASONS, ConditionType, Effect, Reason
from camfleet_api.policy import CredentialsRef
from camfleet_worker.base.errors import IngestError
from camfleet_worker.camera.assignment import Assignment
from camfleet_worker.camera.connect_budget import ConnectBudget
from camfleet_worker.camera.devices import Device
from camfleet_worker.camera.first_login import OtherCamera, require_first_login
from camfleet_worker.camera.learnt import Learnt
from camfleet_worker.camera.status_mapping import stream_target
from camfleet_worker.camera.timings import CameraTimings
from camfleet_worker.login.attempts import AttemptLedger, Login
from camfleet_worker.login.credentials import Credentials
from camfleet_worker.resolve import AttemptGate, AuthScheme, Resolution, ResolveRequest, revealed
from camfleet_worker.rtsp.client import (
    BeforeAttempt,
    LoginAccepted,
    PlayingStream,
    StreamTarget,
    no_gate,
    not_noted,
)


class Resolver(Protocol):
    """Asks a camera by ONVIF."""

    async def resolve(
        self, request: ResolveRequest, credentials: Credentials | None, *, attempts: AttemptGate
    ) -> Resolution:
        """The stream to take, or IngestError."""


class StreamOpener(Protocol):
    """Opens a stream by RTSP."""

    async def __call__(
        self,
        target: StreamTarget,
        credentials: Credentials | None,
        *,
        deadline_s: float,
        before_attempt: BeforeAttempt,
        accepted: LoginAccepted,
    ) -> PlayingStream:
        """A playing stream, or IngestError."""


class CameraAccounts(Protocol):
    """The accounts that Secrets hold."""

    async def known(self, name: str, within_s: float) -> bool:
        """Wait until it is known whether the Secret exists."""

    def camera_login(self, ref: CredentialsRef) -> Credentials:
        """The account, or IngestError."""


Probe = Callable[[str, int, float], Awaitable[IngestError | None]]
"""Returns why a TCP connect to (host, port) fails within some seconds; None where it does not."""

RecordAttempt = Callable[[str, Attempts, int], Awaitable[None]]
"""Writes attempts to the status of the Camera with this uid, under this generation; ClusterError
where that fails."""


@dataclass(frozen=True)
class ConnectDeps:
    """The parts that the connectors of a worker share."""

    resolver: Resolver
    open_stream: StreamOpener
    probe: Probe
    accounts: CameraAccounts
    ledger: AttemptLedger
    record_attempt: RecordAttempt
    budget: ConnectBudget
    other_camera: OtherCamera


class Connector:
    """Connects one camera. The assignment is an argument: it may change, but not its device."""

    def __init__(
        self, deps: ConnectDeps, device: Device, learnt: Learnt, timings: CameraTimings
    ) -> None:
        self._deps = deps
        self._device = device
        self._learnt = learnt
        self._timings = timings
        self._credentials: Credentials | None = None
        self._account: str | None = None
        """The account's key in the ledger: device, user name, version of the Secret's values."""
        self._session_timeout_s = 0.0

    @property
    def attempts(self) -> Attempts | None:
        """The attempts of the camera's account in the ledger; None where there are none."""
        return None if self._account is None else self._deps.ledger.of(self._account)

    async def connect(self, assignment: Assignment) -> PlayingStream:
        """Open a stream that plays; IngestError where that fails."""
        async with self._device.connecting():
            await self._take_account(assignment)
            await self._require_first_login(assignment)
            async with self._gate(assignment) as login:
                asks_onvif = self._must_resolve(assignment)
                if asks_onvif:
                    await self._budget(assignment)
                    await self._resolve(assignment, login)
                await self._budget(assignment)
                stream = await self._open(assignment, login, onvif_asked=asks_onvif)
        self._session_timeout_s = stream.session.timeout_s
        self._learnt.opened(stream, _now())
        return stream

    async def resolve(self, assignment: Assignment) -> None:
        """Ask ONVIF beside a stream that plays; IngestError where it gives none."""
        async with self._gate(assignment) as login:
            await self._budget(assignment)
            await self._resolve(assignment, login)

    async def _take_account(self, assignment: Assignment) -> None:
        """Read the account from its Secret; IngestError where the Secret has none.

        A device that is away is reported as such, whatever the Secret: Reachable comes before
        Authenticated, and a missing Secret does not matter while the camera has no power.
        """
        ref = assignment.camera.credentials
        self._credentials = None
        if ref is not None:
            await self._deps.accounts.known(ref.secret_name, self._timings.secret_s)
            try:
                self._credentials = self._deps.accounts.camera_login(ref)
            except IngestError as error:
                self._account = None
                raise await self._absence(assignment) or error from None
            self._account = self._credentials.account_key(assignment.device)

    async def _require_first_login(self, assignment: Assignment) -> None:
        """IngestError while another worker's camera has not proven the account of both."""
        first, ledger = assignment.camera.login_after, self._deps.ledger
        if first is None or self._account is None or ledger.proven(self._account):
            return
        status = await self._deps.other_camera(first)
        try:
            require_first_login(ledger, self._account, first, status)
        except IngestError as error:
            raise await self._absence(assignment) or error from None

    async def _absence(self, assignment: Assignment) -> IngestError | None:
        """Why the device cannot be reached at all; None where it answers."""
        camera = assignment.camera
        await self._budget(assignment)
        return await self._deps.probe(camera.host, camera.onvif_port, self._timings.probe_s)

    def _gate(self, assignment: Assignment) -> AbstractAsyncContextManager[Login | None]:
        """The gate of every login; it yields None for a camera without credentials."""
        if self._account is None:
            return nullcontext()
        uid, generation = assignment.uid, assignment.camera.generation
        return self._deps.ledger.login(
            self._account,
            lambda attempts: self._deps.record_attempt(uid, attempts, generation),
        )

    def _must_resolve(self, assignment: Assignment) -> bool:
        proven = self._account is None or self._deps.ledger.proven(self._account)
        return self._learnt.must_resolve(assignment.camera.generation, _now(), proven=proven)

    async def _budget(self, assignment: Assignment) -> None:
        """Wait for the connect budget of the site and of the worker."""
        per_s = assignment.policy.site_connects_per_second
        await self._deps.budget.take(assignment.camera.site, per_s)

    async def _resolve(self, assignment: Assignment, login: Login | None) -> None:
        """Ask the camera by ONVIF and remember the answer."""
        gate: AttemptGate = login if login is not None else _NoLogin()
        request = ResolveRequest.of(assignment.camera, assignment.policy, self._learnt.status)
        resolution = await self._deps.resolver.resolve(request, self._credentials, attempts=gate)
        self._learnt.resolved(resolution, assignment.camera, _now())

    async def _open(
        self, assignment: Assignment, login: Login | None, *, onvif_asked: bool
    ) -> PlayingStream:
        assert self._learnt.status is not None  # _must_resolve is True without it
        target = replace(
            stream_target(
                assignment.camera,
                assignment.policy,
                self._learnt.status,
                revealed(self._learnt.status.stream_path, self._credentials),
                self._session_timeout_s,
            ),
            keepalive=self._learnt.keepalive,
        )
        try:
            stream = await self._deps.open_stream(
                target,
                self._credentials,
                deadline_s=self._timings.rtsp_s,
                before_attempt=no_gate if login is None else login.before_rtsp_attempt,
                accepted=not_noted if login is None else login.rtsp_accepted,
            )
        except IngestError as error:
            if login is not None and REASONS[error.reason].has(Effect.REFUSES_RTSP_LOGIN):
                is_open = self._learnt.status.auth_scheme == AuthScheme.NONE
                error = login.rtsp_rejected(error, onvif_is_open=is_open, onvif_asked=onvif_asked)
            raise await self._refused_port(assignment, error) or error from None
        if login is not None:
            login.rtsp_plays()
        return stream

    async def _refused_port(self, assignment: Assignment, error: IngestError) -> IngestError | None:
        """RtspOff or ConnectionRefused: a connect to the ONVIF port decides, without a request."""
        if error.reason is not Reason.CONNECTION_REFUSED:
            return None
        onvif, rtsp = assignment.camera.onvif_port, assignment.camera.rtsp_port
        if await self._absence(assignment) is None:
            reason, detail = Reason.RTSP_OFF, f"ONVIF answers, port {rtsp} (RTSP) does not"
        else:
            reason = Reason.CONNECTION_REFUSED
            detail = (
                f"Port {rtsp} (RTSP) refuses the connection, port {onvif} (ONVIF) is closed too"
            )
        return IngestError(ConditionType.REACHABLE, reason, detail)


class _NoLogin:
    """The gate of a camera without credentials: no login is ever made, so none is counted."""

    async def before_attempt(self, scheme: str) -> None:
        """Return: there is no attempt to write down."""

    async def proven(self, scheme: str) -> None:
        """Do nothing: there are no credentials."""

    async def rejected(self, scheme: str, error: IngestError) -> None:
        """Do nothing: the device requires a login that the Camera does not declare."""


def _now() -> float:
    return asyncio.get_running_loop().time()
