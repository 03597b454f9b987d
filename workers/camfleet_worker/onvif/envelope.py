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
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from lxml import etree
from zeep.wsse.username import UsernameToken

from camfleet_worker.base.errors import IngestError
from camfleet_worker.login.credentials import Credentials
from camfleet_worker.onvif import wsdl
from camfleet_worker.onvif.answer_shape import child_named, local_name, shape
from camfleet_worker.onvif.mended_xml import Mend, mended
from camfleet_worker.onvif.soap_version import SoapVersion
from camfleet_worker.onvif.transport import HttpAnswer, protocol_error
from camfleet_worker.resolve.refusal import Fault
from camfleet_worker.resolve.text import printable

T = TypeVar("T")

_MAX_CODES = 8


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of a service, which its WSDL namespace identifies."""

    namespace: str
    name: str

    def headers(self, version: SoapVersion) -> dict[str, str]:
        """HTTP headers of its request: the media type and the action."""
        return version.headers(f"{self.namespace}/{self.name}")


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
    mends: frozenset[Mend] = frozenset()
    """What had to be mended before the body could be read."""

    @property
    def status(self) -> int:
        """The status of HTTP."""
        return self.http.status

    @property
    def version(self) -> SoapVersion | None:
        """The version of the envelope, 1.2 where it names none; None without an envelope."""
        if self.document is None:
            return None
        in_1_1 = etree.QName(self.document).namespace == SoapVersion.V1_1.namespace
        return SoapVersion.V1_1 if in_1_1 else SoapVersion.V1_2


class SoapCodec:
    """Builds requests and reads answers in a thread of its own."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="onvif-soap")

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def build(
        self,
        operation: Operation,
        arguments: dict[str, Any],
        signature: Signature | None,
        version: SoapVersion = SoapVersion.V1_2,
    ) -> bytes:
        """The envelope of a request; with a signature it is signed, with a fresh nonce."""
        return await self._run(lambda: _build(operation, arguments, signature, version))

    async def open(self, answer: HttpAnswer) -> SoapAnswer:
        """Look for an envelope and a fault in an HTTP answer."""
        return await self._run(lambda: _open(answer))

    async def read(self, operation: Operation, answer: SoapAnswer) -> tuple[Any, frozenset[Mend]]:
        """The operation's result, by the WSDL's types, and what had to be mended; missing elements
        read as None."""
        return await self._run(lambda: _read(operation, answer))

    async def _run(self, job: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, job)


def _build(
    operation: Operation,
    arguments: dict[str, Any],
    signature: Signature | None,
    version: SoapVersion,
) -> bytes:
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
    written = _enveloped(version, {local_name(part): part for part in envelope})
    return bytes(etree.tostring(written, xml_declaration=True, encoding="utf-8"))


def _enveloped(version: SoapVersion, parts: dict[str, Any]) -> Any:
    """An envelope of the version with what the parts, Header and Body, have in them."""
    made = etree.Element(f"{{{version.namespace}}}Envelope", nsmap={"soap-env": version.namespace})
    for name, part in parts.items():
        etree.SubElement(made, f"{{{version.namespace}}}{name}").extend(list(part))
    return made


def _open(answer: HttpAnswer) -> SoapAnswer:
    root, mends = _parse(answer)
    if root is None or local_name(root) != "Envelope":
        return SoapAnswer(answer, None, None)
    return SoapAnswer(answer, root, _fault(root), mends)


def _parse(answer: HttpAnswer) -> tuple[Any | None, frozenset[Mend]]:
    """The root element; None where the body is clearly no XML; ProtocolError for broken SOAP."""
    body = answer.body.strip()
    if not body.startswith((b"<", b"\xef\xbb\xbf")):
        return None, frozenset()
    # lxml's protection is not enough: it expands an entity in an attribute even where entities are
    # not resolved. A document type hidden by another encoding is found after parsing.
    if b"<!DOCTYPE" in body or b"<!ENTITY" in body:
        if b"Envelope" not in body:
            return None, frozenset()
        raise protocol_error("The camera's SOAP answer holds a document type definition")
    try:
        root, mends = _well_formed(body)
    except (etree.XMLSyntaxError, ValueError) as error:
        if "soap" in answer.content_type.lower() or b"Envelope" in body:
            raise protocol_error("The camera's SOAP answer is not well-formed XML") from error
        return None, frozenset()
    if root.getroottree().docinfo.doctype:
        raise protocol_error("The camera's SOAP answer holds a document type definition")
    return root, mends


def _well_formed(body: bytes) -> tuple[Any, frozenset[Mend]]:
    """The root element, of the document mended where it is not well-formed as it came."""
    try:
        return etree.fromstring(body, _parser()), frozenset()
    except (etree.XMLSyntaxError, ValueError):
        document, mends = mended(body)
        return etree.fromstring(document, _parser()), mends


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
    """The fault of a SOAP 1.2 (section 5.4) or 1.1 (section 4.4) envelope.

    Devices mix the two, and 1.1 has no subcode: ONVIF's code then stands behind a dot of faultcode
    (section 4.4.1), or in the detail.
    """
    fault = child_named(child_named(root, "Body"), "Fault")
    if fault is None:
        return None
    parts = [(local_name(element), element) for element in fault.iter()]
    codes = [one.text for name, one in parts if name in ("Value", "faultcode") and one.text]
    words = [one.text for name, one in parts if name in ("Text", "faultstring") and one.text]
    for detail in (one for name, one in parts if name in ("Detail", "detail")):
        codes += [local_name(element) for element in detail.iterdescendants()]
        words += detail.itertext()
    names = [name for code in codes for name in code.rpartition(":")[2].split(".")]
    return Fault(
        codes=tuple(printable(name, 40) for name in names[:_MAX_CODES]),
        text=printable(" ".join(words[:_MAX_CODES]), 200),
    )


def _read(operation: Operation, answer: SoapAnswer) -> tuple[Any, frozenset[Mend]]:
    found = child_named(child_named(answer.document, "Body"), f"{operation.name}Response")
    if found is None:
        raise protocol_error(f"The camera answers {operation.name} with something else")
    try:
        known = wsdl.binding(operation.namespace).get(operation.name)
        response = deepcopy(found)  # other channels of the device read the same answer
        mends = answer.mends | shape(response, known.output.body)
        envelope = _enveloped(SoapVersion.V1_2, {"Body": [response]})
        return known.process_reply(envelope), mends
    except IngestError:
        raise
    # zeep is not written for hostile documents: any exception is the fault of the document.
    except Exception as error:
        raise protocol_error(
            f"The camera's answer to {operation.name} does not fit ONVIF's schema"
        ) from error
