# SPDX-License-Identifier: Apache-2.0
"""A peer on the RTSP port that shakes hands like a camera and then does what it likes.

For tests of hostile input: `async with HostilePeer(answer) as peer` listens on `peer.port`. With
`after_play` the handshake is an ordinary one without a login, and the rest is the test's.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

SDP = (
    b"v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=-\r\nm=video 0 RTP/AVP 96\r\n"
    b"a=rtpmap:96 H264/90000\r\n"
    b"a=fmtp:96 sprop-parameter-sets=Z0LAHtsBQBbsBEAAAAMAQAAADIPFi5I=,aM4PyA==\r\n"
    b"a=control:track1\r\n"
)


class HostilePeer:
    """One listener on loopback; connections are ended with it."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.port = 0
        self.connections = 0

    @classmethod
    def after_play(cls, then: Callable[[asyncio.StreamWriter], Awaitable[None]]) -> Self:
        """A camera up to PLAY; then whatever the test writes."""

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await shake_hands(reader, writer)
            await then(writer)

        return cls(answer)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._answer(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the other side has had enough, as it should, or the test has ended
        finally:
            writer.close()
            self._tasks.discard(task)


async def shake_hands(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """DESCRIBE, SETUP and PLAY, answered as a plain camera does."""
    while True:
        request = (await reader.readuntil(b"\r\n\r\n")).decode()
        method = request.split(" ", 1)[0]
        found = re.search(r"(?im)^cseq: *(\d+)", request)
        cseq = found[1] if found else "0"
        writer.write(_reply(method, cseq))
        await writer.drain()
        if method == "PLAY":
            return


def _reply(method: str, cseq: str) -> bytes:
    head = f"RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\n"
    if method == "DESCRIBE":
        head += f"Content-Type: application/sdp\r\nContent-Length: {len(SDP)}\r\n"
        return head.encode() + b"\r\n" + SDP
    if method == "SETUP":
        head += "Session: 4711;timeout=60\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n"
    return head.encode() + b"Session: 4711\r\n\r\n"
