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
        (ssl.SSLError("wrong version number"), "does not agree on TLS"),
        (OSError(errno.EMFILE, ""), "broke the connection with EMFILE"),
    ],
    ids=repr,
)
def test_a_failure_of_a_connection_is_reported_and_retried(error: OSError, what: str) -> None:
    told = connection_failure(TARGET, error)
    assert (told.condition, told.reason) == (ConditionType.RELAYING, Reason.VMS_UNREACHABLE)
    assert told.retry is Retry.BACKOFF
    assert told.detail.startswith(f"The monitoring system at vms:554 {what}")
