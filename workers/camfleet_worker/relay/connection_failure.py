# SPDX-License-Identifier: Apache-2.0
"""Describes a failed connection to a monitoring system; the only table of this for all relays.

Each protocol's relay calls it with any OSError of its publisher. base/socket_errors.py classifies
errors, vms_tls.py describes failures of TLS.
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
    """VmsUnreachable with a description of the failure."""
    if isinstance(error, ssl.SSLError):
        what = tls_trouble(error)
    else:
        unnamed = f"broke the connection with {errno_name(error)}"
        what = _WORDS.get(socket_failure(error), unnamed)
    return target.failure(Reason.VMS_UNREACHABLE, what)
