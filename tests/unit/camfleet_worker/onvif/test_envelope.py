# SPDX-License-Identifier: Apache-2.0
"""SOAP as it is built for a camera and read from one that may be hostile."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from xml.etree import ElementTree

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from camfleet_api.conditions import Reason
from camfleet_worker.base.errors import IngestError
from camfleet_worker.login.credentials import Credentials
from camfleet_worker.onvif import wsdl
from camfleet_worker.onvif.envelope import Operation, Signature, SoapAnswer, SoapCodec
from camfleet_worker.onvif.soap_version import SoapVersion
from camfleet_worker.onvif.transport import HttpAnswer

GET_PROFILES = Operation(wsdl.MEDIA1, "GetProfiles")
GET_STREAM_URI = Operation(wsdl.MEDIA1, "GetStreamUri")
SOAP = "application/soap+xml; charset=utf-8"
ENVELOPE = (
    '<?xml version="1.0"?>{prolog}<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" '
    'xmlns:trt="http://www.onvif.org/ver10/media/wsdl" '
    'xmlns:tt="http://www.onvif.org/ver10/schema"><s:Body>{body}</s:Body></s:Envelope>'
)


FAULT_12 = (
    "<s:Fault><s:Code><s:Value>s:Sender</s:Value><s:Subcode><s:Value>ter:NotAuthorized"
    "</s:Value></s:Subcode></s:Code><s:Reason><s:Text>Sender\n not  authorized</s:Text>"
    "</s:Reason></s:Fault>"
)
FAULT_11 = (
    "<s:Fault><faultcode>ter:NotAuthorized</faultcode><faultstring>Sender not authorized"
    "</faultstring></s:Fault>"
)


@pytest.fixture(scope="module")
def codec() -> Iterator[SoapCodec]:
    built = SoapCodec()
    yield built
    built.close()


def http(body: bytes | str, content_type: str = SOAP) -> HttpAnswer:
    raw = body.encode() if isinstance(body, str) else body
    return HttpAnswer(200, (), "", content_type, "", raw)


def envelope(body: str, prolog: str = "") -> HttpAnswer:
    return http(ENVELOPE.format(prolog=prolog, body=body))


async def opened(codec: SoapCodec, answer: HttpAnswer) -> SoapAnswer:
    return await codec.open(answer)


async def error_of(codec: SoapCodec, answer: HttpAnswer) -> IngestError:
    with pytest.raises(IngestError) as caught:
        await codec.open(answer)
    assert caught.value.reason is Reason.PROTOCOL_ERROR
    return caught.value


async def test_a_request_carries_its_arguments_in_the_services_namespace(codec: SoapCodec) -> None:
    setup = {"Stream": "RTP-Unicast", "Transport": {"Protocol": "RTSP"}}
    arguments = {"StreamSetup": setup, "ProfileToken": "main"}
    body = await codec.build(GET_STREAM_URI, arguments, None)
    request = ElementTree.fromstring(body)[0][0]
    assert request.tag == f"{{{wsdl.MEDIA1}}}GetStreamUri"
    assert request.findtext(f"{{{wsdl.MEDIA1}}}ProfileToken") == "main"


async def test_a_signature_is_a_password_digest_over_nonce_and_the_cameras_time(
    codec: SoapCodec,
) -> None:
    signature = Signature(Credentials("admin", "p@ss/wörd", "1"), created_epoch_s=86_400.9)
    signed = ElementTree.fromstring(await codec.build(GET_PROFILES, {}, signature))
    said = {element.tag.rpartition("}")[2]: element.text or "" for element in signed.iter()}
    made_from = base64.b64decode(said["Nonce"]) + said["Created"].encode() + "p@ss/wörd".encode()
    assert said["Username"] == "admin"
    assert said["Created"] == "1970-01-02T00:00:00Z"
    assert base64.b64decode(said["Password"]) == hashlib.sha1(made_from).digest()


async def test_no_two_signatures_share_a_nonce(codec: SoapCodec) -> None:
    signature = Signature(Credentials("admin", "secret", "1"), created_epoch_s=0.0)
    first, second = [await codec.build(GET_PROFILES, {}, signature) for _ in range(2)]
    assert first != second


async def test_elements_out_of_order_unknown_or_missing_are_read_as_far_as_they_go(
    codec: SoapCodec,
) -> None:
    answer = envelope(
        '<trt:GetProfilesResponse><trt:Profiles token="p"><tt:Bogus/><tt:VideoEncoderConfiguration>'
        "<tt:Resolution><tt:Height>720</tt:Height><tt:Width>wide</tt:Width></tt:Resolution>"
        "<tt:Encoding>H265</tt:Encoding></tt:VideoEncoderConfiguration><tt:Name>n</tt:Name>"
        "</trt:Profiles></trt:GetProfilesResponse>"
    )
    [profile], _ = await codec.read(GET_PROFILES, await codec.open(answer))
    assert profile.token == "p"
    assert profile.VideoEncoderConfiguration.Encoding == "H265"
    assert profile.VideoEncoderConfiguration.Resolution.Height == 720
    assert profile.VideoEncoderConfiguration.Resolution.Width is None


URI = "<{0}Uri>rtsp://h/1</{0}Uri>"
MEDIA_URI = "<trt:MediaUri><tt:Uri>rtsp://h/1</tt:Uri></trt:MediaUri>"
WRAPPED = "<{0}GetStreamUriResponse><{0}MediaUri>{1}</{0}MediaUri></{0}GetStreamUriResponse>"
STRAIGHT = "<{0}GetStreamUriResponse>{1}</{0}GetStreamUriResponse>"


@pytest.mark.parametrize(
    "body",
    [
        WRAPPED.format("trt:", URI.format("tt:")),
        WRAPPED.format("trt:", URI.format("trt:")),
        WRAPPED.format("tt:", URI.format("tt:")),
        WRAPPED.format("", URI.format("")),
        STRAIGHT.format("trt:", URI.format("tt:")),
        STRAIGHT.format("trt:", URI.format("trt:") + "<tt:Timeout>PT60S</tt:Timeout>"),
        STRAIGHT.format("", URI.format("")),
        STRAIGHT.format("trt:", "<tt:Own>" + URI.format("tt:") + "</tt:Own>" + URI.format("tt:")),
        STRAIGHT.format("trt:", MEDIA_URI + "<tt:Own><tt:Uri>rtsp://own</tt:Uri></tt:Own>"),
        STRAIGHT.format("trt:", "<tt:Own><tt:Uri>rtsp://own</tt:Uri></tt:Own>" + MEDIA_URI),
        STRAIGHT.format("trt:", f"<trt:Result>{MEDIA_URI}</trt:Result>"),
    ],
)
@pytest.mark.parametrize("version", list(SoapVersion))
@pytest.mark.parametrize("content_type", [SOAP, "text/xml", "application/xml", ""])
async def test_an_address_is_read_whatever_is_around_it(
    codec: SoapCodec, body: str, version: SoapVersion, content_type: str
) -> None:
    text = ENVELOPE.format(prolog="", body=body)
    text = text.replace(SoapVersion.V1_2.namespace, version.namespace)
    answer = await codec.open(http(text, content_type))
    assert answer.version is version
    once, mends = await codec.read(GET_STREAM_URI, answer)
    assert once.Uri == "rtsp://h/1"
    # The answer is another channel's too: it is as it came.
    again, mends_again = await codec.read(GET_STREAM_URI, answer)
    assert (again.Uri, mends_again) == (once.Uri, mends)


@pytest.mark.parametrize("version", list(SoapVersion))
async def test_a_request_is_built_and_signed_in_either_version_of_soap(
    codec: SoapCodec, version: SoapVersion
) -> None:
    signature = Signature(Credentials("admin", "secret", "1"), created_epoch_s=0.0)
    root = ElementTree.fromstring(await codec.build(GET_PROFILES, {}, signature, version))
    names = [root.tag, *(part.tag for part in root)]
    assert names == [f"{{{version.namespace}}}{one}" for one in ("Envelope", "Header", "Body")]
    assert root[0][0].tag.endswith("}Security")
    assert root[1][0].tag == f"{{{wsdl.MEDIA1}}}GetProfiles"


FAULTS_11 = [
    "<faultcode>ter:NotAuthorized</faultcode>",
    "<faultcode>s:Client.NotAuthorized</faultcode><faultstring>Error</faultstring>",
    "<faultcode>s:Client</faultcode><detail><ter:NotAuthorized xmlns:ter='urn:t'/></detail>",
    "<faultcode>s:Client</faultcode><faultstring>Sender not Authorized</faultstring>",
    "<s:faultcode>wsse:FailedAuthentication</s:faultcode>",
    "<faultcode>s:Client</faultcode><s:Detail><s:Text>Not authorized</s:Text></s:Detail>",
]


@pytest.mark.parametrize("version", list(SoapVersion))
@pytest.mark.parametrize("inner", FAULTS_11)
async def test_a_refusal_is_found_wherever_soap_1_1_has_it(
    codec: SoapCodec, inner: str, version: SoapVersion
) -> None:
    body = f'<s:Envelope xmlns:s="{version.namespace}"><s:Body><s:Fault>{inner}</s:Fault></s:Body>'
    fault = (await codec.open(http(body + "</s:Envelope>", "text/xml"))).fault
    assert fault is not None
    assert fault.refuses


async def test_an_answer_to_another_operation_is_a_protocol_error(codec: SoapCodec) -> None:
    answer = await codec.open(envelope("<trt:GetStreamUriResponse/>"))
    with pytest.raises(IngestError) as caught:
        await codec.read(GET_PROFILES, answer)
    assert caught.value.reason is Reason.PROTOCOL_ERROR
    assert "GetProfiles" in caught.value.detail


@pytest.mark.parametrize(
    ("version", "fault"),
    [
        ("http://www.w3.org/2003/05/soap-envelope", FAULT_12),
        ("http://schemas.xmlsoap.org/soap/envelope/", FAULT_11),
    ],
    ids=["soap-1.2", "soap-1.1"],
)
async def test_a_fault_is_read_in_both_versions_of_soap(
    codec: SoapCodec, version: str, fault: str
) -> None:
    body = f'<s:Envelope xmlns:s="{version}"><s:Body>{fault}</s:Body></s:Envelope>'
    answer = await opened(codec, http(body))
    assert answer.fault is not None
    assert "NotAuthorized" in answer.fault.codes
    assert answer.fault.text == "Sender not authorized"
    assert answer.fault.refuses


@pytest.mark.parametrize(
    "body",
    [
        "",
        "it works",
        "<!DOCTYPE html><html><body>login</body></html>",
        "<html><body>404</body></html>",
        "<html><br></html>",
        '{"error": 404}',
        b"\x00\x01\x02",
        b"\xff\xfe<\x00a\x00/\x00>\x00",
    ],
)
async def test_a_body_without_soap_is_distinguished_from_broken_soap(
    codec: SoapCodec, body: bytes | str
) -> None:
    assert (await opened(codec, http(body, "text/html"))).document is None


async def test_broken_soap_is_a_protocol_error(codec: SoapCodec) -> None:
    error = await error_of(codec, http(ENVELOPE.format(prolog="", body="<open>")))
    assert error.detail == "The camera's SOAP answer is not well-formed XML"


BOMB = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10 if n else "ha"}">' for n in range(10))


@pytest.mark.parametrize(
    ("prolog", "body"),
    [
        ('<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/hostname">]>', "&e;"),
        (f"<!DOCTYPE x [{BOMB}]>", "&e9;"),
        (f"<!DOCTYPE x [{BOMB}]>", '<a b="&e9;"/>'),
        ('<!DOCTYPE x SYSTEM "http://192.0.2.1/x.dtd">', ""),
        ('<!DOCTYPE x [<!ENTITY % p SYSTEM "http://192.0.2.1/p">%p;]>', ""),
    ],
    ids=["file", "bomb", "bomb-in-attribute", "external-dtd", "parameter-entity"],
)
async def test_a_document_type_is_refused_before_it_is_parsed(
    codec: SoapCodec, prolog: str, body: str
) -> None:
    error = await error_of(codec, envelope(body, prolog))
    assert error.detail == "The camera's SOAP answer holds a document type definition"


async def test_a_document_type_hidden_by_an_encoding_is_refused_too(codec: SoapCodec) -> None:
    plain = ENVELOPE.format(prolog='<!DOCTYPE x [<!ENTITY e "x">]>', body="&e;")
    error = await error_of(codec, http(plain.encode("utf-16-le")))
    assert error.detail == "The camera's SOAP answer holds a document type definition"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300), st.integers(0, 400), st.booleans())
async def test_any_bytes_are_read_or_refused_with_a_reason(
    codec: SoapCodec, noise: bytes, at: int, inside: bool
) -> None:
    whole = ENVELOPE.format(prolog="", body="<trt:GetProfilesResponse/>").encode()
    body = whole[:at] + noise + whole[at:] if inside else noise
    try:
        answer = await codec.open(http(body))
        if answer.document is not None and answer.fault is None:
            await codec.read(GET_PROFILES, answer)
    except IngestError as error:
        assert error.reason is Reason.PROTOCOL_ERROR  # noqa: PT017 - every other error escapes
