# SPDX-License-Identifier: Apache-2.0
"""How a session's packets travel: on the RTSP connection, or as datagrams.

Made by the connection at SETUP. Both take frames as the packets module makes them, interleaved;
datagrams are what stands behind each interleaved head.
"""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Callable
from typing import Protocol

from camera_simulator.settings import CameraSettings

_HEAD_BYTES = 4


class Delivery(Protocol):
    """Where a session writes."""

    def send(self, frames: bytes, settings: CameraSettings) -> None: ...
    def close(self) -> None: ...


class OverRtsp:
    """RFC 2326 §10.12."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport

    def send(self, frames: bytes, settings: CameraSettings) -> None:
        self._transport.write(frames)

    def close(self) -> None:
        pass


class Datagrams:
    """RTP from an even port, RTCP from the next; `heard` is called for each report that comes."""

    def __init__(
        self, host: str, client: str, client_ports: tuple[int, int], heard: Callable[[], None]
    ) -> None:
        self._to = [(client, port) for port in client_ports]
        self._sockets = _bound_pair(host)
        self._chance = random.Random(7)
        self._heard = heard
        asyncio.get_running_loop().add_reader(self._sockets[1], self._read)

    @property
    def server_ports(self) -> tuple[int, int]:
        rtp, rtcp = (each.getsockname()[1] for each in self._sockets)
        return rtp, rtcp

    def send(self, frames: bytes, settings: CameraSettings) -> None:
        if settings.udp_blocked:
            return
        packets = _split(frames)
        if settings.udp_reorders:
            for second in range(1, len(packets), 2):
                packets[second - 1], packets[second] = packets[second], packets[second - 1]
        if settings.udp_burst:
            packets = packets[: settings.udp_burst]
        for channel, packet in packets:
            if self._chance.random() < settings.udp_loss:
                continue
            try:
                self._sockets[channel % 2].sendto(packet, self._to[channel % 2])
            except OSError:
                pass  # the client's port is closed: UDP does not care

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._sockets[1])
        for each in self._sockets:
            each.close()

    def _read(self) -> None:
        try:
            self._sockets[1].recv(2048)
        except OSError:
            return
        self._heard()


def _split(frames: bytes) -> list[tuple[int, bytes]]:
    packets, at = [], 0
    while at < len(frames):
        following = at + _HEAD_BYTES + int.from_bytes(frames[at + 2 : at + 4], "big")
        packets.append((frames[at + 1], frames[at + _HEAD_BYTES : following]))
        at = following
    return packets


def _bound_pair(host: str) -> tuple[socket.socket, socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    while True:
        rtp, rtcp = (socket.socket(family, socket.SOCK_DGRAM) for _ in range(2))
        try:
            rtp.bind((host, 0))
            rtcp.bind((host, rtp.getsockname()[1] + 1))
        except (OSError, OverflowError):
            rtp.close()
            rtcp.close()
            continue
        rtp.setblocking(False)
        rtcp.setblocking(False)
        return rtp, rtcp
