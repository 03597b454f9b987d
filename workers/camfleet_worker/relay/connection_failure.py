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
_WORDS_OF_A_STREAM = {
    SocketFailure.TIMEOUT: "takes no more data",
    SocketFailure.CLOSED: "closed the connection on which it took the stream; its log may say why",
    SocketFailure.TLS: "broke TLS on the connection on which it took the stream",
}


def connection_failure(
    target: RelayTarget, error: OSError, *, streaming: bool = False
) -> IngestError:
    """The failure with its reason. `streaming`: it took the stream on this connection."""
    if isinstance(error, ssl.SSLError) and not streaming:
        return target.failure(*tls_trouble(error))
    words = _WORDS | _WORDS_OF_A_STREAM if streaming else _WORDS
    unnamed = f"broke the connection with {errno_name(error)}"
    return target.failure(Reason.VMS_UNREACHABLE, words.get(socket_failure(error), unnamed))
