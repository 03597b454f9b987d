# SPDX-License-Identifier: Apache-2.0
"""From a declared address to a stream: the one entrance of this package, used by supervisors.

One resolver serves all cameras of a worker. It asks; what the answers mean is decided in
camfleet_worker.resolve. It never retries: the supervisor does, under its backoff.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from camfleet_api.conditions import ConditionType, Reason
from camfleet_worker.credentials import Credentials
from camfleet_worker.errors import IngestError, Retry
from camfleet_worker.onvif import wsdl
from camfleet_worker.onvif.device import MediaService, OnvifDevice, checked_stream_path
from camfleet_worker.onvif.envelope import SoapCodec
from camfleet_worker.onvif.login import Login
from camfleet_worker.onvif.media1 import Media1
from camfleet_worker.onvif.ports import port_trouble
from camfleet_worker.onvif.transport import Deadlines, Transport, lenient_tls, unreachable
from camfleet_worker.onvif.turns import DeviceTurns
from camfleet_worker.resolve.addresses import named_port
from camfleet_worker.resolve.attempts import AttemptGate
from camfleet_worker.resolve.profiles import Choice, pick_stream
from camfleet_worker.resolve.request import ResolveRequest
from camfleet_worker.resolve.resolution import Learned, Resolution

MAX_MEDIA_PATH = 256
MAX_TOKEN = 64
"""Bounds of status.learned; both are told, neither is needed to reconnect."""

RESOLVE_DEADLINE_S = 60.0
"""For a whole resolve: a device that answers every call just in time must not hold others up."""


class OnvifResolver:
    """Resolves cameras; close it when the worker ends."""

    def __init__(
        self, now: Callable[[], float] = time.time, deadlines: Deadlines | None = None
    ) -> None:
        self._now = now
        self._deadlines = deadlines or Deadlines()
        self._codec = SoapCodec()
        self._turns = DeviceTurns()
        self._tls = lenient_tls()

    def close(self) -> None:
        """End the codec's thread."""
        self._codec.close()

    async def resolve(
        self, request: ResolveRequest, credentials: Credentials | None, *, attempts: AttemptGate
    ) -> Resolution:
        """Ask the device for its stream; IngestError with the reason when it gives none."""
        account = "" if credentials is None else credentials.account_key(request.host)
        return await self._turns.take(
            (request.host, request.onvif_port),
            account,
            lambda: self._resolve_in_time(request, credentials, attempts),
        )

    async def _resolve_in_time(
        self, request: ResolveRequest, credentials: Credentials | None, attempts: AttemptGate
    ) -> Resolution:
        try:
            async with asyncio.timeout(RESOLVE_DEADLINE_S):
                return await self._resolve(request, credentials, attempts)
        except TimeoutError as error:
            raise unreachable(
                Reason.TIMEOUT, f"Port {request.onvif_port} answers too slowly"
            ) from error

    async def _resolve(
        self, request: ResolveRequest, credentials: Credentials | None, attempts: AttemptGate
    ) -> Resolution:
        transport = Transport(
            request.scheme, request.host, request.onvif_port, self._deadlines, self._tls
        )
        preferred = request.learned.auth_scheme if request.learned else None
        login = Login(transport, self._codec, credentials, attempts, self._now, preferred)
        device = OnvifDevice(login, self._codec, request.device_path, request.onvif_port, self._now)
        try:
            return await self._ask(request, device, login, credentials)
        except IngestError as error:
            if error.reason is Reason.CONNECTION_REFUSED:
                raise await self._refused_by(request) from error
            raise _without_password(error, credentials) from error.__cause__
        finally:
            await transport.aclose()

    async def _ask(
        self,
        request: ResolveRequest,
        device: OnvifDevice,
        login: Login,
        credentials: Credentials | None,
    ) -> Resolution:
        offset_s = await device.learn_clock()
        paths = await device.service_paths()
        identity = await device.information()
        media = _media_service(device, paths)
        choice = pick_stream(await media.offer(), request.source, request.limits, request.role)
        address = await media.stream_address(choice.profile.token)
        path = checked_stream_path(address, credentials)
        await self._require_rtsp(request, address)
        return Resolution(
            device=identity,
            learned=_learned(media, choice, path, login.scheme.value, offset_s),
            deviations=choice.deviations,
        )

    async def _refused_by(self, request: ResolveRequest) -> IngestError:
        """The ONVIF port is closed: tell a camera with ONVIF switched off from one without both."""
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
        """RtspOff when the declared RTSP port is closed; the port the camera names is a hint."""
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
    """The same failure, should a camera repeat our password in the words that we quote."""
    if credentials is None or not credentials.password or credentials.password not in error.fact:
        return error
    fact = error.fact.replace(credentials.password, "(hidden)")
    return IngestError(error.condition, error.reason, fact, error.retry)


def _media_service(device: OnvifDevice, paths: dict[str, str]) -> MediaService:
    """The media service to speak: version 1, until version 2 stands beside it."""
    if wsdl.MEDIA1 in paths:
        return Media1(device, paths[wsdl.MEDIA1])
    raise IngestError(
        ConditionType.ELIGIBLE,
        Reason.NO_ALLOWED_STREAM,
        "The device names no media service of version 1",
        Retry.SLOW,
    )


def _learned(
    media: MediaService, choice: Choice, path: str, auth_scheme: str, offset_s: float | None
) -> Learned:
    profile = choice.profile
    return Learned(
        auth_scheme=auth_scheme,
        media_version=media.version,
        media_path=media.path if len(media.path) <= MAX_MEDIA_PATH else "",
        profile_token=profile.token[:MAX_TOKEN],
        stream_path=path,
        codec=profile.codec,
        width=profile.width,
        height=profile.height,
        fps=profile.fps,
        gop=profile.gop,
        bitrate_kbps=profile.bitrate_kbps,
        clock_offset_s=None if offset_s is None else round(offset_s),
    )
