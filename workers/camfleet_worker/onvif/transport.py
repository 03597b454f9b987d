# SPDX-License-Identifier: Apache-2.0
"""HTTP to one declared address: answers have limits of size and time, failures have a reason.

The login calls it. It follows no redirect, uses no proxy, and cannot be given another host: its
callers pass paths. It is the only module that names httpx's exceptions.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import httpx

from camfleet_api.camera import Scheme
from camfleet_api.conditions import ConditionType, Reason
from camfleet_worker.base.camera_tls import fingerprint, require_pinned
from camfleet_worker.base.errors import IngestError, Retry
from camfleet_worker.base.skipped import SKIPPED, Part
from camfleet_worker.base.socket_errors import SocketFailure, socket_failure
from camfleet_worker.login.challenges import Challenge, parse_challenges
from camfleet_worker.resolve.addresses import authority
from camfleet_worker.resolve.text import printable

MAX_BODY_BYTES = 4 * 1024 * 1024
"""GetProfiles of a recorder with 64 channels of three profiles takes about 1 MB."""

# httpx has one exception for a peer that hangs up and one that does not speak HTTP.
_LOST = ("disconnected", "closed connection")


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How many seconds a camera has. Old cameras take seconds to answer GetProfiles."""

    connect_s: float = 5.0
    call_s: float = 10.0
    """The limit of one request with its connect; a camera that sends slowly cannot extend it."""


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """An HTTP answer that was read to its end."""

    status: int
    challenges: tuple[Challenge, ...]
    """Those of WWW-Authenticate (RFC 9110 section 11.6.1)."""
    date: str
    content_type: str
    server: str
    body: bytes


class Transport:
    """Sends POST requests to one host and port.

    Each request has a connection of its own. Cameras close idle connections without notice
    (quirk 25), and a login whose answer is lost that way is a wasted attempt.
    """

    def __init__(
        self,
        scheme: Scheme,
        host: str,
        port: int,
        deadlines: Deadlines,
        tls: ssl.SSLContext,
        pinned: str = "",
        count_request: Callable[[], None] = lambda: None,
    ) -> None:
        self._count_request = count_request
        self.port = port
        self.scheme = scheme
        self.certificate = ""
        """Fingerprint of the device's certificate; "" before the first connection, without TLS."""
        self._pinned = pinned
        self._base = _declared_url(f"{scheme.value}://{authority(host, port)}", host)
        self._host = host
        self._deadlines = deadlines
        self._client = httpx.AsyncClient(
            verify=tls,
            trust_env=False,
            follow_redirects=False,
            timeout=httpx.Timeout(deadlines.call_s, connect=deadlines.connect_s),
            limits=httpx.Limits(max_connections=1, max_keepalive_connections=0),
            headers={
                "User-Agent": "camfleet",
                # A compressed body could grow without limit within one read.
                "Accept-Encoding": "identity",
                "Connection": "close",
            },
        )

    async def aclose(self) -> None:
        """Close all open connections."""
        await self._client.aclose()

    def request(self, path: str, body: bytes, headers: Mapping[str, str]) -> httpx.Request:
        """A POST to `path` of the declared address, not yet sent."""
        try:
            url = self._base.copy_with(raw_path=path.encode("ascii"))
        except (httpx.InvalidURL, UnicodeEncodeError) as error:
            raise protocol_error("The camera returned an address that is no URL") from error
        return self._client.build_request("POST", url, content=body, headers=dict(headers))

    async def send(self, request: httpx.Request) -> HttpAnswer:
        """Send once and read the answer; only the login knows what may be sent again."""
        self._count_request()
        connected = asyncio.Event()
        request.extensions["trace"] = self._watch(connected)
        with self._named_failures(connected):
            async with asyncio.timeout(self._deadlines.call_s):
                async with self._stream(request) as response:
                    return HttpAnswer(
                        status=response.status_code,
                        challenges=self._challenges(response),
                        date=response.headers.get("date", ""),
                        content_type=response.headers.get("content-type", ""),
                        server=response.headers.get("server", ""),
                        body=await _bounded_body(response),
                    )

    def _challenges(self, response: httpx.Response) -> tuple[Challenge, ...]:
        # Octet by octet: a realm is hashed and echoed as it came, in any encoding.
        values = [
            value.decode("latin-1")
            for name, value in response.headers.raw
            if name.lower() == b"www-authenticate"
        ]
        address = authority(self._host, self.port)
        skip = partial(SKIPPED.note, Part.CHALLENGE, str(self._base), address)
        return tuple(parse_challenges(values, skip))

    def _watch(
        self, connected: asyncio.Event
    ) -> Callable[[str, Mapping[str, Any]], Awaitable[None]]:
        """A trace hook of httpcore (extension "trace") that learns of TCP and TLS connections.

        httpx counts TLS as a part of connecting, and only here is the certificate known before the
        request is written.
        """

        async def watch(event: str, info: Mapping[str, Any]) -> None:
            if event == "connection.connect_tcp.complete":
                connected.set()
            elif event == "connection.start_tls.complete":
                stream = info["return_value"]
                shown = stream.get_extra_info("ssl_object").getpeercert(binary_form=True)
                try:
                    self._hold_to(fingerprint(shown))
                except IngestError:
                    await stream.aclose()
                    raise

        return watch

    def _hold_to(self, shown: str) -> None:
        """Require the pinned certificate; without one, pin the first that the device shows."""
        require_pinned("ONVIF port", shown, self._pinned or self.certificate)
        self.certificate = shown

    @asynccontextmanager
    async def _stream(self, request: httpx.Request) -> AsyncIterator[httpx.Response]:
        response = await self._client.send(request, stream=True)
        try:
            yield response
        finally:
            await response.aclose()

    @contextmanager
    def _named_failures(self, connected: asyncio.Event) -> Iterator[None]:
        """Map httpx's exceptions to failures with a reason, the most specific first."""
        try:
            yield
        except (httpx.ConnectTimeout, httpx.ConnectError) as error:
            if connected.is_set():
                raise tls_error(error, self.port) from error
            if isinstance(error, httpx.ConnectError):
                raise connect_error(error, self._host, self.port) from error
            raise unreachable(
                Reason.HOST_UNREACHABLE, f"Nothing answers at port {self.port}"
            ) from error
        except (httpx.TimeoutException, TimeoutError) as error:
            raise unreachable(
                Reason.TIMEOUT, f"Port {self.port} takes a connection and then does not answer"
            ) from error
        except httpx.RemoteProtocolError as error:
            if any(words in str(error) for words in _LOST):
                raise ConnectionLost(self.port) from error
            raise NotHttp(self.port) from error
        except httpx.TransportError as error:
            raise ConnectionLost(self.port) from error


def _declared_url(text: str, host: str) -> httpx.URL:
    """The declared address; NameNotResolved where the host is no name (RFC 1035 section 2.3.4)."""
    try:
        host.encode("idna")
        return httpx.URL(text)
    except (httpx.InvalidURL, UnicodeError) as error:
        raise unreachable(
            Reason.NAME_NOT_RESOLVED, f"{printable(host)} cannot be the name of a host"
        ) from error


class ConnectionLost(IngestError):
    """The device closed the connection before its answer was complete."""

    def __init__(self, port: int) -> None:
        super().__init__(
            ConditionType.ELIGIBLE,
            Reason.PROTOCOL_ERROR,
            f"Port {port} closes the connection instead of answering",
        )


class NotHttp(IngestError):
    """What answers on the port does not speak HTTP."""

    def __init__(self, port: int) -> None:
        super().__init__(
            ConditionType.ELIGIBLE,
            Reason.NOT_ONVIF,
            f"Port {port} answers, but not by HTTP",
            Retry.SLOW,
        )


def protocol_error(detail: str) -> IngestError:
    """The device answers in a way that its protocol does not allow."""
    return IngestError(ConditionType.ELIGIBLE, Reason.PROTOCOL_ERROR, detail)


def unreachable(reason: Reason, detail: str) -> IngestError:
    """The device does not answer on a port it needs."""
    return IngestError(ConditionType.REACHABLE, reason, detail)


def connect_error(error: BaseException, host: str, port: int) -> IngestError:
    """Why a connection failed, by the operating system's error among the causes."""
    answers = {
        SocketFailure.NAME_NOT_RESOLVED: (
            Reason.NAME_NOT_RESOLVED,
            f"The name {printable(host)} has no address",
        ),
        SocketFailure.REFUSED: (
            Reason.CONNECTION_REFUSED,
            f"Port {port} refuses the connection",
        ),
        SocketFailure.TIMEOUT: (Reason.HOST_UNREACHABLE, f"Nothing answers at port {port}"),
        SocketFailure.NO_ROUTE: (Reason.HOST_UNREACHABLE, "There is no route to the address"),
    }
    for cause in _causes(error):
        if isinstance(cause, OSError) and socket_failure(cause) in answers:
            return unreachable(*answers[socket_failure(cause)])
    return unreachable(Reason.HOST_UNREACHABLE, f"No connection to port {port} can be made")


def tls_error(error: BaseException, port: int) -> IngestError:
    """Why an open connection ended in the TLS handshake, before its first request."""
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLError):
            words = str(getattr(cause, "reason", None) or "no cause given")
            return unreachable(
                Reason.TLS_FAILED,
                f"Port {port} does not complete the TLS handshake "
                f"({words.replace('_', ' ').lower()})",
            )
    return unreachable(Reason.TLS_FAILED, f"Port {port} does not answer by TLS")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The chain of causes, with the members of groups (anyio groups IPv4 and IPv6 attempts)."""
    while error is not None:
        yield error
        if isinstance(error, BaseExceptionGroup):
            for member in error.exceptions:
                yield from _causes(member)
        error = error.__cause__ or error.__context__


async def _bounded_body(response: httpx.Response) -> bytes:
    if response.headers.get("content-encoding", "identity").lower() not in ("", "identity"):
        raise protocol_error("The camera packs its answer although it was not asked to")
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise protocol_error(
                f"The camera's answer is longer than {MAX_BODY_BYTES // 1024 // 1024} MiB"
            )
    return bytes(body)
