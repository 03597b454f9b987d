# SPDX-License-Identifier: Apache-2.0
"""HTTP/1.1 as a camera's web server does it: keep-alive, counted bodies, nothing more.

Serves the ONVIF device, the snapshot and the control door. A handler is a plain function from
Request to Response, called on the event loop; how an answer misbehaves (late, cut off, connection
closed) is part of the Response, so that faults need no code here.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from camera_simulator.listener import Listener
from camera_simulator.messages import Message, MessageInvalid, MessageReader
from camera_simulator.settings import WebAnswers

__all__ = ["HttpConnection", "Request", "Response", "json_response"]


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    target: str
    headers: dict[str, str]
    body: bytes
    local_host: str
    """The address the client reached us at: what a camera without configuration calls itself."""


@dataclass(frozen=True)
class Response:
    status: int = 200
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"
    headers: tuple[tuple[str, str], ...] = ()
    close: bool = False
    manner: WebAnswers = "whole"
    """How it comes over the wire."""


Answer = Response | asyncio.Task[Response]
Handler = Callable[[Request], Answer]


def json_response(value: Any, status: int = 200) -> Response:
    return Response(status, json.dumps(value).encode() + b"\n", "application/json")


class HttpConnection(asyncio.Protocol):
    """One client connection; requests are answered in order."""

    def __init__(
        self,
        listener: Listener,
        handler: Handler,
        count_connects: Callable[[int], None] = lambda change: None,
    ) -> None:
        self._listener = listener
        self._handler = handler
        self._count_connects = count_connects
        self._reader = MessageReader()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._listener.joined(transport)
        self._count_connects(1)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport is not None:
            self._listener.left(self._transport)
            self._count_connects(-1)

    def data_received(self, data: bytes) -> None:
        try:
            for message in self._reader.feed(data):
                if isinstance(message, Message):
                    self._answer(message)
        except MessageInvalid as error:
            self._send(Response(400, f"{error}\n".encode(), close=True))

    def _answer(self, message: Message) -> None:
        assert self._transport is not None
        local_host = self._transport.get_extra_info("sockname")[0]
        path = message.target.partition("?")[0]
        request = Request(
            message.method, path, message.target, message.headers, message.body, local_host
        )
        answer = self._handler(request)
        wants_close = message.headers.get("connection", "").lower() == "close"
        if isinstance(answer, Response):
            self._send(answer, close=wants_close or answer.close)
        else:
            # Only the control door answers later, and closes: no second request can overtake it.
            answer.add_done_callback(lambda done: self._send(done.result(), close=True))

    def _send(self, response: Response, close: bool = True) -> None:
        assert self._transport is not None
        if self._transport.is_closing():
            return
        if response.manner not in ("whole", "fin"):
            self._misbehave(self._transport, response)
            return
        head = [f"HTTP/1.1 {response.status} {HTTPStatus(response.status).phrase}"]
        head += [f"{name}: {value}" for name, value in response.headers]
        head += [f"Content-Type: {response.content_type}", f"Content-Length: {len(response.body)}"]
        head += [f"Connection: {'close' if close else 'keep-alive'}", "", ""]
        self._transport.write("\r\n".join(head).encode() + response.body)
        if close or response.manner == "fin":
            self._transport.close()

    def _misbehave(self, transport: asyncio.Transport, response: Response) -> None:
        """Say less than an answer, or nothing at all."""
        if response.manner == "silent":
            return
        length = len(response.body)
        head = f"HTTP/1.1 200 OK\r\nContent-Type: {response.content_type}\r\n".encode()
        said = {
            "half": head + b"Content-Length: %d\r\n\r\n" % length + response.body[: length // 2],
            "chunk-cut": head + b"Transfer-Encoding: chunked\r\n\r\nfff\r\n" + response.body[:64],
            "garbage": b"\x00\x17\xff nonsense\r\n\r\n",
        }
        transport.write(said.get(response.manner, b""))
        transport.close()
