# SPDX-License-Identifier: Apache-2.0
"""One camera: its settings, its two ports, its counters, and the switches that tests turn.

Made by Simulator.add. The ONVIF device and the RTSP connections read `effective`, the settings with
faults applied; `change` is the only way to alter them and brings the ports into the state they then
ask for.
"""

from __future__ import annotations

import asyncio
import dataclasses
import ssl
from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from camera_simulator.authentication import Doorkeeper
from camera_simulator.clips import Clip
from camera_simulator.counters import Counters
from camera_simulator.faults import refuse_unplayable, with_faults
from camera_simulator.http_server import HttpConnection, Request, Response
from camera_simulator.listener import Listener, TlsLayer
from camera_simulator.onvif import device
from camera_simulator.onvif.discovery import DiscoveryPort
from camera_simulator.onvif.place import Place
from camera_simulator.onvif.profiles import stream_path
from camera_simulator.rtsp.connection import Players, RtspConnection
from camera_simulator.rtsp.labels import Labeller
from camera_simulator.rtsp.packets import FramePackets
from camera_simulator.settings import CameraSettings, SettingsInvalid, changed

_BROKEN_EVERY = 5
_RESTART_S = 5.0
"""Real ones take a minute."""


class RtspServer(Protocol):
    """The RTSP side of a camera, ours or GStreamer's."""

    @property
    def port(self) -> int: ...
    async def apply(self, settings: CameraSettings) -> None: ...
    async def release(self) -> None: ...


class Camera:
    def __init__(
        self,
        settings: CameraSettings,
        clips: Mapping[str, Clip],
        packets: Mapping[str, tuple[FramePackets, ...]],
        other_clip: Clip,
        other_packets: tuple[FramePackets, ...],
    ) -> None:
        """`clips`, `packets`: by stream. The other clip is what the main stream alternates with
        where it flips its size."""
        refuse_unplayable(settings)
        self._installed = settings
        self._effective = with_faults(settings)
        self.counters = Counters()
        self.doorkeeper = Doorkeeper(self.counters)
        self.labeller = Labeller(settings.name)
        self.clips = dict(clips)
        self.other_clip, self.other_packets = other_clip, other_packets
        self._web_answers = 0
        self._web_asked_at: deque[float] = deque()
        self._restart: asyncio.Task[None] | None = None
        self._web_tls: tuple[int, bool, bool] | None = None
        self._packets = packets
        self._rtsp: RtspServer | None = None
        self._web = Listener(settings.host, settings.onvif_port, self._http_connection)
        self._discovery = DiscoveryPort(settings.host, self)

    # Where it is

    @property
    def name(self) -> str:
        return self._installed.name

    @property
    def host(self) -> str:
        return self._installed.host

    @property
    def onvif_port(self) -> int:
        return self._web.port

    @property
    def rtsp_port(self) -> int:
        assert self._rtsp is not None, "attach() comes first"
        return self._rtsp.port

    @property
    def discovery_port(self) -> int:
        """Where it answers probes; 0 before it was first told to."""
        return self._discovery.port

    def place(self, local_host: str = "") -> Place:
        """How it writes its addresses, to a client that reached it at `local_host`."""
        host = local_host or self.host
        return Place(self._effective, host, self.onvif_port, self.rtsp_port)

    def stream_path(self, stream: str = "main", channel: int = 1) -> str:
        return stream_path(self._effective, stream, channel)

    def stream_url(self, stream: str = "main") -> str:
        """Without credentials."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"rtsp://{host}:{self.rtsp_port}{self.stream_path(stream)}"

    # What it is like

    @property
    def settings(self) -> CameraSettings:
        """As installed, without its faults."""
        return self._installed

    @property
    def effective(self) -> CameraSettings:
        """As it behaves now: the settings with its faults applied."""
        return self._effective

    def packets(self, stream: str) -> tuple[FramePackets, ...]:
        return self._packets[stream]

    def monotonic_s(self) -> float:
        return asyncio.get_running_loop().time()

    def camera_now(self) -> datetime:
        """The camera's own clock, wrong by its offset."""
        settings = self._effective
        offset_s = settings.clock_offset_s
        if settings.clock_step_s and self.counters.accepted("onvif") >= settings.clock_steps_after:
            offset_s += settings.clock_step_s
        return datetime.now(UTC) + timedelta(seconds=offset_s)

    def camera_unix_s(self) -> float:
        return self.camera_now().timestamp()

    # Switches

    async def attach(self, rtsp: RtspServer) -> None:
        """Give it its RTSP server and open what its settings say is open. Called once, by the
        simulator."""
        self._rtsp = rtsp
        await self._open_and_close()

    async def change(self, **changes: Any) -> None:
        """Change settings of the running camera, e.g. `change(clock_offset_s=-3600)`."""
        installed = changed(self._installed, changes)
        refuse_unplayable(installed)
        effective = with_faults(installed)
        if effective.main_clip != self._effective.main_clip:
            raise SettingsInvalid("a running camera cannot change its clip")
        self._installed, self._effective = installed, effective
        await self._open_and_close()

    async def power(self, on: bool) -> None:
        await self.change(power=on)

    async def break_with(self, *faults: str) -> None:
        """Replace its faults by these; none of them makes it whole again."""
        await self.change(faults=faults)

    async def release(self) -> None:
        if self._restart is not None:
            self._restart.cancel()
        self._web.release()
        self._discovery.close()
        if self._rtsp is not None:
            await self._rtsp.release()

    async def _open_and_close(self) -> None:
        settings = self._effective
        tls = (settings.web_certificate, *_age(settings)) if settings.web_tls else None
        if tls != self._web_tls:
            self._web.close()
            self._web_tls = tls
        power = settings.power and not self._restarts
        if power and settings.web != "closed":
            await self._web.open(_tls(settings, settings.web_certificate if tls else 0))
        else:
            self._web.close()
        if power and settings.discovery:
            await self._discovery.open()
        else:
            self._discovery.close()
        assert self._rtsp is not None
        await self._rtsp.apply(dataclasses.replace(settings, power=power))

    def _http_connection(self, listener: Listener) -> HttpConnection:
        return HttpConnection(listener, self._web_answer, self._count_connects)

    def _web_answer(self, request: Request) -> Response:
        """What the device answers, in the manner that its web server has."""
        self._web_answers += 1
        self._bear_request()
        manner, spared = self._effective.web_answers, self._web_answers % _BROKEN_EVERY
        if spared and manner not in ("fin", "silent"):
            manner = "whole"
        return dataclasses.replace(device.answer(request, camera=self), manner=manner)

    def _bear_request(self) -> None:
        """Restart where the last minute had more requests than its firmware stands."""
        now = self.monotonic_s()
        self._web_asked_at.append(now)
        while now - self._web_asked_at[0] > 60:
            self._web_asked_at.popleft()
        most = self._effective.web_crashes_above
        if most and len(self._web_asked_at) > most and not self._restarts:
            self._restart = asyncio.create_task(self._restarted())

    @property
    def _restarts(self) -> bool:
        return self._restart is not None and not self._restart.done()

    async def _restarted(self) -> None:
        self.counters.restarts += 1
        self._web_asked_at.clear()
        await self._open_and_close()
        await asyncio.sleep(_RESTART_S)
        self._restart = None
        await self._open_and_close()

    def _count_connects(self, change: int) -> None:
        counters = self.counters
        counters.onvif_connects += max(change, 0)
        counters.onvif_connects_open += change
        counters.onvif_connects_at_once = max(
            counters.onvif_connects_at_once, counters.onvif_connects_open
        )


def _age(settings: CameraSettings) -> tuple[bool, bool]:
    """How old its TLS is."""
    return settings.tls_of_2008, settings.tls_before_rfc5746


def _tls(settings: CameraSettings, certificate: int) -> ssl.SSLContext | TlsLayer | None:
    """None without TLS. Imported late: the image has no `cryptography`."""
    if not certificate:
        return None
    from camera_simulator.certificates import in_pem, server_context

    if settings.tls_before_rfc5746:
        from camera_simulator.tls_before_rfc5746 import TlsBeforeRfc5746

        return TlsBeforeRfc5746(in_pem(settings.name, certificate))
    return server_context(settings.name, certificate, of_2008=settings.tls_of_2008)


class ReplayServer:
    """The RTSP port of a camera that the replay server plays."""

    def __init__(self, camera: Camera, players: Players) -> None:
        settings = camera.settings
        self._listener = Listener(
            settings.host,
            settings.rtsp_port,
            lambda listener: RtspConnection(listener, camera, players),
        )
        self._tls: tuple[int, bool, bool] | None = None

    @property
    def port(self) -> int:
        return self._listener.port

    async def apply(self, settings: CameraSettings) -> None:
        tls = (settings.rtsp_certificate, *_age(settings)) if settings.rtsp_tls else None
        if tls != self._tls:
            self._listener.close()
            self._tls = tls
        if settings.power:
            await self._listener.open(_tls(settings, settings.rtsp_certificate if tls else 0))
        else:
            self._listener.close()

    async def release(self) -> None:
        self._listener.release()
