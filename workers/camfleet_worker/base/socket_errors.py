# SPDX-License-Identifier: Apache-2.0
"""What an error of a connection means: the one place of the worker that reads it from errno.

Called by whoever connects: `rtsp` and `onvif` to cameras, `relay` to monitoring systems. It says
what happened, never who is told in which words or whether trying again can help: that differs
between a camera and a monitoring system, and each caller has one table for it. Errors of a disk
are not its business.
"""

from __future__ import annotations

import errno
import socket
import ssl
from enum import Enum, auto


class SocketFailure(Enum):
    """What happened to a connection, or to the attempt to make one."""

    NAME_NOT_RESOLVED = auto()
    """The name has no address, or no name server says so (getaddrinfo)."""
    REFUSED = auto()
    """The host is there and nothing listens on the port."""
    NO_ROUTE = auto()
    """The network has no way to the address."""
    TIMEOUT = auto()
    """Nothing came back in time."""
    CLOSED = auto()
    """The peer ended a connection that stood."""
    TLS = auto()
    """The two sides do not agree on TLS, or the certificate does not verify."""
    OTHER = auto()
    """Anything else; `errno_name` tells which."""


_NO_ROUTE = frozenset(
    {errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN, errno.EADDRNOTAVAIL}
)


def socket_failure(error: OSError) -> SocketFailure:
    """What this error means. Never raises."""
    # Of TLS and of name resolution `errno` holds numbers of their own, not the system's.
    if isinstance(error, ssl.SSLError):
        return SocketFailure.TLS
    if isinstance(error, socket.gaierror):
        return SocketFailure.NAME_NOT_RESOLVED
    if isinstance(error, ConnectionRefusedError):
        return SocketFailure.REFUSED
    if isinstance(error, TimeoutError):
        return SocketFailure.TIMEOUT
    if isinstance(error, (ConnectionResetError, ConnectionAbortedError, BrokenPipeError)):
        return SocketFailure.CLOSED
    return SocketFailure.NO_ROUTE if error.errno in _NO_ROUTE else SocketFailure.OTHER


def errno_name(error: OSError) -> str:
    """The system's name of the error, such as EMFILE; "an unknown error" where it has none."""
    return errno.errorcode.get(error.errno or 0, "an unknown error")
