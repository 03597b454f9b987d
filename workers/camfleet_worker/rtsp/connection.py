# SPDX-License-Identifier: Apache-2.0
"""Connecting to a camera's RTSP port, and talking on it in asyncio until it plays.

Called by client.py. Tries every address of the declared host in turn and no other; speaks TLS where
the target says so and refuses another certificate than the pinned one before anything is sent. The
one table of connect errors.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable
from typing import Any

from camfleet_api.conditions import ConditionType, Reason
from camfleet_worker.base.camera_tls import camera_tls, require_pinned
from camfleet_worker.base.errors import IngestError
from camfleet_worker.base.socket_errors import SocketFailure, errno_name, socket_failure
from camfleet_worker.rtsp.media_socket import MediaSocket
from camfleet_worker.rtsp.target import StreamTarget
from camfleet_worker.rtsp.tls import TlsSocket

_RECEIVE_BYTES = 64 * 1024
_MOST_ADDRESSES = 4
FAREWELL_S = 1.0


class Connection:
    """The connection during a handshake."""

    def __init__(self, plain: socket.socket, tls: TlsSocket | None) -> None:
        self.plain = plain
        self.media: MediaSocket = plain if tls is None else tls
        self.certificate = "" if tls is None else tls.fingerprint
        self._buffer = bytearray(_RECEIVE_BYTES)

    async def send(self, data: bytes) -> None:
        """Send all octets."""
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[self.media.send(bytes(rest)) :]
            except BlockingIOError:
                await _writable(self.media.fileno())

    async def receive(self) -> bytes:
        """The octets that have arrived, at least one; empty where the peer is gone."""
        while True:
            try:
                received = self.media.recv_into(memoryview(self._buffer))
            except BlockingIOError:
                await _readable(self.media.fileno())
                continue
            return bytes(self._buffer[:received])

    @property
    def peer_has_closed(self) -> bool:
        """Whether the peer is known to send no more, and nothing of it waits to be read."""
        try:
            return not self.plain.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:
            return True

    def close(self) -> None:
        """Close at once."""
        self.media.close()

    async def close_after(self, message: bytes) -> None:
        """Send, half-close and read on until the peer closes, so that it receives the message.

        Closing a socket with unread octets sends RST, and the peer may throw away what it has not
        read yet (RFC 1122 section 4.2.2.13).
        """
        try:
            async with asyncio.timeout(FAREWELL_S):
                await self.send(message)
                self.media.shutdown(socket.SHUT_WR)
                while await self.receive():
                    pass
        except (OSError, TimeoutError):
            pass  # the connection is gone, and the session with it
        finally:
            self.close()


async def connect(target: StreamTarget, deadline: float) -> Connection:
    """A connection to the declared host, or IngestError with condition Reachable."""
    try:
        async with asyncio.timeout_at(deadline):
            plain = await _connected_socket(target, deadline)
        return await _secured(plain, target, deadline)
    except OSError as error:
        raise _unreachable(target, error) from error


async def _connected_socket(target: StreamTarget, deadline: float) -> socket.socket:
    """The first address that answers; each gets its share of the time that is left."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    addresses = found[:_MOST_ADDRESSES]
    failure: OSError | None = None
    for tried, (family, kind, protocol, _, address) in enumerate(addresses):
        share = (deadline - loop.time()) / (len(addresses) - tried)
        try:
            async with asyncio.timeout(share):
                return await _connected_to(family, kind, protocol, address)
        except OSError as error:  # TimeoutError is one
            failure = error
    raise failure or OSError(errno.EADDRNOTAVAIL, "no address")


async def _connected_to(family: int, kind: int, protocol: int, address: Any) -> socket.socket:
    connection = socket.socket(family, kind, protocol)
    try:
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.get_running_loop().sock_connect(connection, address)
    except BaseException:
        connection.close()
        raise
    return connection


async def _secured(plain: socket.socket, target: StreamTarget, deadline: float) -> Connection:
    """TLS where it is declared; no RTSP is sent where the certificate is not the pinned one."""
    if not target.tls:
        return Connection(plain, None)
    try:
        tls = TlsSocket(plain, target.host, camera_tls())
        async with asyncio.timeout_at(deadline):
            await _shake_hands(tls)
        require_pinned("RTSP port", tls.fingerprint, target.pinned)
    except OSError as error:
        plain.close()
        if socket_failure(error) is SocketFailure.TIMEOUT:
            raise _no_handshake(target) from error
        if socket_failure(error) is SocketFailure.CLOSED:
            raise ssl.SSLError("no end to the TLS handshake") from error
        raise
    except BaseException:
        plain.close()
        raise
    return Connection(plain, tls)


async def _shake_hands(tls: TlsSocket) -> None:
    while True:
        try:
            tls.handshake()
        except BlockingIOError:
            await _readable(tls.fileno())
        else:
            return


async def _readable(fd: int) -> None:
    loop = asyncio.get_running_loop()
    await _ready(fd, loop.add_reader, loop.remove_reader)


async def _writable(fd: int) -> None:
    loop = asyncio.get_running_loop()
    await _ready(fd, loop.add_writer, loop.remove_writer)


async def _ready(fd: int, add: Callable[..., Any], remove: Callable[[int], bool]) -> None:
    arrived = asyncio.Event()
    add(fd, arrived.set)
    try:
        await arrived.wait()
    finally:
        remove(fd)


def _no_handshake(target: StreamTarget) -> IngestError:
    """The failure where the port takes a connection and the TLS handshake does not end: RTSP
    servers wait so for the end of what they cannot read, and a camera that hangs does too."""
    return IngestError(
        ConditionType.REACHABLE,
        Reason.TLS_FAILED,
        f"RTSP port {target.port} takes a connection and does not answer by TLS: it speaks none, "
        "or the camera hangs",
    )


def _unreachable(target: StreamTarget, error: OSError) -> IngestError:
    """The failure of condition Reachable for a connect error."""
    port = target.port
    reasons = {
        SocketFailure.TLS: (Reason.TLS_FAILED, f"RTSP port {port} does not speak TLS"),
        SocketFailure.NAME_NOT_RESOLVED: (
            Reason.NAME_NOT_RESOLVED,
            f"The name {target.host} has no address",
        ),
        SocketFailure.TIMEOUT: (
            Reason.HOST_UNREACHABLE,
            f"Nothing answers at port {port} (RTSP)",
        ),
        SocketFailure.REFUSED: (
            Reason.CONNECTION_REFUSED,
            f"The host refuses connections on RTSP port {port}",
        ),
    }
    other = (
        Reason.HOST_UNREACHABLE,
        f"RTSP port {port} cannot be reached: {errno_name(error)}",
    )
    reason, detail = reasons.get(socket_failure(error), other)
    return IngestError(ConditionType.REACHABLE, reason, detail)
