# SPDX-License-Identifier: Apache-2.0
"""Finds the stream of a declared camera: the entry point of this package, for supervisors.

One resolver serves all cameras of a worker. It asks devices; camfleet_worker.resolve decides what
the answers mean. It never retries: the supervisor does, under its backoff.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

from camfleet_api.camera import DeviceStatus, LearnedStatus, Scheme
from camfleet_api.conditions import REASONS, Effect, Reason
from camfleet_worker.base.camera_tls import camera_tls
from camfleet_worker.base.errors import IngestError
from camfleet_worker.base.redaction import Hider
from camfleet_worker.login.credentials import Credentials
from camfleet_worker.onvif import discovery, wsdl
from camfleet_worker.onvif.device import OnvifDevice, checked_stream_path
from camfleet_worker.onvif.device_lock import CallBudget, DeviceLock, DeviceLocks
from camfleet_worker.onvif.device_path import Found, find_device
from camfleet_worker.onvif.envelope import SoapCodec
from camfleet_worker.onvif.identity import device_information, with_hardware
from camfleet_worker.onvif.login import Login
from camfleet_worker.onvif.mend_log import MendLog
from camfleet_worker.onvif.ports import port_trouble, speaks_tls
from camfleet_worker.onvif.streams import OfferedStream, offered_stream
from camfleet_worker.onvif.transport import Deadlines, Transport, unreachable
from camfleet_worker.resolve.addresses import named_port, path_and_query
from camfleet_worker.resolve.attempts import AttemptGate
from camfleet_worker.resolve.profiles import MAX_TOKEN, channel_of
from camfleet_worker.resolve.request import ResolveRequest
from camfleet_worker.resolve.resolution import Resolution

T = TypeVar("T")
Ask = Callable[[OnvifDevice, Login, Transport], Awaitable[T]]

MAX_SERVICE_PATH = 256
MAX_CODEC = 16
"""Limits of status.learned; a longer value is not kept and is asked for again."""

RESOLVE_DEADLINE_S = 60.0
"""The deadline of a whole resolve, so that a device with slow answers does not delay others."""


@dataclass(frozen=True, slots=True)
class _Question(Generic[T]):
    """What one camera asks of its device."""

    request: ResolveRequest
    credentials: Credentials | None
    attempts: AttemptGate
    ask: Ask[T]

    @property
    def channel(self) -> str:
        """The channel of the device whose camera asks."""
        return f"{self.request.source!r} {self.request.role} {self.request.rtsp_port}"

    @property
    def account(self) -> str:
        """The account that asks; "" without credentials."""
        return "" if self.credentials is None else self.credentials.account_key(self.request.device)


class OnvifResolver:
    """Resolves cameras; it is closed when the worker ends."""

    def __init__(
        self,
        now: Callable[[], float] = time.time,
        deadlines: Deadlines | None = None,
        discovery_port: int = discovery.PORT,
        budget: CallBudget | None = None,
    ) -> None:
        self._now = now
        self._deadlines = deadlines or Deadlines()
        self._discovery_port = discovery_port
        self._codec = SoapCodec()
        self._locks = DeviceLocks(budget)
        self._tls = camera_tls()
        self.mends = MendLog()
        """What was wrong in answers and could be read all the same."""

    def close(self) -> None:
        """End the codec's thread."""
        self._codec.close()

    async def resolve(
        self, request: ResolveRequest, credentials: Credentials | None, *, attempts: AttemptGate
    ) -> Resolution:
        """Ask the device for its stream; IngestError with the reason where there is none."""

        async def ask(device: OnvifDevice, login: Login, way: Transport) -> Resolution:
            return await self._ask_for_stream(request, device, login, way, credentials)

        return await self._locked(_Question(request, credentials, attempts, ask))

    async def _locked(self, question: _Question[T]) -> T:
        """Wait for the device to be free, then ask it within the deadline."""
        return await self._locks.take(
            question.request.device,
            question.account,
            lambda lock: self._in_time(question, lock),
        )

    async def _in_time(self, question: _Question[T], lock: DeviceLock) -> T:
        try:
            async with asyncio.timeout(RESOLVE_DEADLINE_S):
                return await self._by_either_scheme(question, lock)
        except TimeoutError as error:
            raise unreachable(
                Reason.TIMEOUT, f"Port {question.request.onvif_port} answers too slowly"
            ) from error

    async def _by_either_scheme(self, question: _Question[T], lock: DeviceLock) -> T:
        """Ask by the likelier of http and https, and by the other where the port speaks that."""
        first, *others = question.request.schemes
        try:
            return await self._connected(first, question, lock)
        except IngestError as error:
            if not others or not await self._speaks(others[0], question.request, error):
                raise
        return await self._connected(others[0], question, lock)

    async def _speaks(self, other: Scheme, request: ResolveRequest, error: IngestError) -> bool:
        """Whether a port that failed may be asked by the other scheme; no login is spent."""
        if other is Scheme.HTTP:
            return error.reason is Reason.TLS_FAILED
        if not REASONS[error.reason].has(Effect.TRIES_HTTPS):
            return False
        within_s = self._deadlines.connect_s
        return await speaks_tls(request.host, request.onvif_port, self._tls, within_s)

    async def _connected(self, scheme: Scheme, question: _Question[T], lock: DeviceLock) -> T:
        request, credentials = question.request, question.credentials
        learned = request.learned
        transport = Transport(
            scheme,
            request.host,
            request.onvif_port,
            self._deadlines,
            self._tls,
            request.pinned,
            lock.count_request,
        )
        login = Login(
            transport,
            self._codec,
            credentials,
            question.attempts,
            self._now,
            learned.auth_scheme if learned else None,
            learned.soap_version if learned else "",
        )
        device = OnvifDevice(
            login,
            self._codec,
            lock.answers.of_channel(f"{question.account} {scheme.value}", question.channel),
            request.device_path,
            request.onvif_port,
            self._now,
            learned.clock_offset_seconds if learned else None,
            partial(self.mends.note, request.device),
        )
        try:
            return await question.ask(device, login, transport)
        except IngestError as error:
            if error.reason is Reason.CONNECTION_REFUSED:
                raise await self._refused_by(request) from error
            raise _without_password(error, credentials) from error.__cause__
        finally:
            await transport.aclose()

    async def _ask_for_stream(
        self,
        request: ResolveRequest,
        device: OnvifDevice,
        login: Login,
        way: Transport,
        credentials: Credentials | None,
    ) -> Resolution:
        found = await self._find(request, device)
        identity = await self._information(device, found)
        stream = await offered_stream(device, found.services, request)
        path = checked_stream_path(stream.address, credentials)
        await self._require_rtsp(request, stream.address)
        offset_s = await device.clock_offset()
        return Resolution(
            device=await with_hardware(device, identity, found.endpoint_hint),
            learned=_learned(request, device, way, stream, path, login.scheme.value, offset_s),
            deviations=stream.choice.deviations,
        )

    async def _find(self, request: ResolveRequest, device: OnvifDevice) -> Found:
        learned = request.learned.device_path if request.learned else ""
        return await find_device(
            device,
            request.device_path,
            learned,
            lambda: discovery.probe(request.host, self._discovery_port),
        )

    async def _information(self, device: OnvifDevice, found: Found) -> DeviceStatus:
        """The device information, at the path that answered, else at that in GetServices."""
        identity = await device_information(device)
        announced = found.services.get(wsdl.DEVICE, device.path)
        if identity == DeviceStatus() and announced != device.path:
            device.path = announced
            return await device_information(device)
        return identity

    async def _refused_by(self, request: ResolveRequest) -> IngestError:
        """The failure at a closed ONVIF port: only ONVIF is off, or the RTSP port is closed too."""
        trouble = await port_trouble(request.host, request.rtsp_port, self._deadlines.connect_s)
        if trouble is None:
            return unreachable(
                Reason.ONVIF_OFF,
                f"Port {request.rtsp_port} (RTSP) answers, "
                f"port {request.onvif_port} (ONVIF) refuses the connection",
            )
        return unreachable(
            Reason.CONNECTION_REFUSED,
            f"Port {request.onvif_port} (ONVIF) refuses the connection, "
            f"and port {request.rtsp_port} (RTSP) does not answer either",
        )

    async def _require_rtsp(self, request: ResolveRequest, address: str) -> None:
        """RtspOff when the declared RTSP port is closed; a port that the camera names is a hint."""
        trouble = await port_trouble(request.host, request.rtsp_port, self._deadlines.connect_s)
        if trouble is None:
            return
        port = named_port(address)
        hint = (
            f"; the camera itself names port {port}"
            if port not in (None, request.rtsp_port)
            else ""
        )
        raise unreachable(
            Reason.RTSP_OFF,
            f"ONVIF answers, port {request.rtsp_port} (RTSP) does not{hint}",
        ) from trouble


def _without_password(error: IngestError, credentials: Credentials | None) -> IngestError:
    """The same failure without our password, which a camera may repeat in words that we quote."""
    if credentials is None:
        return error
    return error.hiding(Hider((credentials.password,), "(hidden)").hide)


def _learned(
    request: ResolveRequest,
    device: OnvifDevice,
    way: Transport,
    stream: OfferedStream,
    path: str,
    auth_scheme: str,
    offset_s: float | None,
) -> LearnedStatus:
    profile, media = stream.choice.profile, stream.media
    moved = device.path != path_and_query(request.device_path)
    return LearnedStatus(
        auth_scheme=auth_scheme,
        media_version=media.version,
        media_path=_kept(media.path),
        device_path=_kept(device.path) if moved else "",
        scheme="" if way.scheme is request.scheme else way.scheme.value,
        certificate=way.certificate,
        soap_version=device.soap_version,
        profile_token=profile.token[:MAX_TOKEN],
        encoder_token=profile.encoder_token[:MAX_TOKEN],
        video_source_token=profile.source_token[:MAX_TOKEN],
        channel=channel_of(request.source),
        stream_path=path,
        codec=profile.codec[:MAX_CODEC],
        width=profile.width,
        height=profile.height,
        clock_offset_seconds=None if offset_s is None else round(offset_s),
    )


def _kept(path: str) -> str:
    return path if len(path) <= MAX_SERVICE_PATH else ""
