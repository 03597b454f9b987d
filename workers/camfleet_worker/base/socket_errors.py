# SPDX-License-Identifier: Apache-2.0
"""Classifies errors of connections; no other module of the worker reads errno of a socket.

`rtsp` and `onvif` use it for cameras, `relay` for monitoring systems. It returns what happened, and
neither the reason to report nor whether a retry can help: these differ between a camera and a
monitoring system, and each caller has one table for them. It does not classify errors of a disk.
"""

from __future__ import annotations

import errno
import socket
import ssl
from enum import Enum, auto


class SocketFailure(Enum):
    """What happened to a connection, or to the attempt to make one."""

    NAME_NOT_RESOLVED = auto()
    """The name has no address, or no name server answers (getaddrinfo)."""
    REFUSED = auto()
    """The host answers, and no process listens on the port."""
    NO_ROUTE = auto()
    """The network has no way to the address."""
    TIMEOUT = auto()
    """No answer came in time."""
    CLOSED = auto()
    """The peer closed an open connection."""
    TLS = auto()
    """The two sides do not agree on TLS, or the certificate does not verify."""
    OTHER = auto()
    """Another error; `errno_name` names it."""


_NO_ROUTE = frozenset(
    {errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN, errno.EADDRNOTAVAIL}
)


def socket_failure(error: OSError) -> SocketFailure:
    """The class of this error. Never raises."""
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
