# SPDX-License-Identifier: Apache-2.0
"""The worker's ONVIF engine against simulated cameras, and against peers that are no cameras.

What counts is counted at the camera: how many logins it saw, and what became of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import re
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from camera_simulator import Camera, CameraSettings, Simulator
from camfleet_api.camera import Scheme, VideoSource
from camfleet_api.conditions import ConditionType, Reason
from camfleet_api.policy import StreamRole, VideoCodec
from camfleet_api.technical_profile import VideoLimits
from camfleet_worker.base.errors import IngestError, Retry
from camfleet_worker.login.credentials import Credentials
from camfleet_worker.onvif import OnvifResolver
from camfleet_worker.onvif.mended_xml import Mend
from camfleet_worker.onvif.transport import MAX_BODY_BYTES, Deadlines
from camfleet_worker.resolve import ResolveRequest, clock_trouble, revealed
from onvif_asking import but_for_the_clock

PASSWORD = "p@ss#w0rd%/:"
ACCOUNT = Credentials("ingest", PASSWORD, "1")
WRONG = Credentials("ingest", "not the password", "1")
DAY_S = 86_400


class Ledger:
    """The gate as the supervisor keeps it: one attempt per scheme until one is proven."""

    def __init__(self) -> None:
        self.attempts: list[str] = []
        self.taken: list[str] = []
        self.refusals: list[IngestError] = []

    async def before_attempt(self, scheme: str) -> None:
        if self.taken:
            return
        if scheme in self.attempts:
            raise self.refusals[-1]
        self.attempts.append(scheme)

    async def proven(self, scheme: str) -> None:
        self.taken.append(scheme)

    async def rejected(self, scheme: str, error: IngestError) -> None:
        self.refusals.append(error)


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator() as running:
        yield running


@pytest.fixture
def resolver() -> Iterator[OnvifResolver]:
    built = OnvifResolver()
    yield built
    built.close()


@pytest.fixture
def hasty() -> Iterator[OnvifResolver]:
    """A resolver for peers that do not answer: it gives up soon."""
    built = OnvifResolver(deadlines=Deadlines(connect_s=0.3, call_s=0.5))
    yield built
    built.close()


async def gate(simulator: Simulator, *faults: str, **settings: Any) -> Camera:
    return await simulator.add(
        CameraSettings("gate", **({"password": PASSWORD} | settings), faults=faults)
    )


def at(onvif_port: int, rtsp_port: int = 1, **changes: Any) -> ResolveRequest:
    declared: dict[str, Any] = {
        "host": "127.0.0.1",
        "onvif_port": onvif_port,
        "rtsp_port": rtsp_port,
        "scheme": Scheme.HTTP,
        "device_path": "/onvif/device_service",
        "source": VideoSource(channel=1),
        "limits": VideoLimits(),
        "role": StreamRole.MAIN,
    }
    return ResolveRequest(**(declared | changes))


def of(camera: Camera, **changes: Any) -> ResolveRequest:
    return at(camera.onvif_port, camera.rtsp_port, **changes)


async def error_of(
    resolver: OnvifResolver,
    request: ResolveRequest,
    credentials: Credentials | None = ACCOUNT,
    ledger: Ledger | None = None,
) -> IngestError:
    with pytest.raises(IngestError) as caught:
        await resolver.resolve(request, credentials, attempts=ledger or Ledger())
    assert len(caught.value.message) <= 512
    assert caught.value.message.isprintable()
    return caught.value


# Cameras that can be resolved


@pytest.mark.parametrize(
    ("faults", "scheme"),
    [
        ((), "digest"),
        (("digest-only",), "digest"),
        (("wsse-only",), "ws-username-token"),
        (("xaddr-lan-address",), "digest"),
        (("wsse-only", "clock-184-days-behind"), "ws-username-token"),
        (("wsse-only", "clock-an-hour-ahead", "clock-window-5s"), "ws-username-token"),
        (("wsse-only", "date-needs-login"), "ws-username-token"),
        (("digest-only", "clock-184-days-behind"), "digest"),
    ],
    ids=lambda value: "+".join(value) or "healthy" if isinstance(value, tuple) else "",
)
async def test_a_camera_is_resolved_without_one_refused_login(
    simulator: Simulator, resolver: OnvifResolver, faults: tuple[str, ...], scheme: str
) -> None:
    camera, ledger = await gate(simulator, *faults), Ledger()
    resolution = await resolver.resolve(of(camera), ACCOUNT, attempts=ledger)
    assert resolution.learned.stream_path == camera.stream_path()
    assert resolution.learned.auth_scheme == scheme
    assert (ledger.attempts, ledger.taken) == ([scheme], [scheme])
    assert camera.counters.refused() == 0


@pytest.mark.quirk(53)
@pytest.mark.parametrize(
    "text", ["bare-ampersand", "other-encoding", "undeclared-prefix", "control-character"]
)
async def test_a_bad_character_in_an_answer_does_not_cost_the_camera(
    simulator: Simulator, resolver: OnvifResolver, text: str
) -> None:
    camera = await gate(simulator, f"soap-{text}")
    resolution = await resolver.resolve(of(camera), ACCOUNT, attempts=Ledger())
    query = "?user=a&stream=0" if text == "bare-ampersand" else ""
    assert resolution.learned.stream_path == camera.stream_path() + query
    assert (resolution.learned.codec, resolution.learned.width) == ("H264", 640)
    assert resolution.device.model.startswith("SIM-2")


async def test_the_identity_and_the_stream_of_a_device_are_learnt(
    simulator: Simulator, resolver: OnvifResolver
) -> None:
    camera = await gate(simulator, model="Dome 4", firmware="V5.7")
    resolution = await resolver.resolve(of(camera), ACCOUNT, attempts=Ledger())
    assert (resolution.device.model, resolution.device.firmware_version) == ("Dome 4", "V5.7")
    assert resolution.device.serial_number == camera.settings.serial_number
    learned = resolution.learned
    assert (learned.codec, learned.width, learned.height) == ("H264", 640, 360)
    assert (learned.media_version, learned.media_path) == ("1", "/onvif/media_service")
    assert resolution.deviations == ()


async def test_a_clock_half_a_year_behind_is_reported_in_days(
    simulator: Simulator, resolver: OnvifResolver
) -> None:
    camera = await gate(simulator, "wsse-only", "clock-184-days-behind")
    resolution = await resolver.resolve(of(camera), ACCOUNT, attempts=Ledger())
    trouble = clock_trouble(resolution.learned.clock_offset_seconds)
    assert trouble is not None
    assert trouble.detail == "The camera's clock is 184 days behind ours"


async def test_a_right_clock_is_no_trouble(simulator: Simulator, resolver: OnvifResolver) -> None:
    camera = await gate(simulator)
    resolution = await resolver.resolve(of(camera), ACCOUNT, attempts=Ledger())
    assert clock_trouble(resolution.learned.clock_offset_seconds) is None


@pytest.mark.parametrize("password", ['@#%^/:?" \\ space', "mật-khẩu-ạ", "a,b=c;d&e'f", "1"])
@pytest.mark.parametrize("fault", ["digest-only", "wsse-only"])
async def test_odd_passwords_open_the_camera(
    simulator: Simulator, resolver: OnvifResolver, password: str, fault: str
) -> None:
    camera = await gate(simulator, fault, password=password)
    account = Credentials("ingest", password, "1")
    await resolver.resolve(of(camera), account, attempts=Ledger())
    assert camera.counters.refused() == 0


async def test_a_camera_that_asks_for_no_login_is_given_none(
    simulator: Simulator, resolver: OnvifResolver
) -> None:
    camera, ledger = await gate(simulator, password=None), Ledger()
    resolution = await resolver.resolve(of(camera), ACCOUNT, attempts=ledger)
    assert resolution.learned.auth_scheme == "none"
    assert ledger.attempts == []
    assert not camera.counters.attempts


async def test_the_scheme_that_was_learnt_is_tried_first(
    simulator: Simulator, resolver: OnvifResolver
) -> None:
    camera = await gate(simulator, "wsse-only")
    learned = (await resolver.resolve(of(camera), ACCOUNT, attempts=Ledger())).learned
    await camera.break_with()
    ledger = Ledger()
    again = await resolver.resolve(of(camera, learned=learned), ACCOUNT, attempts=ledger)
    assert again.learned.auth_scheme == "ws-username-token"
    assert ledger.attempts == ["ws-username-token"]


async def test_the_sub_stream_is_the_smaller_one(
    simulator: Simulator, resolver: OnvifResolver
) -> None:
    camera = await gate(simulator)
    request = of(camera, role=StreamRole.SUB)
    resolution = await resolver.resolve(request, ACCOUNT, attempts=Ledger())
    assert resolution.learned.stream_path == camera.stream_path("sub")


async def test_a_stream_outside_the_limits_is_resolved_and_reported(
    simulator: Simulator, resolver: OnvifResolver
) -> None:
    camera = await gate(simulator)
    request = of(camera, limits=VideoLimits(min_width=1280, min_height=720))
    resolution = await resolver.resolve(request, ACCOUNT, attempts=Ledger())
    assert resolution.deviations == ("Resolution 640x360 is below 1280x720",)


async def test_no_proxy_of_the_environment_is_asked(
    simulator: Simulator, resolver: OnvifResolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    camera = await gate(simulator)
    await resolver.resolve(of(camera), ACCOUNT, attempts=Ledger())


# Cameras that refuse


@pytest.mark.parametrize(
    ("faults", "schemes"),
    [
        ((), ["digest", "ws-username-token"]),
        (("wsse-only",), ["ws-username-token"]),
        (("digest-only",), ["digest", "ws-username-token"]),
    ],
    ids=["both", "wsse-only", "digest-only"],
)
async def test_a_wrong_password_is_tried_once_for_each_scheme_offered(
    simulator: Simulator, resolver: OnvifResolver, faults: tuple[str, ...], schemes: list[str]
) -> None:
    camera, ledger = await gate(simulator, "locks-after-5", *faults), Ledger()
    error = await error_of(resolver, of(camera), WRONG, ledger)
    assert (error.condition, error.reason) == (
        ConditionType.AUTHENTICATED,
        Reason.CREDENTIALS_REJECTED,
    )
    assert error.retry is Retry.ON_SECRET_CHANGE
    assert ledger.attempts == schemes
    assert 1 <= camera.counters.refused() <= len(schemes)


async def test_asking_again_with_a_spent_ledger_sends_no_credentials(
    simulator: Simulator, resolver: OnvifResolver
) -> None:
    camera, ledger = await gate(simulator), Ledger()
    await error_of(resolver, of(camera), WRONG, ledger)
    seen = camera.counters.refused()
    for _ in range(3):
        error = await error_of(resolver, of(camera), WRONG, ledger)
        assert error.reason is Reason.CREDENTIALS_REJECTED
    assert camera.counters.refused() == seen == 2


async def test_the_channels_of_a_recorder_spend_one_accounts_attempts_together(
    simulator: Simulator, resolver: OnvifResolver
) -> None:
    camera, ledger = await gate(simulator), Ledger()
    requests = [of(camera, source=VideoSource(channel=channel)) for channel in range(1, 17)]
    outcomes = await asyncio.gather(
        *(resolver.resolve(request, WRONG, attempts=ledger) for request in requests),
        return_exceptions=True,
    )
    reasons = {outcome.reason for outcome in outcomes if isinstance(outcome, IngestError)}
    assert reasons == {Reason.CREDENTIALS_REJECTED}
    assert camera.counters.refused() == 2
    assert camera.counters.onvif_requests["GetSystemDateAndTime"] == 1


async def test_no_password_stands_in_a_refusal(
    simulator: Simulator, resolver: OnvifResolver
) -> None:
    camera = await gate(simulator)
    error = await error_of(resolver, of(camera), WRONG)
    chain: BaseException | None = error
    while chain is not None:
        assert WRONG.password not in f"{chain!r} {getattr(chain, 'message', '')}"
        chain = chain.__cause__


async def test_a_camera_that_asks_for_a_login_without_one_declared(
    simulator: Simulator, resolver: OnvifResolver
) -> None:
    camera = await gate(simulator)
    error = await error_of(resolver, of(camera), credentials=None)
    assert error.reason is Reason.CREDENTIALS_MISSING
    assert not camera.counters.attempts


async def test_a_clock_that_is_wrong_and_untold_is_the_reason_for_a_refused_token(
    simulator: Simulator, resolver: OnvifResolver
) -> None:
    camera = await gate(simulator, "wsse-only", "date-needs-login", "clock-184-days-behind")
    error = await error_of(resolver, of(camera))
    assert error.reason is Reason.CLOCK_SKEW_REJECTED
    assert camera.counters.refused() == 1


# Cameras without what we need


async def test_a_channel_that_is_not_there(simulator: Simulator, resolver: OnvifResolver) -> None:
    camera = await gate(simulator)
    error = await error_of(resolver, of(camera, source=VideoSource(channel=2)))
    assert (error.condition, error.reason) == (ConditionType.ELIGIBLE, Reason.CHANNEL_NOT_FOUND)


async def test_a_codec_that_the_profile_does_not_allow(
    simulator: Simulator, resolver: OnvifResolver
) -> None:
    camera = await gate(simulator)
    error = await error_of(resolver, of(camera, limits=VideoLimits(codecs=[VideoCodec.H265])))
    assert error.reason is Reason.NO_ALLOWED_STREAM
    assert "H264 640x360" in error.detail


@pytest.mark.parametrize(
    ("fault", "seen"), [("web-page-not-onvif", "HTTP 200"), ("web-not-found", "HTTP 404")]
)
async def test_a_web_port_without_onvif_is_reported_with_what_answers(
    simulator: Simulator, resolver: OnvifResolver, fault: str, seen: str
) -> None:
    camera = await gate(simulator, fault)
    error = await error_of(resolver, of(camera))
    assert (error.condition, error.reason) == (ConditionType.ELIGIBLE, Reason.NOT_ONVIF)
    assert f"{seen} (text/html)" in error.detail
    assert not camera.counters.attempts


async def test_another_service_on_the_onvif_port_is_no_onvif(
    simulator: Simulator, resolver: OnvifResolver
) -> None:
    camera = await gate(simulator)
    error = await error_of(resolver, at(camera.rtsp_port, camera.rtsp_port))
    assert (error.condition, error.reason) == (ConditionType.ELIGIBLE, Reason.NOT_ONVIF)
    assert error.detail == f"Port {camera.rtsp_port} answers, but not by HTTP"


async def test_a_closed_onvif_port_beside_an_open_rtsp_port_is_onvif_switched_off(
    simulator: Simulator, resolver: OnvifResolver
) -> None:
    camera = await gate(simulator, "onvif-closed")
    error = await error_of(resolver, of(camera))
    assert (error.condition, error.reason) == (ConditionType.REACHABLE, Reason.ONVIF_OFF)


async def test_a_host_that_refuses_both_ports(
    simulator: Simulator, resolver: OnvifResolver
) -> None:
    camera = await gate(simulator, "powered-off")
    error = await error_of(resolver, of(camera))
    assert (error.condition, error.reason) == (ConditionType.REACHABLE, Reason.CONNECTION_REFUSED)


async def test_a_closed_rtsp_port_is_reported_with_the_port_the_camera_names(
    simulator: Simulator, resolver: OnvifResolver
) -> None:
    camera = await gate(simulator)
    with refusing_port() as closed:
        error = await error_of(resolver, at(camera.onvif_port, closed))
    assert (error.condition, error.reason) == (ConditionType.REACHABLE, Reason.RTSP_OFF)
    assert f"the camera itself names port {camera.rtsp_port}" in error.detail


async def test_an_address_where_nothing_answers_is_unreachable(hasty: OnvifResolver) -> None:
    with silent_port() as port:
        error = await error_of(hasty, at(port))
    assert (error.condition, error.reason) == (ConditionType.REACHABLE, Reason.HOST_UNREACHABLE)


@pytest.mark.quirk(53)
async def test_what_is_mended_is_counted_and_named_once_for_each_device(
    simulator: Simulator, resolver: OnvifResolver, caplog: pytest.LogCaptureFixture
) -> None:
    camera = await gate(simulator, "soap-bare-ampersand", "soap-uri-without-wrapper")
    for _ in range(3):
        await resolver.resolve(of(camera), ACCOUNT, attempts=Ledger())
    counted = {kind: count for kind, count in resolver.mends.counts.items() if count}
    assert counted == {Mend.AMPERSAND: 3, Mend.WRAPPER: 3}
    named = [vars(record) for record in caplog.records if record.name.endswith("mend_log")]
    assert [(one["what"], one["cause"]) for one in named] == [
        ("GetStreamUri", kind.words) for kind in (Mend.AMPERSAND, Mend.WRAPPER)
    ]
    assert {one["address"] for one in named} == {f"127.0.0.1:{camera.onvif_port}"}


SOAP_1_1 = ["1.1-by-415", "1.1-by-400", "1.1-by-500", "1.1-by-fault"]


@pytest.mark.quirk(56)
@pytest.mark.parametrize("scheme", ["digest", "wsse"])
@pytest.mark.parametrize("how", SOAP_1_1)
async def test_a_device_that_speaks_soap_1_1_alone_is_resolved_and_known_by_it(
    simulator: Simulator, resolver: OnvifResolver, how: str, scheme: str
) -> None:
    camera = await gate(simulator, f"soap-{how}", f"{scheme}-only")
    ledger = Ledger()
    learned = (await resolver.resolve(of(camera), ACCOUNT, attempts=ledger)).learned
    assert (learned.stream_path, learned.soap_version) == (camera.stream_path(), "1.1")
    assert len(ledger.attempts) == 1
    assert camera.counters.refused() == 0
    first = camera.counters.onvif_connects
    again = await resolver.resolve(of(camera, learned=learned), ACCOUNT, attempts=Ledger())
    assert but_for_the_clock(again.learned) == but_for_the_clock(learned)
    # One request less: nobody had to find out what the device reads.
    assert camera.counters.onvif_connects - first == first - 1


@pytest.mark.quirk(56)
async def test_a_device_that_guards_everything_is_logged_in_to_in_soap_1_1(
    simulator: Simulator, resolver: OnvifResolver
) -> None:
    camera = await gate(simulator, "soap-1.1-by-415", "digest-only", "date-needs-login")
    learned = (await resolver.resolve(of(camera), ACCOUNT, attempts=Ledger())).learned
    assert (learned.stream_path, learned.soap_version) == (camera.stream_path(), "1.1")
    assert camera.counters.refused() == 0


@pytest.mark.quirk(56)
async def test_a_server_that_asks_for_the_login_first_is_then_asked_in_soap_1_1(
    resolver: OnvifResolver,
) -> None:
    recorder = Recorder()

    def answer(peer: Peer, path: str, operation: str) -> bytes:
        if "authorization: digest" not in peer.head.lower():
            challenge = f'WWW-Authenticate: Digest realm="r", nonce="{peer.connects}", qop="auth"'
            return reply("<html>", "401 Unauthorized", "text/html", challenge)
        if "soapaction:" not in peer.head.lower():
            return reply("<html>", "415 Unsupported Media Type", "text/html")
        return recorder(peer, path, operation)

    peer, ledger = Peer(answer), Ledger()
    async with peer.running() as port:
        resolution = await resolver.resolve(at(port, port), ACCOUNT, attempts=ledger)
    assert resolution.learned.soap_version == "1.1"
    assert (ledger.attempts, ledger.refusals) == (["digest"], [])


@pytest.mark.quirk(56)
@pytest.mark.parametrize("how", SOAP_1_1)
async def test_a_wrong_password_over_soap_1_1_costs_one_login_for_each_scheme(
    simulator: Simulator, resolver: OnvifResolver, how: str
) -> None:
    camera = await gate(simulator, f"soap-{how}")
    error = await error_of(resolver, of(camera), WRONG)
    assert error.reason is Reason.CREDENTIALS_REJECTED
    assert camera.counters.refused() == 2


@pytest.mark.quirk(56)
async def test_a_device_that_has_learnt_soap_1_2_is_asked_in_it_again(
    simulator: Simulator, resolver: OnvifResolver
) -> None:
    camera = await gate(simulator, "soap-1.1-by-415")
    learned = (await resolver.resolve(of(camera), ACCOUNT, attempts=Ledger())).learned
    await camera.break_with()
    now = await resolver.resolve(of(camera, learned=learned), ACCOUNT, attempts=Ledger())
    expected = learned.model_copy(update={"soap_version": ""})
    assert but_for_the_clock(now.learned) == but_for_the_clock(expected)


@pytest.mark.quirk(56)
@pytest.mark.parametrize(
    "fault", ["1.1-answers", "uri-without-wrapper", "wrapped-uri", "service-namespace"]
)
async def test_an_answer_in_another_shape_is_read(
    simulator: Simulator, resolver: OnvifResolver, fault: str
) -> None:
    camera = await gate(simulator, f"soap-{fault}")
    resolution = await resolver.resolve(of(camera), ACCOUNT, attempts=Ledger())
    learned = resolution.learned
    assert (learned.stream_path, learned.soap_version) == (camera.stream_path(), "")
    assert (learned.codec, learned.width) == ("H264", 640)
    assert learned.clock_offset_seconds == 0
    assert resolution.device.mac_address == camera.effective.mac_address
    assert camera.counters.refused() == 0


# Peers that are no cameras, or no friends


Answer = Callable[["Peer", str, str], bytes | AsyncIterator[bytes]]


class Peer:
    """An HTTP server that answers as a test says; it closes the connection after each answer."""

    def __init__(self, answer: Answer, tls: ssl.SSLContext | None = None) -> None:
        self.connects = 0
        self.requests: list[tuple[str, str]] = []
        self.authorizations: list[str] = []
        self.head = ""
        """Of the last request."""
        self._answer = answer
        self._tls = tls
        self._serving: list[asyncio.Task[Any]] = []

    @asynccontextmanager
    async def running(self) -> AsyncIterator[int]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            for serving in self._serving:
                serving.cancel()
            await asyncio.gather(*self._serving, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connects += 1
        serving = asyncio.current_task()
        assert serving is not None
        self._serving.append(serving)
        try:
            self.head = head = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = re.search(r"(?i)content-length: (\d+)", head)
            body = await reader.readexactly(int(length[1])) if length else b""
            path, operation = head.split()[1], _operation(body.decode())
            self.requests.append((path, operation))
            self.authorizations += re.findall(r"(?i)authorization: (\w+)", head)
            if "UsernameToken" in body.decode():
                self.authorizations.append("UsernameToken")
            answer = self._answer(self, path, operation)
            async for piece in _one(answer) if isinstance(answer, bytes) else answer:
                writer.write(piece)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client has seen enough
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                await writer.wait_closed()


async def _one(answer: bytes) -> AsyncIterator[bytes]:
    yield answer


def _operation(body: str) -> str:
    found = re.search(r"<(?:[\w-]+:)?Body>\s*<(?:[\w-]+:)?(\w+)", body)
    return found[1] if found else ""


def reply(
    body: bytes | str, status: str = "200 OK", kind: str = "application/soap+xml", *headers: str
) -> bytes:
    raw = body.encode() if isinstance(body, str) else body
    head = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", f"Content-Length: {len(raw)}", *headers]
    return "\r\n".join([*head, "", ""]).encode() + raw


def soap(inner: str) -> str:
    return (
        '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" '
        'xmlns:tds="http://www.onvif.org/ver10/device/wsdl" '
        'xmlns:trt="http://www.onvif.org/ver10/media/wsdl" '
        f'xmlns:tt="http://www.onvif.org/ver10/schema"><s:Body>{inner}</s:Body></s:Envelope>'
    )


def fault(code: str, words: str, status: str = "400 Bad Request", *headers: str) -> bytes:
    inner = (
        f"<s:Fault><s:Code><s:Value>s:Sender</s:Value><s:Subcode><s:Value>ter:{code}</s:Value>"
        f"</s:Subcode></s:Code><s:Reason><s:Text>{words}</s:Text></s:Reason></s:Fault>"
    )
    return reply(soap(inner), status, "application/soap+xml", *headers)


@contextmanager
def refusing_port() -> Iterator[int]:
    """A port that is ours and does not listen."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


@contextmanager
def silent_port() -> Iterator[int]:
    """A port whose queue is full: Linux then leaves connection requests unanswered."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(listener.getsockname())
        try:
            yield listener.getsockname()[1]
        finally:
            for one in waiting:
                one.close()


async def met(
    resolver: OnvifResolver, answer: Answer, credentials: Credentials = ACCOUNT
) -> tuple[IngestError, Peer]:
    peer = Peer(answer)
    async with peer.running() as port:
        return await error_of(resolver, at(port), credentials), peer


async def test_a_peer_that_takes_the_connection_and_sends_nothing(hasty: OnvifResolver) -> None:
    async def nothing() -> AsyncIterator[bytes]:
        await asyncio.Future()
        yield b""

    error, peer = await met(hasty, lambda peer, path, operation: nothing())
    assert (error.condition, error.reason) == (ConditionType.REACHABLE, Reason.TIMEOUT)
    assert peer.connects == 1


async def test_a_peer_that_drips_its_answer_is_not_waited_for(hasty: OnvifResolver) -> None:
    async def drip() -> AsyncIterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"
        while True:  # each byte would start a deadline for reading anew
            await asyncio.sleep(0.05)
            yield b" "

    error, _ = await met(hasty, lambda peer, path, operation: drip())
    assert error.reason is Reason.TIMEOUT


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", Reason.NOT_ONVIF),
        (b"\x00\xff\x00\xff\r\n\r\n", Reason.NOT_ONVIF),
        (b"", Reason.PROTOCOL_ERROR),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf", Reason.PROTOCOL_ERROR),
        (reply("<html>", "405 Method Not Allowed", "text/html"), Reason.NOT_ONVIF),
        (reply("ok", "200 OK", "text/plain", "Server: \x1b[31mnginx"), Reason.NOT_ONVIF),
        (reply(soap("<open>")), Reason.PROTOCOL_ERROR),
        (reply('<!DOCTYPE x [<!ENTITY e "x">]>' + soap("&e;")), Reason.PROTOCOL_ERROR),
        (reply(b" " * (MAX_BODY_BYTES + 1)), Reason.PROTOCOL_ERROR),
        (
            reply(gzip.compress(soap("").encode()), "200 OK", "text/xml", "Content-Encoding: gzip"),
            Reason.PROTOCOL_ERROR,
        ),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 300_000 + b"\r\n\r\n", Reason.NOT_ONVIF),
        (
            reply("", "401 Unauthorized", "text/html", 'WWW-Authenticate: Basic realm="x"'),
            Reason.NOT_ONVIF,
        ),
    ],
    ids=[
        "ssh",
        "noise",
        "nothing",
        "half-an-answer",
        "405",
        "escape-codes",
        "broken-soap",
        "entities",
        "endless",
        "packed",
        "huge-header",
        "basic",
    ],
)
async def test_a_peer_that_is_no_camera_is_named_and_never_given_credentials(
    resolver: OnvifResolver, answer: bytes, reason: Reason
) -> None:
    error, peer = await met(resolver, lambda peer, path, operation: answer)
    assert (error.condition, error.reason) == (ConditionType.ELIGIBLE, reason)
    assert peer.authorizations == []


async def test_a_redirect_is_not_followed(resolver: OnvifResolver) -> None:
    elsewhere = Peer(lambda peer, path, operation: reply(soap("")))
    async with elsewhere.running() as other:
        error, _ = await met(
            resolver,
            lambda peer, path, operation: reply(
                "", "302 Found", "text/html", f"Location: http://127.0.0.1:{other}/"
            ),
        )
    assert error.reason is Reason.NOT_ONVIF
    assert "HTTP 302" in error.detail
    assert elsewhere.connects == 0


async def test_a_connection_that_is_closed_without_an_answer_is_tried_once_more(
    resolver: OnvifResolver,
) -> None:
    error, peer = await met(
        resolver,
        lambda peer, path, operation: b"" if peer.connects == 1 else reply("", kind="text/html"),
    )
    assert error.reason is Reason.NOT_ONVIF
    asked = [path for path, _ in peer.requests]
    assert asked[0] == asked[1]
    assert len(asked) == len(set(asked)) + 1


DIGEST = 'WWW-Authenticate: Digest realm="x", nonce="n", qop="auth"'


async def test_a_login_whose_answer_is_lost_is_not_repeated(resolver: OnvifResolver) -> None:
    def answer(peer: Peer, path: str, operation: str) -> bytes:
        if peer.authorizations:
            return b""
        return reply("", "401 Unauthorized", "text/html", DIGEST)

    error, peer = await met(resolver, answer)
    assert error.reason is Reason.PROTOCOL_ERROR
    assert peer.authorizations == ["Digest"]


@pytest.mark.parametrize(
    "challenge",
    [
        "Digest",
        "Digest realm",
        'Digest realm="x"',
        'Digest realm="x", nonce="n", algorithm=ROT13',
        'Digest realm="x", nonce="n", qop="auth-int"',
        'Digest realm="x", nonce="n", qop="none"',
    ],
)
async def test_a_challenge_that_cannot_be_answered_is_a_protocol_error(
    resolver: OnvifResolver, challenge: str
) -> None:
    refusal = reply("", "401 Unauthorized", "text/html", f"WWW-Authenticate: {challenge}")
    error, peer = await met(resolver, lambda peer, path, operation: refusal)
    assert error.reason is Reason.PROTOCOL_ERROR
    assert peer.authorizations == []


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("The account is locked", Reason.ACCOUNT_LOCKED),
        ("Timestamp is out of range", Reason.CLOCK_SKEW_REJECTED),
    ],
)
async def test_the_text_of_a_refusal_decides_its_reason(
    resolver: OnvifResolver, words: str, reason: Reason
) -> None:
    def answer(peer: Peer, path: str, operation: str) -> bytes:
        said = words if peer.authorizations else "Sender not authorized"
        return fault("NotAuthorized", said, "401 Unauthorized", DIGEST)

    error, peer = await met(resolver, answer)
    assert error.reason is reason
    if reason is Reason.ACCOUNT_LOCKED:
        assert peer.authorizations == ["Digest"]


async def test_a_camera_that_repeats_our_password_is_not_quoted(resolver: OnvifResolver) -> None:
    def answer(peer: Peer, path: str, operation: str) -> bytes:
        return fault("Oops", f"unknown user ingest with {PASSWORD}", "500 Internal Server Error")

    error, _ = await met(resolver, answer)
    assert PASSWORD not in error.message
    assert "(hidden)" in error.message


@pytest.mark.parametrize("password", ["p", "camera", "fault"])
async def test_a_password_that_stands_in_our_own_words_is_hidden_in_the_cameras_alone(
    resolver: OnvifResolver, password: str
) -> None:
    def answer(peer: Peer, path: str, operation: str) -> bytes:
        return fault("Oops", f"no {password}, pal", "500 Internal Server Error")

    error, _ = await met(resolver, answer, replace(ACCOUNT, password=password))
    assert error.message.startswith("The camera answers ")
    assert " with a fault (no (hidden), pal)" in error.message


@pytest.mark.parametrize(
    ("stale", "answers"), [(", stale=true", 2), (', stale="TRUE"', 2), (", stale=false", 1)]
)
async def test_only_a_challenge_that_the_camera_calls_stale_is_answered_anew(
    resolver: OnvifResolver, stale: str, answers: int
) -> None:
    def answer(peer: Peer, path: str, operation: str) -> bytes:
        challenge = DIGEST + (stale if peer.authorizations else "")
        return reply("", "401 Unauthorized", "text/html", challenge)

    error, peer = await met(resolver, answer)
    assert error.reason is Reason.CREDENTIALS_REJECTED
    assert peer.authorizations == ["Digest"] * answers


async def test_a_scheme_that_was_refused_is_not_tried_again_at_another_service(
    resolver: OnvifResolver,
) -> None:
    recorder = Recorder()

    def answer(peer: Peer, path: str, operation: str) -> bytes:
        signed = "UsernameToken" in peer.authorizations
        if operation == "GetDeviceInformation" and not signed:
            return fault("NotAuthorized", "Sender not authorized", "401 Unauthorized", DIGEST)
        if operation == "GetProfiles":
            return reply("", "401 Unauthorized", "text/html", DIGEST)
        return recorder(peer, path, operation)

    error, peer = await met(resolver, answer)
    assert error.reason is Reason.CREDENTIALS_REJECTED
    assert peer.authorizations.count("Digest") == 1


async def test_an_operation_that_the_account_may_not_use_is_named(
    resolver: OnvifResolver,
) -> None:
    recorder = Recorder(guarded={"GetProfiles"})
    error, _ = await met(resolver, recorder)
    assert error.reason is Reason.CREDENTIALS_REJECTED
    assert "GetProfiles" in error.detail


class Recorder:
    """A recorder of sixteen channels with old firmware: what a simulated camera is not.

    It knows no GetServices, lists its profiles in another order than its channels, and names
    addresses of its own network, one of them a host of somebody else.
    """

    def __init__(self, guarded: set[str] | None = None) -> None:
        self._guarded = guarded or set()

    def __call__(self, peer: Peer, path: str, operation: str) -> bytes:
        if operation in self._guarded:
            return fault("NotAuthorized", "Sender not authorized")
        if operation == "GetDeviceInformation" and not peer.authorizations:
            return fault("NotAuthorized", "Sender not authorized")
        inner = getattr(self, operation, None)
        if inner is None:
            return fault("ActionNotSupported", "No such action", "500 Internal Server Error")
        prefix = "tds" if path.endswith("device_service") else "trt"
        return reply(soap(f"<{prefix}:{operation}Response>{inner}</{prefix}:{operation}Response>"))

    GetDeviceInformation = "<tds:Model>NVR</tds:Model>"
    GetCapabilities = (
        "<tds:Capabilities><tt:Media><tt:XAddr>http://admin:x@192.168.1.64:8000//media?v=1"
        "</tt:XAddr></tt:Media></tds:Capabilities>"
    )
    GetVideoSources = "".join(f'<trt:VideoSources token="v{n}"/>' for n in range(1, 17))
    GetProfiles = "".join(
        f'<trt:Profiles token="p{n}"><tt:VideoSourceConfiguration token="c"><tt:SourceToken>'
        f"v{n}</tt:SourceToken></tt:VideoSourceConfiguration><tt:VideoEncoderConfiguration "
        'token="e"><tt:Encoding>H264</tt:Encoding><tt:Resolution><tt:Width>1280</tt:Width>'
        "<tt:Height>720</tt:Height></tt:Resolution></tt:VideoEncoderConfiguration></trt:Profiles>"
        for n in (9, 3, 16, 1, 12, 7, 2, 5, 4, 15, 6, 8, 11, 10, 14, 13)
    )
    GetStreamUri = (
        f"<trt:MediaUri><tt:Uri>rtsp://192.168.1.64:554/user=ingest&amp;password={PASSWORD}"
        "&amp;channel=7</tt:Uri></trt:MediaUri>"
    )


async def test_a_recorder_is_asked_at_the_declared_address_only(resolver: OnvifResolver) -> None:
    peer = Peer(Recorder())
    async with peer.running() as port:
        request = at(port, port, source=VideoSource(channel=7))
        resolution = await resolver.resolve(request, ACCOUNT, attempts=Ledger())
    assert resolution.learned.profile_token == "p7"
    assert resolution.learned.media_path == "//media?v=1"
    assert ("//media?v=1", "GetProfiles") in peer.requests


@pytest.mark.quirk(57)
async def test_a_token_that_holds_no_longer_is_asked_for_anew(resolver: OnvifResolver) -> None:
    class Impatient(Recorder):
        """Its tokens hold for one GetStreamUri less than it is asked for."""

        def __call__(self, peer: Peer, path: str, operation: str) -> bytes:
            asked = [name for _, name in peer.requests]
            if operation == "GetStreamUri" and asked.count("GetStreamUri") == 1:
                return fault("NoProfile", "No such profile")
            answer = super().__call__(peer, path, operation)
            again = asked.count("GetProfiles") > 1
            return answer.replace(b'"p', b'"q') if again else answer

    peer = Peer(Impatient())
    async with peer.running() as port:
        learned = (await resolver.resolve(at(port, port), ACCOUNT, attempts=Ledger())).learned
    assert learned.profile_token == "q1"
    asked = [name for _, name in peer.requests if name in ("GetProfiles", "GetStreamUri")]
    assert asked == ["GetProfiles", "GetStreamUri"] * 2


async def test_a_password_in_the_streams_address_is_kept_out_of_what_is_learnt(
    resolver: OnvifResolver,
) -> None:
    peer = Peer(Recorder())
    account = Credentials("ingest", PASSWORD.partition("#")[0], "1")
    async with peer.running() as port:
        learned = (await resolver.resolve(at(port, port), account, attempts=Ledger())).learned
    assert account.password not in learned.stream_path
    assert "{password}" in learned.stream_path
    assert "password=p%40ss" in revealed(learned.stream_path, account)


# TLS


@pytest.fixture(scope="module")
def self_signed(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    """A server's context with the certificate of a camera: its own signature, and expired."""
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "IPC")])
    long_ago = datetime.now(UTC) - timedelta(days=4000)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(long_ago)
        .not_valid_after(long_ago + timedelta(days=365))
        .sign(key, hashes.SHA256())
    )
    return _server_context(
        folder,
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )


def _server_context(folder: Path, certificate: bytes, key: bytes) -> ssl.SSLContext:
    (folder / "cert.pem").write_bytes(certificate)
    (folder / "key.pem").write_bytes(key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context


async def test_a_camera_with_a_certificate_of_its_own_making_is_resolved_over_https(
    resolver: OnvifResolver, self_signed: ssl.SSLContext
) -> None:
    peer = Peer(Recorder(), self_signed)
    async with peer.running() as port:
        request = at(port, port, scheme=Scheme.HTTPS)
        resolution = await resolver.resolve(request, ACCOUNT, attempts=Ledger())
    assert resolution.device.model == "NVR"


async def test_https_to_a_port_with_plain_http_fails_in_tls(
    simulator: Simulator, hasty: OnvifResolver
) -> None:
    camera = await gate(simulator)
    error = await error_of(hasty, of(camera, scheme=Scheme.HTTPS))
    assert (error.condition, error.reason) == (ConditionType.REACHABLE, Reason.TLS_FAILED)
