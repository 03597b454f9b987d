# SPDX-License-Identifier: Apache-2.0
"""SOAP 1.2 envelopes: reading requests, writing answers and ONVIF faults (ONVIF Core §5.8, §5.11);
and the same in SOAP 1.1, for cameras that speak that.

XML is read with the standard library's parser (the image has nothing else) and written as text:
answers are short, and a camera's firmware writes them the same way.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from xml.sax.saxutils import escape

from camera_simulator.authentication import UsernameToken

SOAP = "http://www.w3.org/2003/05/soap-envelope"
SOAP11 = "http://schemas.xmlsoap.org/soap/envelope/"
DEVICE = "http://www.onvif.org/ver10/device/wsdl"
MEDIA = "http://www.onvif.org/ver10/media/wsdl"
MEDIA2 = "http://www.onvif.org/ver20/media/wsdl"
EVENTS = "http://www.onvif.org/ver10/events/wsdl"
NOTIFICATION = "http://docs.oasis-open.org/wsn/b-2"
_WSSE = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
_WSU = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"

CONTENT_TYPE = "application/soap+xml; charset=utf-8"
CONTENT_TYPE11 = "text/xml; charset=utf-8"
_FAULT = re.compile(r"<s:Fault>.*</s:Fault>", re.S)


class NotSoap(ValueError):
    """The body is no SOAP 1.2 envelope with one operation in it."""


@dataclass(frozen=True)
class Call:
    """One SOAP request: which operation of which service, its element, and the token if it bore
    one."""

    namespace: str
    operation: str
    element: ET.Element
    token: UsernameToken | None

    def text(self, *path: str) -> str:
        """The text of a child found by local names at any namespace; empty when it is not there."""
        element: ET.Element | None = self.element
        for name in path:
            element = next(
                (child for child in element or () if local_name(child.tag) == name), None
            )
        return (element.text or "").strip() if element is not None else ""


def read_call(body: bytes) -> Call:
    if b"<!DOCTYPE" in body:
        raise NotSoap("a document type declaration is not SOAP (SOAP 1.2 part 1 §5)")
    try:
        envelope = ET.fromstring(body)
    except ET.ParseError as error:
        raise NotSoap(str(error)) from error
    soap_body = envelope.find(f"{{{SOAP}}}Body")
    if envelope.tag != f"{{{SOAP}}}Envelope" or soap_body is None or len(soap_body) != 1:
        raise NotSoap("not a SOAP 1.2 envelope with one operation")
    element = soap_body[0]
    namespace = element.tag.partition("}")[0].lstrip("{")
    return Call(namespace, local_name(element.tag), element, _read_token(envelope))


def local_name(tag: str) -> str:
    return tag.rpartition("}")[2]


def _read_token(envelope: ET.Element) -> UsernameToken | None:
    token = envelope.find(f"{{{SOAP}}}Header/{{{_WSSE}}}Security/{{{_WSSE}}}UsernameToken")
    if token is None:
        return None
    password = token.find(f"{{{_WSSE}}}Password")
    kind = password.get("Type", "") if password is not None else ""
    return UsernameToken(
        username=_text(token.find(f"{{{_WSSE}}}Username")),
        password=_text(password),
        digested=kind.endswith("#PasswordDigest"),
        nonce=_text(token.find(f"{{{_WSSE}}}Nonce")),
        created=_text(token.find(f"{{{_WSU}}}Created")),
    )


def _text(element: ET.Element | None) -> str:
    return (element.text or "").strip() if element is not None else ""


def envelope(body: str) -> bytes:
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        f'<s:Envelope xmlns:s="{SOAP}" xmlns:tds="{DEVICE}" xmlns:trt="{MEDIA}" '
        f'xmlns:tr2="{MEDIA2}" xmlns:tev="{EVENTS}" xmlns:wsnt="{NOTIFICATION}" '
        'xmlns:wsa="http://www.w3.org/2005/08/addressing" '
        'xmlns:tt="http://www.onvif.org/ver10/schema" xmlns:ter="http://www.onvif.org/ver10/error">'
        f"<s:Body>{body}</s:Body></s:Envelope>"
    ).encode()


def fault(code: str, subcodes: tuple[str, ...], reason: str) -> bytes:
    """A SOAP 1.2 fault; `code` is Sender or Receiver, subcodes are ONVIF's, outermost first."""
    nested = ""
    for subcode in reversed(subcodes):
        nested = f"<s:Subcode><s:Value>ter:{subcode}</s:Value>{nested}</s:Subcode>"
    return envelope(
        f"<s:Fault><s:Code><s:Value>s:{code}</s:Value>{nested}</s:Code>"
        f'<s:Reason><s:Text xml:lang="en">{escape(reason)}</s:Text></s:Reason></s:Fault>'
    )


def is_in_1_1(content_type: str, action: str | None, body: bytes) -> bool:
    """Whether a request is SOAP 1.1 throughout: envelope, media type and SOAPAction (§6.1)."""
    typed = content_type.lower().startswith("text/xml")
    return SOAP11.encode() in body and typed and action is not None


def from_1_1(body: bytes) -> bytes:
    """The request as SOAP 1.2 has it."""
    return body.replace(SOAP11.encode(), SOAP.encode())


def to_1_1(body: bytes) -> bytes:
    """The answer as SOAP 1.1 has it (§4.4): the last subcode of a fault is its faultcode."""
    return _FAULT.sub(_fault_1_1, body.decode()).replace(SOAP, SOAP11).encode()


def _fault_1_1(fault: re.Match[str]) -> str:
    code = re.findall(r"<s:Value>(.*?)</s:Value>", fault[0])[-1]
    reason = re.findall(r"<s:Text.*?>(.*?)</s:Text>", fault[0])[0]
    return f"<s:Fault><faultcode>{code}</faultcode><faultstring>{reason}</faultstring></s:Fault>"
