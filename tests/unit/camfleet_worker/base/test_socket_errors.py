# SPDX-License-Identifier: Apache-2.0
"""What an error of a connection means, and that it is read at one place."""

from __future__ import annotations

import errno
import socket
import ssl

import pytest

from camfleet_worker.base.socket_errors import SocketFailure, errno_name, socket_failure


def of(number: int) -> OSError:
    """As the operating system raises it."""
    return OSError(number, "")


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (socket.gaierror(socket.EAI_NONAME, ""), SocketFailure.NAME_NOT_RESOLVED),
        (of(errno.ECONNREFUSED), SocketFailure.REFUSED),
        (of(errno.EHOSTUNREACH), SocketFailure.NO_ROUTE),
        (of(errno.ENETUNREACH), SocketFailure.NO_ROUTE),
        (of(errno.EHOSTDOWN), SocketFailure.NO_ROUTE),
        (of(errno.ETIMEDOUT), SocketFailure.TIMEOUT),
        (TimeoutError(), SocketFailure.TIMEOUT),
        (of(errno.ECONNRESET), SocketFailure.CLOSED),
        (of(errno.EPIPE), SocketFailure.CLOSED),
        (ConnectionResetError(), SocketFailure.CLOSED),
        (ssl.SSLError("wrong version number"), SocketFailure.TLS),
        (ssl.SSLCertVerificationError("expired"), SocketFailure.TLS),
        (of(errno.EMFILE), SocketFailure.OTHER),
        (OSError("no pair of UDP ports is free"), SocketFailure.OTHER),
    ],
    ids=repr,
)
def test_an_error_has_one_meaning(error: OSError, failure: SocketFailure) -> None:
    assert socket_failure(error) is failure


def test_numbers_of_tls_and_of_name_resolution_are_not_the_systems() -> None:
    """Both count from 1 on, too: a number may be ECONNREFUSED's by chance."""
    assert socket_failure(ssl.SSLError(errno.ECONNREFUSED, "")) is SocketFailure.TLS
    assert socket_failure(socket.gaierror(errno.EHOSTUNREACH, "")) is (
        SocketFailure.NAME_NOT_RESOLVED
    )


def test_an_error_without_a_meaning_of_its_own_is_named() -> None:
    assert errno_name(of(errno.EMFILE)) == "EMFILE"
    assert errno_name(OSError("no number")) == "an unknown error"
