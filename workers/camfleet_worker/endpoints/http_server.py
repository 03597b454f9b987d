# SPDX-License-Identifier: Apache-2.0
"""The HTTP server of the worker: aiohttp's, with one request a connection and limits for all of it.

The app makes three: one for requests of the cluster (`probes`), one for clients that may forward a
port to the pod (`local_endpoint`), and where a viewer is declared one behind a gate
(`snapshot_gate`). Answers are made on the main loop. It reads no body, takes no second request on a
connection and names no software.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from http import HTTPStatus
from urllib.parse import parse_qsl

from aiohttp import web

log = logging.getLogger(__name__)

TEXT = "text/plain; version=0.0.4; charset=utf-8"
READING = ("GET", "HEAD")
_CLOSE_S = 0.1
"""How long an answer that is being sent may take when the worker stops."""
_HEAD_ENDS = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one listener. Times are seconds."""

    request_s: float = 5.0
    """From the connection to the end of the head; without `answer_s`, to the last octet of the
    answer."""
    answer_s: float | None = None
    """From the end of the head to the last octet of the answer."""
    most_open: int | None = None
    """Connections at once; further ones are closed unread. Never set it for probes, because other
    clients could then keep the kubelet out."""
    head_bytes: int = 8192


@dataclass(frozen=True, slots=True)
class Request:
    """One request."""

    method: str
    path: str
    """As it was sent, without the query."""
    query: Mapping[str, str] = field(default_factory=dict)
    """The last of each parameter. An empty one is there: a camera without a name is not every
    camera."""
    has_origin: bool = False
    """A web page sends it, wherever the page is from (RFC 6454 section 7.3)."""
    host: str = ""
    """The server that the client means to ask (RFC 9110 section 7.2)."""
    authorization: tuple[str, ...] = ()
    """The values of all Authorization fields."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a request."""

    status: HTTPStatus
    body: bytes = b""
    content_type: str = TEXT
    modified_at: float | None = None
    """When the content was made, in seconds since the epoch; sent in whole seconds."""


Answering = Callable[[Request], Awaitable[Answer]]
Gate = Callable[[Request], Awaitable[HTTPStatus]]
"""OK lets a request pass, anything else is its answer."""


class HttpServer:
    """Listens, and asks `answer` for each request."""

    def __init__(
        self, answer: Answering, gate: Gate | None = None, limits: Limits | None = None
    ) -> None:
        """`gate` is asked first, so that a client without access cannot find out what exists."""
        self._answer = answer
        self._gate = gate
        self._limits = limits or Limits()
        self._runner: web.ServerRunner | None = None

    async def start(self, address: str, port: int) -> int:
        """Listen; the port that it listens on. Raises OSError."""
        runner = web.ServerRunner(_Server(self._handle, self._limits), shutdown_timeout=_CLOSE_S)
        await runner.setup()
        site = web.TCPSite(runner, address, port)
        try:
            await site.start()
        except OSError:
            await runner.cleanup()
            raise
        self._runner = runner
        return site.port

    async def close(self) -> None:
        """Take no more requests, and end those that do not end by themselves at once."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _handle(self, asked: web.BaseRequest) -> web.Response:
        request = _request(asked)
        admitted = HTTPStatus.OK if self._gate is None else await self._gate(request)
        if admitted is not HTTPStatus.OK:
            return _Response(Answer(admitted))
        return _Response(await self._answer(request))


class _Server(web.Server):
    """Makes a `_Connection` for each client and knows how many there are."""

    def __init__(
        self, handler: Callable[[web.BaseRequest], Awaitable[web.Response]], limits: Limits
    ) -> None:
        # No answer is made after the client has gone.
        super().__init__(handler, handler_cancellation=True)
        self.limits = limits
        self.open = 0

    def __call__(self) -> web.RequestHandler:
        return _Connection(self)


class _Connection(web.RequestHandler):
    """One client with one request.

    aiohttp bounds each line of a head, and waits without end for a client that takes no answer.
    Here are the bounds of the whole: octets until the head ends, and time until the connection is
    closed. What follows the head is never looked at.
    """

    def __init__(self, server: _Server) -> None:
        limits = server.limits
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            access_log=None,  # type: ignore[arg-type]  # None is aiohttp's way to write none
            max_line_size=limits.head_bytes,
            max_field_size=limits.head_bytes,
            lingering_time=0,
            auto_decompress=False,
        )
        self._server = server
        self._limits = limits
        self._socket: asyncio.Transport | None = None
        self._head = bytearray()
        self._head_ended = False
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._server.open += 1
        self._socket = transport
        most = self._limits.most_open
        if most is not None and self._server.open > most:
            transport.abort()
            return
        self._end_within(self._limits.request_s)
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._server.open -= 1
        if self._deadline is not None:
            self._deadline.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._head_ended or self._socket is None or self._socket.is_closing():
            return
        searched = max(0, len(self._head) - len(_HEAD_ENDS) + 1)
        self._head += data
        end = self._head.find(_HEAD_ENDS, searched)
        size = len(self._head) if end < 0 else end + len(_HEAD_ENDS)
        if size > self._limits.head_bytes:
            self._socket.abort()
        elif end >= 0:
            self._head_ended = True
            if self._limits.answer_s is not None:
                self._end_within(self._limits.answer_s)
            super().data_received(bytes(self._head[:size]))
            self._head.clear()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.Response:
        """What aiohttp answers to a head that is no HTTP, and to an exception of ours. It would
        log the former, head and token included, as often as a stranger likes."""
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            log.error("a request failed by a bug", exc_info=exc)
        return _Response(Answer(HTTPStatus(status)))

    def _end_within(self, seconds: float) -> None:
        assert self._socket is not None
        if self._deadline is not None:
            self._deadline.cancel()
        # Also a client that takes its answer too slowly gets no more of it.
        self._deadline = asyncio.get_running_loop().call_later(seconds, self._socket.abort)


class _Response(web.Response):
    """An answer as it is sent."""

    def __init__(self, answer: Answer) -> None:
        headers = {
            "Content-Type": answer.content_type,
            "Cache-Control": "no-store",
            # For browsers behind a forwarded port: no sniffing, no embedding in another page.
            "X-Content-Type-Options": "nosniff",
            "Cross-Origin-Resource-Policy": "same-origin",
        }
        if answer.status is HTTPStatus.UNAUTHORIZED:  # RFC 9110 section 15.5.2
            headers["WWW-Authenticate"] = "Bearer"
        if answer.modified_at is not None:  # RFC 9110 section 8.8.2
            headers["Last-Modified"] = formatdate(answer.modified_at, usegmt=True)
        super().__init__(body=answer.body, status=answer.status, headers=headers)
        self.force_close()

    async def _prepare_headers(self) -> None:
        await super()._prepare_headers()
        # The answer names neither the software nor its version.
        self.headers.popall("Server", None)


def _request(asked: web.BaseRequest) -> Request:
    path, _, query = asked.raw_path.partition("?")
    return Request(
        asked.method,
        path,
        dict(parse_qsl(query, keep_blank_values=True)),
        "Origin" in asked.headers,
        ",".join(asked.headers.getall("Host", ())),
        tuple(asked.headers.getall("Authorization", ())),
    )
