# SPDX-License-Identifier: Apache-2.0
"""GET a page, and nothing else, on a small HTTP server of our own.

The app makes two: /metrics, /healthz and /readyz for the cluster, and snapshots for whoever may
forward a port to the pod. The answer comes from the main loop, so an answer at all shows that it
lives; /healthz also asks for the media loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus

Page = Callable[[], tuple[HTTPStatus, bytes]]

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

    def __init__(self, find: Callable[[str], Page | None], content_type: str = TEXT) -> None:
        """`find` answers with the page at a path, None where there is none."""
        self._find = find
        self._content_type = content_type
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
        try:
            async with asyncio.timeout(REQUEST_S):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(self._answer(head))
                await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # a client that does not finish its request gets no answer
        finally:
            writer.close()

    def _answer(self, head: bytes) -> bytes:
        method, _, rest = head.split(b"\r\n", 1)[0].decode("latin-1").partition(" ")
        page = self._find(rest.partition(" ")[0].partition("?")[0])
        if method not in ("GET", "HEAD"):
            status, body = HTTPStatus.METHOD_NOT_ALLOWED, b""
        elif page is None:
            status, body = HTTPStatus.NOT_FOUND, b""
        else:
            status, body = page()
        lines = (
            f"HTTP/1.1 {status.value} {status.phrase}",
            f"Content-Type: {self._content_type}",
            "Cache-Control: no-store",
            f"Content-Length: {len(body)}",
            "Connection: close",
            "",
            "",
        )
        return "\r\n".join(lines).encode() + (b"" if method == "HEAD" else body)
