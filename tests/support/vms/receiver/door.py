# SPDX-License-Identifier: Apache-2.0
"""The HTTP door of the receiver: counts, frames and pictures out; faults in.

GET  /streams                        {path: counts} GET  /frames/live/cam01?after=0      the frames
received, with hash, key flag and presentation time GET  /audio/live/cam01              the audio
received, with hash and presentation time GET  /snapshot/live/cam01.jpg        the last
key frame as a picture POST /refuse {"on": true}            close the RTSP listener and drop every
publisher POST /login {"username", "password", "schemes"}   other credentials from now on
"""

from __future__ import annotations

import json
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from vms.receiver.ledger import Ledger

_MAX_BODY_BYTES = 65_536


class DoorServer(ThreadingHTTPServer):
    """Answers in threads of its own; `control` carries POSTs to the main context and waits for
    them."""

    daemon_threads = True

    def __init__(
        self,
        address: tuple[str, int],
        ledger: Ledger,
        snapshot: Callable[[str], bytes | None],
        control: Callable[[str, dict[str, Any]], str | None],
    ) -> None:
        self.ledger, self.snapshot, self.control = ledger, snapshot, control
        super().__init__(address, DoorHandler)


class DoorHandler(BaseHTTPRequestHandler):
    server: DoorServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        path = unquote(url.path)
        if path == "/streams":
            self._json(self.server.ledger.as_json())
        elif path.startswith("/frames/"):
            after = int(parse_qs(url.query).get("after", ["0"])[0])
            frames = self.server.ledger.frames_after(path.removeprefix("/frames"), after)
            self._json(
                frames if frames is not None else {"error": "no such path"}, frames is not None
            )
        elif path.startswith("/audio/"):
            audio_units = self.server.ledger.audio_units(path.removeprefix("/audio"))
            self._json(
                audio_units if audio_units is not None else {"error": "no such path"},
                found=audio_units is not None,
            )
        elif path.startswith("/snapshot/") and path.endswith(".jpg"):
            self._picture(path.removeprefix("/snapshot").removesuffix(".jpg"))
        else:
            self._json({"error": "no such page"}, found=False)

    def do_POST(self) -> None:
        length = min(int(self.headers.get("Content-Length", "0")), _MAX_BODY_BYTES)
        problem = self.server.control(self.path, json.loads(self.rfile.read(length) or b"{}"))
        self._json({"error": problem} if problem else {}, found=problem is None)

    def log_message(self, format: str, *args: Any) -> None:
        """Silent: the door is asked several times a second."""

    def _picture(self, path: str) -> None:
        picture = self.server.snapshot(path)
        if picture is None:
            self._json({"error": "no picture yet"}, found=False)
        else:
            self._send(200, "image/jpeg", picture)

    def _json(self, value: Any, found: bool = True) -> None:
        self._send(200 if found else 404, "application/json", json.dumps(value).encode() + b"\n")

    def _send(self, status: int, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)
