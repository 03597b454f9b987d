# SPDX-License-Identifier: Apache-2.0
"""GET a page, and nothing else, on a small HTTP server of our own.

The app makes two: /metrics, /healthz and /readyz for the cluster, and snapshots for whoever may
forward a port to the pod; and a third with a gate before it, where a viewer is declared. The answer
comes from the main loop, so an answer at all shows that it lives; /healthz also asks for the media
loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from http import HTTPStatus

Page = Callable[[], tuple[HTTPStatus, bytes]]
Gate = Callable[[bytes], Awaitable[HTTPStatus]]
"""Takes the head of a request; OK lets it pass, anything else is its answer."""

REQUEST_S = 5.0
MAX_REQUEST_BYTES = 8192
TEXT = "text/plain; version=0.0.4; charset=utf-8"


class Progress:
    """Whether a counter still moves: a thread that is alive may hang all the same."""

    def __init__(self, count: Callable[[], int], patience_s: float = 10.0) -> None:
        self._count = count
        self._patience_s = patience_s
        self._last = -1
        self._moved_at = float("-inf")

    def stalled(self, now: float) -> bool:
        """True when it has not moved for longer than the patience. `now` is monotonic."""
        count = self._count()
        if count != self._last:
            self._last, self._moved_at = count, now
        return now - self._moved_at > self._patience_s


class ProbeServer:
    """Serves pages by path."""

    def __init__(
        self,
        find: Callable[[str], Page | None],
        content_type: str = TEXT,
        gate: Gate | None = None,
        most_open: int | None = None,
    ) -> None:
        """`find` answers with the page at a path, None where there is none. `gate` is asked before
        it, so that who is not let in learns nothing of what there is. Connections beyond
        `most_open` are closed unheard: never set it for probes, which strangers could then starve.
        """
        self._find = find
        self._content_type = content_type
        self._gate = gate
        self._most_open = most_open
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
            async with asyncio.timeout(REQUEST_S):
                head = await reader.readuntil(b"\r\n\r\n")
                admitted = HTTPStatus.OK if self._gate is None else await self._gate(head)
                writer.write(self._answer(head, admitted))
                await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            # A client that does not finish its request, or does not take its answer, gets none.
            writer.transport.abort()

    def _answer(self, head: bytes, admitted: HTTPStatus) -> bytes:
        method, _, rest = head.split(b"\r\n", 1)[0].decode("latin-1").partition(" ")
        status, body = admitted, b""
        if admitted is HTTPStatus.OK:
            status, body = self._content(method, rest.partition(" ")[0].partition("?")[0])
        lines = (
            f"HTTP/1.1 {status.value} {status.phrase}",
            f"Content-Type: {self._content_type}",
            "Cache-Control: no-store",
            f"Content-Length: {len(body)}",
            # RFC 9110 section 15.5.2: a 401 says how to log in.
            *(("WWW-Authenticate: Bearer",) if status is HTTPStatus.UNAUTHORIZED else ()),
            "Connection: close",
            "",
            "",
        )
        return "\r\n".join(lines).encode() + (b"" if method == "HEAD" else body)

    def _content(self, method: str, path: str) -> tuple[HTTPStatus, bytes]:
        page = self._find(path)
        if method not in ("GET", "HEAD"):
            return HTTPStatus.METHOD_NOT_ALLOWED, b""
        return (HTTPStatus.NOT_FOUND, b"") if page is None else page()
