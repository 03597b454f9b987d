# SPDX-License-Identifier: Apache-2.0
"""Builds and reads SOAP envelopes by zeep, in one thread; the XML is checked before zeep sees it.

The login and the device use it. A camera is an untrusted peer: no document type, no entity, no
network access and no huge tree are allowed. There is one thread because zeep resolves its schema
objects on first use, and because the interpreter's lock limits parsing. It opens no sockets.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from lxml import etree
from zeep.wsse.username import UsernameToken

from camfleet_worker.base.errors import IngestError
from camfleet_worker.login.credentials import Credentials
from camfleet_worker.onvif import wsdl
from camfleet_worker.onvif.mended_xml import mended
from camfleet_worker.onvif.transport import HttpAnswer, protocol_error
from camfleet_worker.resolve.refusal import Fault
from camfleet_worker.resolve.text import printable

T = TypeVar("T")

_SOAP12 = "http://www.w3.org/2003/05/soap-envelope"
_SOAP11 = "http://schemas.xmlsoap.org/soap/envelope/"
_MAX_CODES = 8


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of a service, which its WSDL namespace identifies."""

    namespace: str
    name: str

    @property
    def content_type(self) -> str:
        """The media type, which holds the action (SOAP 1.2 part 2 section 6.2)."""
        return f'application/soap+xml; charset=utf-8; action="{self.namespace}/{self.name}"'


@dataclass(frozen=True, slots=True)
class Signature:
    """The account and the camera's time, from which a WS-UsernameToken is made."""

    credentials: Credentials
    created_epoch_s: float


@dataclass(frozen=True, slots=True)
class SoapAnswer:
    """An HTTP answer, with its SOAP envelope and fault where it has them."""

    http: HttpAnswer
    document: Any | None
    """The envelope's root element; None when the body is no SOAP."""
    fault: Fault | None


class SoapCodec:
    """Builds requests and reads answers in a thread of its own."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="onvif-soap")

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def build(
        self, operation: Operation, arguments: dict[str, Any], signature: Signature | None
    ) -> bytes:
        """The envelope of a request; with a signature it is signed, with a fresh nonce."""
        return await self._run(lambda: _build(operation, arguments, signature))

    async def open(self, answer: HttpAnswer) -> SoapAnswer:
        """Look for an envelope and a fault in an HTTP answer."""
        return await self._run(lambda: _open(answer))

    async def read(self, operation: Operation, answer: SoapAnswer) -> Any:
        """The operation's result, by the WSDL's types; missing elements read as None."""
        return await self._run(lambda: _read(operation, answer))

    async def _run(self, job: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, job)


def _build(operation: Operation, arguments: dict[str, Any], signature: Signature | None) -> bytes:
    envelope = wsdl.binding(operation.namespace).get(operation.name).create(**arguments).content
    if signature is not None:
        token = UsernameToken(
            signature.credentials.username,
            signature.credentials.password,
            use_digest=True,
            created=datetime.fromtimestamp(signature.created_epoch_s, UTC),
            zulu_timestamp=True,
        )
        envelope, _ = token.apply(envelope, {})
    return bytes(etree.tostring(envelope, xml_declaration=True, encoding="utf-8"))


def _open(answer: HttpAnswer) -> SoapAnswer:
    root = _parse(answer)
    if root is None or root.tag not in (f"{{{_SOAP12}}}Envelope", f"{{{_SOAP11}}}Envelope"):
        return SoapAnswer(answer, None, None)
    return SoapAnswer(answer, root, _fault(root))


def _parse(answer: HttpAnswer) -> Any | None:
    """The root element; None where the body is clearly no XML; ProtocolError for broken SOAP."""
    body = answer.body.strip()
    if not body.startswith((b"<", b"\xef\xbb\xbf")):
        return None
    # lxml's protection is not enough: it expands an entity in an attribute even where entities are
    # not resolved. A document type hidden by another encoding is found after parsing.
    if b"<!DOCTYPE" in body or b"<!ENTITY" in body:
        if b"Envelope" not in body:
            return None
        raise protocol_error("The camera's SOAP answer holds a document type definition")
    try:
        root = _well_formed(body)
    except (etree.XMLSyntaxError, ValueError) as error:
        if "soap" in answer.content_type.lower() or b"Envelope" in body:
            raise protocol_error("The camera's SOAP answer is not well-formed XML") from error
        return None
    if root.getroottree().docinfo.doctype:
        raise protocol_error("The camera's SOAP answer holds a document type definition")
    return root


def _well_formed(body: bytes) -> Any:
    """The root element, of the document mended where it is not well-formed as it came."""
    try:
        return etree.fromstring(body, _parser())
    except (etree.XMLSyntaxError, ValueError):
        return etree.fromstring(mended(body), _parser())


def _parser() -> etree.XMLParser:
    return etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        attribute_defaults=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )


def _fault(root: Any) -> Fault | None:
    """The fault of a SOAP 1.2 (section 5.4) or 1.1 (section 4.4) envelope."""
    fault = root.find(f"{{{_SOAP12}}}Body/{{{_SOAP12}}}Fault")
    if fault is None:
        fault = root.find(f"{{{_SOAP11}}}Body/{{{_SOAP11}}}Fault")
    if fault is None:
        return None
    codes = [e.text for e in fault.iter(f"{{{_SOAP12}}}Value", "faultcode") if e.text]
    words = [e.text for e in fault.iter(f"{{{_SOAP12}}}Text", "faultstring") if e.text]
    words += [text for detail in fault.iter(f"{{{_SOAP12}}}Detail") for text in detail.itertext()]
    return Fault(
        codes=tuple(printable(code.rpartition(":")[2], 40) for code in codes[:_MAX_CODES]),
        text=printable(" ".join(words[:_MAX_CODES]), 200),
    )


def _read(operation: Operation, answer: SoapAnswer) -> Any:
    if not _answers(operation, answer.document):
        raise protocol_error(f"The camera answers {operation.name} with something else")
    try:
        return wsdl.binding(operation.namespace).get(operation.name).process_reply(answer.document)
    except IngestError:
        raise
    # zeep is not written for hostile documents: any exception is the fault of the document.
    except Exception as error:
        raise protocol_error(
            f"The camera's answer to {operation.name} does not fit ONVIF's schema"
        ) from error


def _answers(operation: Operation, root: Any) -> bool:
    """Whether the body holds the response to the operation, which lenient zeep does not check."""
    body = root.find(f"{{{etree.QName(root).namespace}}}Body")
    return body is not None and any(
        etree.QName(child).localname == f"{operation.name}Response" for child in body
    )
