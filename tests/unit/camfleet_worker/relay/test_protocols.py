# SPDX-License-Identifier: Apache-2.0
"""Every protocol of the contract has a relay, and one that has none is refused by name."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import cast

import pytest

from camfleet_api.conditions import ConditionType, Reason
from camfleet_api.monitoring_system import RelayProtocol
from camfleet_worker.base.errors import IngestError, Retry
from camfleet_worker.media_types.access_unit import Codec
from camfleet_worker.relay.name_resolver import Resolver
from camfleet_worker.relay.protocols import RELAYS, make_relay
from camfleet_worker.relay.rtmp.relay import RtmpRelay
from camfleet_worker.relay.rtsp.relay import RtspRelay
from camfleet_worker.relay.target import StreamNames, relay_target

NAMES = StreamNames("phu-yen", "s1", "gate", "0a1b2c3d")


class LaterProtocol(StrEnum):
    """One that the contract may get."""

    SRT = "srt"


LATER = cast(RelayProtocol, LaterProtocol.SRT)


@pytest.fixture
def resolver() -> Iterator[Resolver]:
    resolver = Resolver()
    yield resolver
    resolver.close()


@pytest.mark.parametrize("protocol", list(RelayProtocol))
def test_every_protocol_of_the_contract_has_its_relay(
    protocol: RelayProtocol, resolver: Resolver
) -> None:
    target = relay_target(protocol, f"{protocol}://vms/live/{{camera}}", NAMES, [Codec.H264])
    kind = RtspRelay if protocol.startswith("rtsp") else RtmpRelay
    assert isinstance(make_relay("vms", target, resolver), kind)


def test_the_registry_holds_nothing_else() -> None:
    assert set(RELAYS) == set(RelayProtocol)


def test_a_protocol_without_a_relay_is_refused_by_its_name(resolver: Resolver) -> None:
    target = relay_target(LATER, "srt://vms:9000/live/{camera}", NAMES, [Codec.H264])
    with pytest.raises(IngestError, match="the protocol srt") as refused:
        make_relay("vms", target, resolver)
    error = refused.value
    assert (error.condition, error.reason) == (ConditionType.RELAYING, Reason.VMS_REJECTED)
    assert error.retry is Retry.ON_SPEC_CHANGE


def test_a_protocol_without_a_usual_port_needs_one_in_its_url() -> None:
    with pytest.raises(IngestError, match="names no port, and srt"):
        relay_target(LATER, "srt://vms/live/{camera}", NAMES, [Codec.H264])
