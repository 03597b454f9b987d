# SPDX-License-Identifier: Apache-2.0
"""One attempt to connect to a monitoring system from the media loop, without ever blocking.

A relay on the loop makes one and calls `advance` each tick: the name is resolved off the loop, its
addresses are tried one after the other, then the TLS handshake follows where the target requires
it. Nothing of the protocol is sent here, so nothing is sent before a certificate was verified.
"""

from __future__ import annotations

import errno
import socket
import ssl
from concurrent.futures import Future

from camfleet_api.conditions import Reason
from camfleet_worker.relay.name_resolver import Address, Resolver
from camfleet_worker.relay.target import RelayTarget
from camfleet_worker.relay.timings import RelayTimings
from camfleet_worker.rtsp.tls import TlsSocket

Connection = socket.socket | TlsSocket
"""A connection that is non-blocking, connected, and with TLS where the target requires it."""

_UNSENT_BYTES = 128 << 10
"""The kernel would else take megabytes before a slow peer shows, and octets that it has taken can
no longer be dropped."""


class Connector:
    """Makes one connection to a name; the caller owns the connection."""

    def __init__(
        self,
        target: RelayTarget,
        tls: ssl.SSLContext | None,
        resolver: Resolver,
        timings: RelayTimings,
        now: float,
    ) -> None:
        self._target = target
        self._tls = tls
        self._timings = timings
        self._resolving: Future[list[Address]] | None = resolver.resolve(target.host, target.port)
        self._deadline = now + timings.answer_s
        self._addresses: list[Address] = []
        """The addresses to try next, if the present one does not answer."""
        self._plain: socket.socket | None = None
        self._encrypted: TlsSocket | None = None

    def advance(self, now: float) -> Connection | None:
        """The connection once it is made, None until then; `now` is monotonic.

        IngestError and OSError mean that there will be none; then close.
        """
        if self._encrypted is not None:
            return self._shake_hands(self._encrypted, now)
        if self._resolving is not None:
            self._take_addresses(self._resolving, now)
            return None
        assert self._plain is not None
        failure = _connect_result(self._plain)
        if failure == 0:
            return self._connected(self._plain, now)
        if failure != errno.EINPROGRESS or now > self._deadline:
            self._plain.close()
            self._try_next(errno.ETIMEDOUT if failure == errno.EINPROGRESS else failure, now)
        return None

    def close(self) -> None:
        """Close the sockets and stop resolving."""
        if self._resolving is not None:
            self._resolving.cancel()
        if self._plain is not None:
            self._plain.close()

    def _take_addresses(self, resolving: Future[list[Address]], now: float) -> None:
        if resolving.done():
            self._resolving = None
            self._addresses = resolving.result()
            self._try_next(errno.EADDRNOTAVAIL, now)
        elif now > self._deadline:
            raise self._target.failure(Reason.VMS_UNREACHABLE, "has a name that nobody resolves")

    def _try_next(self, failure: int, now: float) -> None:
        """Connect to the next address; raise `failure` of the last one where none is left."""
        while self._addresses:
            connecting, failure = _begin_to_connect(self._addresses.pop(0))
            if connecting is not None:
                self._plain = connecting
                self._deadline = now + self._timings.connect_s
                return
        raise OSError(failure, "connect")

    def _connected(self, plain: socket.socket, now: float) -> Connection | None:
        if self._tls is None:
            return plain
        self._deadline = now + self._timings.answer_s
        self._encrypted = TlsSocket(plain, self._target.host, self._tls)
        return self._shake_hands(self._encrypted, now)

    def _shake_hands(self, encrypted: TlsSocket, now: float) -> Connection | None:
        try:
            encrypted.handshake()
        except BlockingIOError:
            if now > self._deadline:
                raise self._target.failure(
                    Reason.VMS_UNREACHABLE, "takes connections but does not answer"
                ) from None
            return None
        return encrypted


def _begin_to_connect(address: Address) -> tuple[socket.socket | None, int]:
    """A socket that connects, or None and what failed at once."""
    connecting = socket.socket(address.family, socket.SOCK_STREAM)
    connecting.setblocking(False)
    connecting.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connecting.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT_BYTES)
    failure = connecting.connect_ex(address.sockaddr)
    if failure in (0, errno.EINPROGRESS):
        return connecting, 0
    connecting.close()
    return None, failure


def _connect_result(connecting: socket.socket) -> int:
    """0 when connected, EINPROGRESS while it is not, else what failed."""
    failure = connecting.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if failure:
        return failure
    try:
        connecting.getpeername()
    except OSError as error:
        return errno.EINPROGRESS if error.errno == errno.ENOTCONN else error.errno or errno.EIO
    return 0
