# SPDX-License-Identifier: Apache-2.0
"""What a monitoring system did to a connection is told in the same words by every relay."""

from __future__ import annotations

import errno
import socket
import ssl

import pytest

from camfleet_api.conditions import ConditionType, Reason
from camfleet_api.monitoring_system import RelayProtocol
from camfleet_worker.base.errors import Retry
from camfleet_worker.media_types.access_unit import Codec
from camfleet_worker.relay.connection_failure import connection_failure
from camfleet_worker.relay.target import RelayTarget

TARGET = RelayTarget(RelayProtocol.RTSP, "vms", 554, "/live/gate", frozenset((Codec.H264,)))


@pytest.mark.parametrize(
    ("error", "what"),
    [
        (socket.gaierror(socket.EAI_NONAME, ""), "has a name that does not resolve"),
        (OSError(errno.ECONNREFUSED, ""), "refuses the connection"),
        (OSError(errno.ENETUNREACH, ""), "cannot be routed to"),
        (TimeoutError(), "does not answer"),
        (ConnectionResetError(), "closed the connection"),
        (OSError(errno.EMFILE, ""), "broke the connection with EMFILE"),
    ],
    ids=repr,
)
def test_a_failure_of_a_connection_is_reported_and_retried(error: OSError, what: str) -> None:
    told = connection_failure(TARGET, error)
    assert (told.condition, told.reason) == (ConditionType.RELAYING, Reason.VMS_UNREACHABLE)
    assert told.retry is Retry.BACKOFF
    assert told.detail.startswith(f"The monitoring system at vms:554 {what}")


def test_a_port_that_speaks_no_tls_is_another_protocol_and_can_be_reached() -> None:
    told = connection_failure(TARGET, ssl.SSLError("wrong version number"))
    assert told.reason is Reason.VMS_WRONG_PROTOCOL
    assert told.retry is Retry.BACKOFF
    assert told.detail == "The monitoring system at vms:554 does not agree on TLS"


@pytest.mark.parametrize(
    ("error", "what"),
    [
        (TimeoutError(), "takes no more data"),
        (ConnectionResetError(), "closed the connection on which it took the stream"),
        (ssl.SSLEOFError(), "broke TLS on the connection on which it took the stream"),
        (OSError(errno.ENETUNREACH, ""), "cannot be routed to"),
    ],
    ids=repr,
)
def test_a_failure_of_a_stream_is_not_said_to_be_one_of_a_connect(
    error: OSError, what: str
) -> None:
    told = connection_failure(TARGET, error, streaming=True)
    assert told.reason is Reason.VMS_UNREACHABLE
    assert told.detail.startswith(f"The monitoring system at vms:554 {what}")
