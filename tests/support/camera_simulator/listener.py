# SPDX-License-Identifier: Apache-2.0
"""A TCP port that can be switched off and on again, as a camera's power or its ONVIF switch does.

While it is off, connections are refused, yet the port stays ours: a second socket, bound but never
listening, holds it (Linux lets both bind with SO_REUSEADDR while at most one of them listens), so
that a test which chose a free port finds its camera there again.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import Callable
from typing import Protocol

_BACKLOG = 512


class TlsLayer(Protocol):
    """TLS that is not OpenSSL's."""

    def before(self, protocol: asyncio.Protocol) -> asyncio.Protocol:
        """The protocol of a connection, behind TLS."""


class Listener:
    """One address and port; `open` and `close` may be called in any order, any number of times."""

    def __init__(
        self, host: str, port: int, protocol: Callable[[Listener], asyncio.Protocol]
    ) -> None:
        self.host = host
        self._protocol = protocol
        self._server: asyncio.Server | None = None
        self._transports: set[asyncio.Transport] = set()
        self._holder = bound_socket(host, port)
        self.port: int = self._holder.getsockname()[1]

    @property
    def is_open(self) -> bool:
        return self._server is not None

    async def open(self, tls: ssl.SSLContext | TlsLayer | None = None) -> None:
        if self._server is None:
            listening = bound_socket(self.host, self.port)
            loop = asyncio.get_running_loop()
            openssl = tls if isinstance(tls, ssl.SSLContext) else None
            layer = None if isinstance(tls, ssl.SSLContext) else tls
            self._server = await loop.create_server(
                lambda: layer.before(self._protocol(self)) if layer else self._protocol(self),
                sock=listening,
                backlog=_BACKLOG,
                ssl=openssl,
            )

    def close(self) -> None:
        """Refuse from now on, and reset every open connection: a camera that lost power says no
        goodbye."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for transport in list(self._transports):
            reset(transport)

    def release(self) -> None:
        """Close, and give the port back for good."""
        self.close()
        self._holder.close()

    def joined(self, transport: asyncio.Transport) -> None:
        """Called by a protocol when its connection is made."""
        self._transports.add(transport)

    def left(self, transport: asyncio.Transport) -> None:
        """Called by a protocol when its connection is gone."""
        self._transports.discard(transport)


def reset(transport: asyncio.Transport) -> None:
    """Drop a connection with RST: SO_LINGER of zero seconds, then close without flushing."""
    sock = transport.get_extra_info("socket")
    if sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def bound_socket(host: str, port: int) -> socket.socket:
    """A TCP socket bound, not listening; others that share SO_REUSEADDR may listen beside it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock
