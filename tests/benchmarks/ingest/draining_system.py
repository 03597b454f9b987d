# SPDX-License-Identifier: Apache-2.0
"""A monitoring system that takes every stream, counts its octets and throws them away.

For load only: two hundred streams into a real one would need more than the core that is left for
it, and the real one is what tests and proofs relay to. It speaks just enough RTSP for ANNOUNCE,
SETUP, RECORD (RFC 2326) and reads its sockets ten times a second.
"""

from __future__ import annotations

import re
import socket
import ssl
import threading
import time
from types import TracebackType
from typing import Self

_TICK_S = 0.1
_HANDSHAKE_S = 20.0
_NO_KEEPALIVE_S = 3600
"""The session's timeout as told: nobody asks whether it lives while it is measured."""


class DrainingSystem:
    """Listens on the loopback from the moment it is entered. With `certificate`, a file with key
    and certificate, it speaks TLS."""

    def __init__(self, certificate: str | None = None) -> None:
        self.octets = 0
        self._context: ssl.SSLContext | None = None
        if certificate is not None:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(certificate)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self._recording: list[socket.socket] = []
        self._buffer = bytearray(1 << 20)
        self._ended = False

    @property
    def url(self) -> str:
        """Of the server; a stream's name goes behind it."""
        scheme = "rtsp" if self._context is None else "rtsps"
        return f"{scheme}://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        for work in (self._accept, self._drain):
            threading.Thread(target=work, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended = True
        self._listener.close()

    def _accept(self) -> None:
        while not self._ended:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._converse, args=(connection,), daemon=True).start()

    def _converse(self, connection: socket.socket) -> None:
        try:
            connection.settimeout(_HANDSHAKE_S)
            if self._context is not None:
                connection = self._context.wrap_socket(connection, server_side=True)
            while _answer_one(connection) != "RECORD":
                pass
        except OSError:
            connection.close()
            return
        connection.setblocking(False)
        self._recording.append(connection)

    def _drain(self) -> None:
        while not self._ended:
            began = time.monotonic()
            for connection in tuple(self._recording):
                self._read(connection)
            time.sleep(max(0.0, began + _TICK_S - time.monotonic()))

    def _read(self, connection: socket.socket) -> None:
        while True:
            try:
                received = connection.recv_into(self._buffer)
            except (BlockingIOError, ssl.SSLWantReadError):
                return
            except OSError:
                received = 0
            if received == 0:
                self._recording.remove(connection)
                connection.close()
                return
            self.octets += received


def _answer_one(connection: socket.socket) -> str:
    """Read one request, answer it, and say which it was."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        octet = connection.recv(1)
        if not octet:
            raise ConnectionResetError("closed in the middle of a request")
        head += octet
    body = int(_header(head, "content-length") or 0)
    while body > 0:
        body -= len(connection.recv(body)) or body
    method = head.split(b" ", 1)[0].decode()
    lines = ["RTSP/1.0 200 OK", f"CSeq: {_header(head, 'cseq')}"]
    if method == "OPTIONS":
        lines.append("Public: OPTIONS, ANNOUNCE, SETUP, RECORD, TEARDOWN")
    if method in ("SETUP", "RECORD"):
        lines.append(f"Session: 1;timeout={_NO_KEEPALIVE_S}")
    if method == "SETUP":
        lines.append(f"Transport: {_header(head, 'transport')}")
    connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
    return method


def _header(head: bytes, name: str) -> str:
    found = re.search(rf"^{name}:\s*(.*?)\r$", head.decode(), re.IGNORECASE | re.MULTILINE)
    return found[1] if found else ""
