# SPDX-License-Identifier: Apache-2.0
"""The UDP port of WS-Discovery: answers probes sent to the camera itself, rightly or as firmware
does.

Opened and closed by the camera. A real device listens at 3702 and to multicast; here every camera
has a port of its own, so that many of them stand on one address, and multicast is not joined.
"""

from __future__ import annotations

import asyncio
import re
from typing import Any, Protocol, cast

from camera_simulator.counters import Counters
from camera_simulator.onvif.place import Place
from camera_simulator.settings import CameraSettings

_NVT = b"NetworkVideoTransmitter"


class DiscoveryState(Protocol):
    """What the responder needs to know of its camera."""

    @property
    def effective(self) -> CameraSettings: ...
    @property
    def counters(self) -> Counters: ...
    def place(self) -> Place: ...


class DiscoveryPort:
    """One UDP port; opened again it is the same."""

    def __init__(self, host: str, camera: DiscoveryState) -> None:
        self._host = host
        self._camera = camera
        self._transport: asyncio.DatagramTransport | None = None
        self.port = 0

    async def open(self) -> None:
        if self._transport is None:
            loop = asyncio.get_running_loop()
            self._transport, _ = await loop.create_datagram_endpoint(
                lambda: _Responder(self._camera), local_addr=(self._host, self.port)
            )
            self.port = self._transport.get_extra_info("sockname")[1]

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()
            self._transport = None


class _Responder(asyncio.DatagramProtocol):
    def __init__(self, camera: DiscoveryState) -> None:
        self._camera = camera
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # asyncio's own UDP transport is no DatagramTransport before Python 3.13.
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        camera, settings = self._camera, self._camera.effective
        camera.counters.probes += 1
        message = re.search(rb"MessageID>\s*([^<\s]+)", data)
        if message is None or not _to_its_taste(data, settings):
            return
        # Every n-th answer arrives, so that a test knows which: 0.3 loses three of ten.
        lost = int(camera.counters.probes * settings.probe_loss) != int(
            (camera.counters.probes - 1) * settings.probe_loss
        )
        if lost:
            return
        assert self._transport is not None
        for answer in _answers(message[1].decode("ascii", "replace"), settings, camera.place()):
            self._transport.sendto(answer, addr)
            camera.counters.probes_answered += 1


def _to_its_taste(probe: bytes, settings: CameraSettings) -> bool:
    taste = settings.probe_taste
    if taste == "one-line":
        return b"\n" not in probe.strip()
    if taste == "untyped":
        return b"Types" not in probe
    if taste == "device-type":
        return b":Device<" in probe
    if taste == "typed":
        return _NVT in probe
    return True


def _answers(relates_to: str, settings: CameraSettings, place: Place) -> list[bytes]:
    xaddrs = place.device_xaddr
    if settings.probe_answer == "several-addresses":
        path = settings.device_path
        xaddrs = (
            f"http://[fe80::1%25eth0]{path} http://169.254.1.1{path} "
            f"http://192.168.1.88:80{path} {xaddrs}"
        )
    types = "prn:PrintDeviceType" if settings.probe_answer == "storage" else f"dn:{_NVT.decode()}"
    if settings.probe_answer == "storage":
        xaddrs = f"http://{place.host}:5357/1a2b3c"
    whole = _match(relates_to, settings.endpoint, types, xaddrs)
    return {
        "garbage": [b"\x00\xff<<<", b"<", b"<Envelope>" * 300],
        "entities": [b'<!DOCTYPE x [<!ENTITY e "x">]>' + whole],
        "cut": [whole[: whole.index(b"</d:XAddrs>")]],
        "prefixes-undeclared": [re.sub(rb' xmlns:[a-z]+="[^"]*"', b"", whole)],
        "doubled": [whole, whole, whole],
    }.get(settings.probe_answer, [whole])


def _match(relates_to: str, endpoint: str, types: str, xaddrs: str) -> bytes:
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" '
        'xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing" '
        'xmlns:d="http://schemas.xmlsoap.org/ws/2005/04/discovery" '
        'xmlns:dn="http://www.onvif.org/ver10/network/wsdl"><s:Header>'
        f"<a:RelatesTo>{relates_to}</a:RelatesTo>"
        "<a:Action>http://schemas.xmlsoap.org/ws/2005/04/discovery/ProbeMatches</a:Action>"
        "</s:Header><s:Body><d:ProbeMatches><d:ProbeMatch>"
        f"<a:EndpointReference><a:Address>{endpoint}</a:Address></a:EndpointReference>"
        f"<d:Types>{types}</d:Types><d:XAddrs>{xaddrs}</d:XAddrs>"
        "<d:MetadataVersion>1</d:MetadataVersion></d:ProbeMatch></d:ProbeMatches></s:Body>"
        "</s:Envelope>"
    ).encode()
