# SPDX-License-Identifier: Apache-2.0
"""What a monitoring system did to our connection, in words. The one table for all relays.

Called by each protocol's relay with whatever OSError came out of its publisher. What an error means
stands in base/socket_errors.py, what TLS can answer in vms_tls.py.
"""

from __future__ import annotations

import ssl

from camfleet_api.conditions import Reason
from camfleet_worker.base.errors import IngestError
from camfleet_worker.base.socket_errors import SocketFailure, errno_name, socket_failure
from camfleet_worker.relay.target import RelayTarget
from camfleet_worker.relay.vms_tls import tls_trouble

_WORDS = {
    SocketFailure.NAME_NOT_RESOLVED: "has a name that does not resolve",
    SocketFailure.REFUSED: "refuses the connection",
    SocketFailure.NO_ROUTE: "cannot be routed to",
    SocketFailure.TIMEOUT: "does not answer",
    SocketFailure.CLOSED: "closed the connection",
}


def connection_failure(target: RelayTarget, error: OSError) -> IngestError:
    """VmsUnreachable, with what happened."""
    if isinstance(error, ssl.SSLError):
        what = tls_trouble(error)
    else:
        unnamed = f"broke the connection with {errno_name(error)}"
        what = _WORDS.get(socket_failure(error), unnamed)
    return target.failure(Reason.VMS_UNREACHABLE, what)
