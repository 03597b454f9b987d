# SPDX-License-Identifier: Apache-2.0
"""WS-Discovery with one declared host: a hint at the path of its device service and its identity.

Used while a resolve searches a device that does not answer at its path. It never multicasts:
multicast does not leave a pod's network and reaches no province. The socket is connected to the
declared host, so that nothing can be sent to an address that a camera names, and the kernel drops
datagrams of other hosts. A lost, late, malformed or false answer costs a hint and nothing else: no
stream waits for discovery, and none ends because of it.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import uuid
from dataclasses import dataclass
from xml.sax.saxutils import escape

from lxml import etree

from camfleet_worker.resolve.addresses import MAX_PATH, path_and_query
from camfleet_worker.resolve.text import printable

PORT = 3702
"""WS-Discovery 1.1 section 3.1.1."""

MAX_ENDPOINT = 128
_MAX_DATAGRAM = 65_535
_MAX_MATCHES = 16
_MAX_ADDRESSES = 8
_RESEND_AFTER_S = (0.0, 0.3)
"""SOAP-over-UDP section 4.1 repeats a unicast message once, because answers get lost."""

_TYPES = (
    ("dn", "http://www.onvif.org/ver10/network/wsdl", "NetworkVideoTransmitter"),
    None,
    ("tds", "http://www.onvif.org/ver10/device/wsdl", "Device"),
)
"""The types to probe for. A device may not answer a type that it does not know or that has another
prefix, nor a probe without a type (quirk 19), so each variant is sent."""

_ANNOUNCING = ("NetworkVideoTransmitter", "Device")


@dataclass(frozen=True, slots=True)
class ProbeMatch:
    """The parts of an answer that are used: no host and no port."""

    endpoint_reference: str
    paths: tuple[str, ...]
    """The paths of its addresses, in its order, each once."""
    is_video: bool
    """Whether it claims to be an ONVIF device; printers and storage devices answer too."""


async def probe(host: str, port: int = PORT, within_s: float = 1.0) -> tuple[ProbeMatch, ...]:
    """The answers to a probe sent to the host alone, cameras first; empty without an answer."""
    datagrams: asyncio.Queue[bytes | None] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(within_s):
            address = (await loop.getaddrinfo(host, port, type=socket.SOCK_DGRAM))[0][4][:2]
            if _is_group(str(address[0])):
                return ()
            transport, _ = await loop.create_datagram_endpoint(
                lambda: _Listening(datagrams), remote_addr=(str(address[0]), port)
            )
    except (OSError, UnicodeError, TimeoutError):
        return ()
    try:
        return await _converse(transport, datagrams, within_s)
    finally:
        transport.close()


async def _converse(
    transport: asyncio.DatagramTransport, datagrams: asyncio.Queue[bytes | None], within_s: float
) -> tuple[ProbeMatch, ...]:
    """Send every variant twice; the first useful answer ends the probe."""
    loop = asyncio.get_running_loop()
    timers = [
        loop.call_later(delay_s, transport.sendto, message)
        for delay_s in _RESEND_AFTER_S
        for message in probes()
    ]
    found: dict[tuple[str, tuple[str, ...]], ProbeMatch] = {}
    try:
        async with asyncio.timeout(within_s):
            while (datagram := await datagrams.get()) is not None:
                for match in read_matches(datagram):
                    found[match.endpoint_reference, match.paths] = match
                if any(match.is_video and match.paths for match in found.values()):
                    break
    except TimeoutError:
        pass  # no further answer is expected
    finally:
        for timer in timers:
            timer.cancel()
    return tuple(sorted(found.values(), key=lambda match: not match.is_video))


class _Listening(asyncio.DatagramProtocol):
    """Puts datagrams into a queue; None when the host answers that the port is closed."""

    def __init__(self, datagrams: asyncio.Queue[bytes | None]) -> None:
        self._datagrams = datagrams

    def datagram_received(self, data: bytes, addr: object) -> None:
        if self._datagrams.qsize() < _MAX_MATCHES:
            self._datagrams.put_nowait(data)

    def error_received(self, exc: Exception) -> None:
        self._datagrams.put_nowait(None)


def probes() -> tuple[bytes, ...]:
    """One probe (WS-Discovery 1.1, April 2005 draft as in ONVIF Core section 7.3) per variant.

    Each is one line, because some firmware only reads the first line of a message.
    """
    return tuple(_probe(kind, f"urn:uuid:{uuid.uuid4()}") for kind in _TYPES)


def _probe(kind: tuple[str, str, str] | None, message_id: str) -> bytes:
    types = ""
    if kind is not None:
        prefix, namespace, name = kind
        types = f'<d:Types xmlns:{prefix}="{namespace}">{prefix}:{name}</d:Types>'
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" '
        'xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing" '
        'xmlns:d="http://schemas.xmlsoap.org/ws/2005/04/discovery"><s:Header>'
        "<a:Action>http://schemas.xmlsoap.org/ws/2005/04/discovery/Probe</a:Action>"
        f"<a:MessageID>{escape(message_id)}</a:MessageID>"
        "<a:To>urn:schemas-xmlsoap-org:ws:2005:04:discovery</a:To>"
        f"</s:Header><s:Body><d:Probe>{types}</d:Probe></s:Body></s:Envelope>"
    ).encode()


def read_matches(datagram: bytes) -> tuple[ProbeMatch, ...]:
    """The matches in one answer; () where the datagram is no answer. Never raises."""
    root = _parse(datagram)
    if root is None:
        return ()
    found = [one for one in root.iter() if _name(one) == "ProbeMatch"][:_MAX_MATCHES]
    return tuple(match for one in found if (match := _match(one)) is not None)


def _parse(datagram: bytes) -> etree._Element | None:
    """The root element, read with `recover` because half an answer may hold a whole address."""
    body = datagram[:_MAX_DATAGRAM].strip(b"\0\r\n\t ")
    if not body.startswith((b"<", b"\xef\xbb\xbf")) or b"<!DOCTYPE" in body or b"<!ENTITY" in body:
        return None
    parser = etree.XMLParser(
        recover=True,
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(body, parser)
    except (etree.XMLSyntaxError, ValueError):
        return None
    if root is None or root.getroottree().docinfo.doctype:
        return None
    return root


def _match(element: etree._Element) -> ProbeMatch | None:
    addresses = _texts(element, "XAddrs").split()[:_MAX_ADDRESSES]
    web = [one for one in addresses if one.lower().startswith(("http:", "https:"))] or addresses
    paths = tuple(dict.fromkeys(path_and_query(one) for one in web))
    endpoint = printable(_texts(element, "Address"), MAX_ENDPOINT)
    if not paths and not endpoint:
        return None
    types = {name.rpartition(":")[2] for name in _texts(element, "Types").split()}
    return ProbeMatch(
        endpoint_reference=endpoint,
        paths=tuple(path for path in paths if len(path) <= MAX_PATH and path != "/"),
        is_video=not types.isdisjoint(_ANNOUNCING),
    )


def _texts(element: etree._Element, name: str) -> str:
    """The text of the first descendant with that local name; prefixes are often wrong."""
    return next((one.text or "" for one in element.iter() if _name(one) == name), "").strip()


def _name(element: etree._Element) -> str:
    tag = element.tag
    return tag.rpartition("}")[2].rpartition(":")[2] if isinstance(tag, str) else ""


def _is_group(address: str) -> bool:
    return ipaddress.ip_address(address.partition("%")[0]).is_multicast
