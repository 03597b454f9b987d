# SPDX-License-Identifier: Apache-2.0
"""A small HTTP server of our own: one request a connection, without a body (RFC 9112).

Used for what the cluster asks (probes.py), for whoever may forward a port to the pod (loopback.py),
and with a gate before it where a viewer is declared. Answers are made on the main loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from http import HTTPStatus
from urllib.parse import parse_qsl

REQUEST_S = 5.0
MAX_REQUEST_BYTES = 8192
TEXT = "text/plain; version=0.0.4; charset=utf-8"
READING = ("GET", "HEAD")


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for. `path` is without the query; of a repeated parameter the last counts, and
    an empty one is there: a camera without a name is not every camera."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    by_page: bool = False
    """A web page asks, wherever it is from (RFC 6454 section 7.3)."""
    host: str = ""
    """Whom the client believes to ask, as its Host field says; of several, all."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent."""

    status: HTTPStatus
    body: bytes = b""
    content_type: str = TEXT
    modified_at: float | None = None
    """When what is shown came to be, in seconds since the epoch; told in whole seconds."""


Gate = Callable[[bytes], Awaitable[HTTPStatus]]
"""Takes the head of a request; OK lets it pass, anything else is its answer."""


class HttpServer:
    """Listens, and asks `answer` for each request."""

    def __init__(
        self,
        answer: Callable[[Request], Awaitable[Answer]],
        gate: Gate | None = None,
        most_open: int | None = None,
        answer_s: float | None = None,
    ) -> None:
        """`gate` is asked first, so that who is not let in learns nothing of what there is.
        Connections beyond `most_open` are closed unheard: never set it for probes, which strangers
        could then starve. `answer_s`: how long making and taking an answer may last; without it, a
        request and its answer share the time of a request.
        """
        self._answer = answer
        self._gate = gate
        self._most_open = most_open
        self._answer_s = answer_s
        self._open = 0
        self._server: asyncio.Server | None = None

    async def start(self, address: str, port: int) -> int:
        """Listen; the port that it listens on."""
        self._server = await asyncio.start_server(
            self._serve, address, port, limit=MAX_REQUEST_BYTES
        )
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Take no more requests."""
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request per connection (RFC 9112 section 9.6: Connection: close)."""
        self._open += 1
        try:
            if self._most_open is None or self._open <= self._most_open:
                await self._converse(reader, writer)
        finally:
            self._open -= 1
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Draining waits for the last octet: else a client that reads nothing keeps a connection.
        writer.transport.set_write_buffer_limits(high=0)
        try:
            async with asyncio.timeout(REQUEST_S) as patience:
                head = await reader.readuntil(b"\r\n\r\n")
                if self._answer_s is not None:
                    patience.reschedule(asyncio.get_running_loop().time() + self._answer_s)
                request = _request(head)
                writer.write(_octets(request, await self._admitted(head, request)))
                await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            # A client that does not finish its request, or does not take its answer, gets none.
            writer.transport.abort()

    async def _admitted(self, head: bytes, request: Request) -> Answer:
        admitted = HTTPStatus.OK if self._gate is None else await self._gate(head)
        if admitted is not HTTPStatus.OK:
            return Answer(admitted)
        return await self._answer(request)


def _request(head: bytes) -> Request:
    method, _, rest = head.split(b"\r\n", 1)[0].decode("latin-1").partition(" ")
    path, _, query = rest.partition(" ")[0].partition("?")
    by_page = b"\r\norigin:" in head.lower()
    asked = dict(parse_qsl(query, keep_blank_values=True))
    return Request(method, path, asked, by_page, _host(head))


def _host(head: bytes) -> str:
    fields = (line.partition(b":") for line in head.split(b"\r\n")[1:])
    hosts = (value.strip() for name, _, value in fields if name.strip().lower() == b"host")
    return b",".join(hosts).decode("latin-1")


def _octets(request: Request, answer: Answer) -> bytes:
    status, body = answer.status, answer.body
    lines = (
        f"HTTP/1.1 {status.value} {status.phrase}",
        f"Content-Type: {answer.content_type}",
        "Cache-Control: no-store",
        # For browsers behind a forwarded port: no guessing, and no embedding in somebody's page.
        "X-Content-Type-Options: nosniff",
        "Cross-Origin-Resource-Policy: same-origin",
        f"Content-Length: {len(body)}",
        # RFC 9110 section 15.5.2: a 401 says how to log in.
        *(("WWW-Authenticate: Bearer",) if status is HTTPStatus.UNAUTHORIZED else ()),
        *_last_modified(answer.modified_at),
        "Connection: close",
        "",
        "",
    )
    return "\r\n".join(lines).encode() + (b"" if request.method == "HEAD" else body)


def _last_modified(modified_at: float | None) -> tuple[str, ...]:
    """RFC 9110 section 8.8.2."""
    if modified_at is None:
        return ()
    return (f"Last-Modified: {formatdate(modified_at, usegmt=True)}",)
