# SPDX-License-Identifier: Apache-2.0
"""The header values with a structure of their own: Session, Transport, Public.

Pure. Tolerant of the blanks, trailing semicolons and upper-case letters that cameras send.
"""

from __future__ import annotations

from dataclasses import dataclass

from camfleet_worker.base.whole_number import whole_number

DEFAULT_SESSION_TIMEOUT_S = 60
"""RFC 2326 section 12.37."""
_SHORTEST_TIMEOUT_S, _LONGEST_TIMEOUT_S = 2, 3600


@dataclass(frozen=True, slots=True)
class SessionHeader:
    """`Session: id;timeout=60` (RFC 2326 section 12.37)."""

    id: str
    timeout_s: int = DEFAULT_SESSION_TIMEOUT_S
    stated: bool = True
    """False where the camera leaves the timeout to us: many then mean less than the RFC does."""


def parse_session(value: str) -> SessionHeader | None:
    """None where there is no identifier, or one that could not be repeated in a request."""
    session_id, *parameters = (part.strip() for part in value.split(";"))
    if not session_id or not session_id.isprintable():
        return None
    timeout = whole_number(_parameter(parameters, "timeout"), digits=9)
    if timeout is None:
        return SessionHeader(session_id, stated=False)
    # Zero is sent by cameras that mean "never"; an hour without a sign of life is long enough.
    seconds = timeout or _LONGEST_TIMEOUT_S
    return SessionHeader(session_id, min(max(seconds, _SHORTEST_TIMEOUT_S), _LONGEST_TIMEOUT_S))


@dataclass(frozen=True, slots=True)
class InterleavedIds:
    """The interleaved channels of one media (RFC 2326 section 12.39)."""

    rtp: int
    rtcp: int


def parse_interleaved(value: str) -> InterleavedIds | None:
    """The channels a Transport header settles on; None where it is not TCP interleaved.

    The server may choose others than those asked for.
    """
    first = value.split(",")[0]
    channels = _parameter([part.strip() for part in first.split(";")], "interleaved")
    if channels is None:
        return None
    low, _, high = channels.partition("-")
    numbers = [n for text in (low, high) if (n := whole_number(text, digits=3)) is not None]
    if not numbers or max(numbers) > 255:
        return None
    return InterleavedIds(numbers[0], numbers[1] if len(numbers) > 1 else numbers[0] + 1 & 0xFF)


def settled_ids(value: str, asked: InterleavedIds) -> InterleavedIds | None:
    """The channels after SETUP; None where the Transport header settles on something else.

    An answer that names TCP and no channels means those that were asked for: RFC 2326 section 12.39
    lets a server leave out what it does not change.
    """
    ids = parse_interleaved(value)
    if ids is None and "TCP" in value.split(",")[0].split(";")[0].upper():
        return asked
    return ids


@dataclass(frozen=True, slots=True)
class UdpPorts:
    """The ports of one side."""

    rtp: int
    rtcp: int


def is_udp(value: str) -> bool:
    """Whether a Transport header settles on datagrams (RFC 2326 section 12.39)."""
    words = [part.strip().upper() for part in value.split(",")[0].split(";")]
    return words[0].startswith("RTP/AVP") and "TCP" not in words[0] and "MULTICAST" not in words


def parse_server_ports(value: str) -> UdpPorts | None:
    """The ports a camera sends from; None where it names none. Addresses in it are not read:
    `source` and `destination` name hosts that are not declared."""
    parameters = [part.strip() for part in value.split(",")[0].split(";")]
    low, _, high = (_parameter(parameters, "server_port") or "").partition("-")
    ports = [n for text in (low, high) if (n := whole_number(text, digits=5)) is not None]
    if not ports or not all(0 < port <= 0xFFFF for port in ports):
        return None
    return UdpPorts(ports[0], ports[1] if len(ports) > 1 else min(ports[0] + 1, 0xFFFF))


def parse_public(value: str) -> frozenset[str]:
    """The methods a server answers to (RFC 2326 section 12.28)."""
    return frozenset(method.strip().upper() for method in value.split(",") if method.strip())


def _parameter(parameters: list[str], name: str) -> str | None:
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip().lower() == name:
            return value.strip().strip('"')
    return None
