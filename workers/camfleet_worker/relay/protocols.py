# SPDX-License-Identifier: Apache-2.0
"""Which relay speaks which protocol. Called by the factory of sinks, once for each relay it makes.

A further protocol is a folder beside `rtsp` and `rtmp` with the same file names (relay.py: what is
queued, dropped and reported; publisher.py: one connection; messages.py: its messages, without any
I/O), a row here and its port in target.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from camfleet_api.conditions import Reason
from camfleet_api.monitoring_system import RelayProtocol
from camfleet_worker.base.errors import Retry
from camfleet_worker.media_types.sink import Sink
from camfleet_worker.relay.name_resolver import Resolver
from camfleet_worker.relay.rtmp.relay import RtmpRelay
from camfleet_worker.relay.rtsp.relay import RtspRelay
from camfleet_worker.relay.target import RelayTarget

MakeRelay = Callable[[str, RelayTarget, Resolver], Sink]


def _rtmp(name: str, target: RelayTarget, resolver: Resolver) -> Sink:
    """The relay by RTMP, which resolves names on its own thread."""
    return RtmpRelay(name, target)


RELAYS: Mapping[RelayProtocol, MakeRelay] = {
    RelayProtocol.RTSP: RtspRelay,
    RelayProtocol.RTSPS: RtspRelay,
    RelayProtocol.RTMP: _rtmp,
    RelayProtocol.RTMPS: _rtmp,
}


def make_relay(name: str, target: RelayTarget, resolver: Resolver) -> Sink:
    """The relay for this target; IngestError where there is none for its protocol, or it cannot be
    made. `name` is the monitoring system's."""
    make = RELAYS.get(target.protocol)
    if make is None:
        raise target.failure(
            Reason.VMS_REJECTED,
            f"is declared with the protocol {target.protocol}, which this worker does not speak",
            Retry.ON_SPEC_CHANGE,
        )
    return make(name, target, resolver)
