# SPDX-License-Identifier: Apache-2.0
"""A device that answers a connector as a test wants: ONVIF, RTSP, a TCP probe, and the Secret that
holds its account. It counts what it is asked, and when."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import cast

from camfleet_api.camera import Attempts, CameraStatus, DeviceStatus, LearnedStatus
from camfleet_api.conditions import ConditionType
from camfleet_api.policy import CredentialsRef
from camfleet_worker.base.errors import IngestError
from camfleet_worker.camera.connect_budget import ConnectBudget
from camfleet_worker.camera.connector import ConnectDeps
from camfleet_worker.login.attempts import AttemptLedger
from camfleet_worker.login.credentials import Credentials
from camfleet_worker.media_types.access_unit import Codec
from camfleet_worker.resolve import AttemptGate, Resolution, ResolveRequest
from camfleet_worker.rtsp.client import BeforeAttempt, LoginAccepted, PlayingStream, StreamTarget

LEARNED = LearnedStatus(
    auth_scheme="digest",
    media_version="1",
    media_path="/media",
    profile_token="p1",
    stream_path="/live",
    codec="H264",
    width=1280,
    height=720,
    clock_offset_seconds=0,
)


class DeviceTape:
    """`onvif`, `rtsp`, `probe`, `secret`: errors to answer with; None is good."""

    def __init__(self) -> None:
        self.onvif: IngestError | None = None
        self.rtsp: IngestError | None = None
        self.probe: IngestError | None = None
        self.secret: IngestError | None = None
        self.version = "1"
        self.identity = DeviceStatus(model="M1", serial_number="AB123456")
        self.deviations: tuple[str, ...] = ()
        self.others: dict[str, CameraStatus] = {}
        self.others_read: list[float] = []
        self.resolved_at: list[float] = []
        self.opened_at: list[float] = []
        self.paths: list[str] = []

    def connect_deps(self, ledger: AttemptLedger) -> ConnectDeps:
        """The device as a connector meets it."""
        return ConnectDeps(
            resolver=self,
            open_stream=self.open_stream,
            probe=self.probe_port,
            accounts=self,
            ledger=ledger,
            record_attempt=_written,
            budget=ConnectBudget(),
            other_camera=self.other_camera,
        )

    async def resolve(
        self, request: ResolveRequest, credentials: Credentials | None, *, attempts: AttemptGate
    ) -> Resolution:
        self.resolved_at.append(_now())
        if credentials is not None:
            await attempts.before_attempt("digest")
            if self.onvif is not None and self.onvif.condition is ConditionType.AUTHENTICATED:
                await attempts.rejected("digest", self.onvif)
            else:
                await attempts.proven("digest")
        if self.onvif is not None:
            raise self.onvif
        return Resolution(self.identity, LEARNED, self.deviations)

    async def open_stream(
        self,
        target: StreamTarget,
        credentials: Credentials | None,
        *,
        deadline_s: float,
        before_attempt: BeforeAttempt,
        accepted: LoginAccepted,
    ) -> PlayingStream:
        self.opened_at.append(_now())
        self.paths.append(target.path)
        if credentials is not None:
            await before_attempt()
        if self.rtsp is not None:
            raise self.rtsp
        session = SimpleNamespace(timeout_s=60, uncounted_ends_s=(30.0, 120.0))
        stream = SimpleNamespace(
            codec=Codec.H264, session=session, certificate="", transport="tcp", silence=""
        )
        return cast(PlayingStream, stream)

    async def probe_port(self, host: str, port: int, within_s: float) -> IngestError | None:
        return self.probe

    async def known(self, name: str, within_s: float) -> bool:
        return True

    def camera_login(self, ref: CredentialsRef) -> Credentials:
        if self.secret is not None:
            raise self.secret
        return Credentials("admin", "pw", self.version)

    async def other_camera(self, name: str) -> CameraStatus | None:
        self.others_read.append(_now())
        return self.others.get(name)


async def _written(uid: str, attempts: Attempts, generation: int) -> None:
    """The attempt stands in the Camera's status."""


def _now() -> float:
    return asyncio.get_running_loop().time()
