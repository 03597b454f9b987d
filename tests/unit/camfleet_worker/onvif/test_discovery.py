# SPDX-License-Identifier: Apache-2.0
"""What is read out of answers to a probe, whoever wrote them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camfleet_worker.onvif.discovery import ProbeMatch, probes, read_matches


def answer(
    xaddrs: str, types: str = "dn:NetworkVideoTransmitter", endpoint: str = "urn:uuid:1"
) -> bytes:
    return (
        '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" '
        'xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing" '
        'xmlns:d="http://schemas.xmlsoap.org/ws/2005/04/discovery"><s:Body><d:ProbeMatches>'
        f"<d:ProbeMatch><a:EndpointReference><a:Address>{endpoint}</a:Address>"
        f"</a:EndpointReference><d:Types>{types}</d:Types><d:XAddrs>{xaddrs}</d:XAddrs>"
        "</d:ProbeMatch></d:ProbeMatches></s:Body></s:Envelope>"
    ).encode()


WHOLE = answer("http://192.168.1.88/onvif/device_service")
MATCH = ProbeMatch("urn:uuid:1", ("/onvif/device_service",), True)


@pytest.mark.parametrize(
    ("datagram", "matches"),
    [
        (WHOLE, (MATCH,)),
        (b"\r\n" + WHOLE + b"\0\0", (MATCH,)),
        (WHOLE.replace(b"<d:", b"<p:").replace(b"</d:", b"</p:").replace(b":d=", b":p="), (MATCH,)),
        (re.sub(rb' xmlns:\w="[^"]*"', b"", WHOLE), (MATCH,)),
        (WHOLE[: WHOLE.index(b"</d:XAddrs>")], (MATCH,)),
        (answer("http://[fe80::1%25eth0]/a http://10.0.0.1:80/a http://10.0.0.1/b"),
         (ProbeMatch("urn:uuid:1", ("/a", "/b"), True),)),
        (answer("10.0.0.1:80/a"), (ProbeMatch("urn:uuid:1", ("/a",), True),)),
        (answer("soap.udp://10.0.0.1:3702 http://10.0.0.1/a"),
         (ProbeMatch("urn:uuid:1", ("/a",), True),)),
        (answer("http://10.0.0.1:5357/x", "prn:PrintDeviceType"),
         (ProbeMatch("urn:uuid:1", ("/x",), False),)),
        (answer("", endpoint=""), ()),
        (b"", ()),
        (b"<", ()),
        (b"\xff\xfe<\0", ()),
        (b"hello", ()),
        (b'<!DOCTYPE x [<!ENTITY e "x">]>' + WHOLE, ()),
    ],
    ids=[
        "whole", "blanks-around", "other-prefix", "prefixes-undeclared", "cut-off",
        "several-addresses", "schemeless", "other-schemes", "printer", "empty-match",
        "nothing", "bracket", "utf-16", "text", "entities",
    ],
)  # fmt: skip
def test_paths_and_endpoint_are_read_from_what_is_there(
    datagram: bytes, matches: tuple[ProbeMatch, ...]
) -> None:
    assert read_matches(datagram) == matches


@given(st.binary(max_size=2000))
def test_any_datagram_is_read_or_passed_over(datagram: bytes) -> None:
    read_matches(datagram)


@given(st.data())
def test_a_damaged_answer_is_read_or_passed_over(data: st.DataObject) -> None:
    damaged = bytearray(WHOLE)
    for _ in range(data.draw(st.integers(1, 8))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    for match in read_matches(bytes(damaged)):
        assert len(match.endpoint_reference) <= 128
        for path in match.paths:
            assert path.startswith("/")
            assert path.isascii()
            assert path.isprintable()


@given(st.text(max_size=200))
def test_of_any_address_only_a_path_is_left(address: str) -> None:
    escaped = "".join(char for char in address if char.isprintable() and char not in "<>&")
    for match in read_matches(answer(f"http://10.9.8.7/{escaped}")):
        assert all(path.startswith("/") for path in match.paths)


def test_probes_are_of_one_line_and_differ_in_type_and_number() -> None:
    sent = probes()
    assert not any(b"\n" in message for message in sent)
    assert [b"NetworkVideoTransmitter" in message for message in sent] == [True, False, False]
    assert [b"Types" in message for message in sent] == [True, False, True]
    assert len({re.search(rb"MessageID>([^<]+)", message) and message for message in sent}) == 3
    assert len(max(sent, key=len)) < 1400  # one Ethernet frame
