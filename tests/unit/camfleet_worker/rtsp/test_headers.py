# SPDX-License-Identifier: Apache-2.0
"""Structured header values as cameras write them."""

from __future__ import annotations

import pytest

from camfleet_worker.rtsp.headers import (
    InterleavedIds,
    SessionHeader,
    UdpPorts,
    is_udp,
    parse_interleaved,
    parse_public,
    parse_server_ports,
    parse_session,
)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("12345678", SessionHeader("12345678", 60, stated=False)),
        ("abc;timeout=30", SessionHeader("abc", 30)),
        (" abc ; Timeout = 30 ;", SessionHeader("abc", 30)),
        ("abc;timeout=", SessionHeader("abc", 60, stated=False)),
        ("abc;timeout=0", SessionHeader("abc", 3600)),
        ("abc;timeout=\u00b2", SessionHeader("abc", 60, stated=False)),
        ("abc;timeout=1", SessionHeader("abc", 2)),
        ("abc;timeout=99999999999999", SessionHeader("abc", 60, stated=False)),
        (";timeout=30", None),
    ],
)
def test_session(value: str, expected: SessionHeader | None) -> None:
    assert parse_session(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("RTP/AVP/TCP;unicast;interleaved=0-1;ssrc=1A2B", InterleavedIds(0, 1)),
        ("RTP/AVP/TCP; unicast; Interleaved = 4-5;", InterleavedIds(4, 5)),
        ("RTP/AVP/TCP;interleaved=6", InterleavedIds(6, 7)),
        ("RTP/AVP/TCP;interleaved=255", InterleavedIds(255, 0)),
        ("RTP/AVP/TCP;interleaved=\u00b2-\u00b3", None),
        ("RTP/AVP;unicast;client_port=5000-5001", None),
        ("RTP/AVP/TCP;interleaved=900-901", None),
        ("RTP/AVP/TCP;interleaved=x-y", None),
    ],
)
def test_interleaved_channels(value: str, expected: InterleavedIds | None) -> None:
    assert parse_interleaved(value) == expected


def test_public_methods_are_compared_in_upper_case() -> None:
    assert parse_public(" options, GET_PARAMETER ,,") == {"OPTIONS", "GET_PARAMETER"}


@pytest.mark.parametrize(
    ("value", "udp", "ports"),
    [
        ("RTP/AVP;unicast;client_port=5000-5001;server_port=6000-6001", True, UdpPorts(6000, 6001)),
        ("RTP/AVP/UDP; unicast; Server_Port = 6000;", True, UdpPorts(6000, 6001)),
        ("RTP/AVP;unicast;server_port=0-1", True, None),
        ("RTP/AVP;unicast;server_port=70000-70001", True, None),
        ("RTP/AVP;unicast;server_port=\u00b2", True, None),
        ("RTP/AVP;unicast;source=198.51.100.7", True, None),
        ("RTP/AVP;multicast;port=5000-5001", False, None),
        ("RTP/AVP/TCP;unicast;interleaved=0-1", False, None),
        ("", False, None),
    ],
)
def test_transports_over_udp(value: str, udp: bool, ports: UdpPorts | None) -> None:
    assert is_udp(value) is udp
    assert parse_server_ports(value) == ports
