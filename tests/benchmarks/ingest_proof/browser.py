# SPDX-License-Identifier: Apache-2.0
"""A browser that plays a file: headless Chromium, a page with `<video>`, and what the page says.

The page seeks to the middle, plays a second, then all of it from the beginning, four times as fast,
and posts what it saw. Its load event waits for that (an
image that the server holds back), so the screenshot shows the picture that was played. The browser
reaches nothing but this server: every name and every other address is mapped to nowhere.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

_WITHIN_S = 120.0
_PAGE_WITHIN_S = 80.0

_PAGE = """<!doctype html>
<html><body style="margin:0;background:#446;color:#fff;font:16px sans-serif">
<video id="video" src="/file.mp4" muted preload="auto" style="width:800px"></video>
<pre id="said">…</pre>
<img src="/hold.gif" alt="">
<script>
const video = document.getElementById("video");
let shown = 0, told = false;
const sizes = new Set();
function tell(event) {
  if (told) return;
  told = true;
  const quality = video.getVideoPlaybackQuality();
  let spread = 0;
  if (video.readyState >= 2) {
    const canvas = document.createElement("canvas");
    canvas.width = 64; canvas.height = 36;
    const context = canvas.getContext("2d");
    context.drawImage(video, 0, 0, 64, 36);
    const pixels = context.getImageData(0, 0, 64, 36).data;
    const grey = [];
    for (let at = 0; at < pixels.length; at += 4) grey.push(pixels[at + 1]);
    const mean = grey.reduce((a, b) => a + b) / grey.length;
    spread = Math.sqrt(grey.reduce((a, b) => a + (b - mean) ** 2, 0) / grey.length);
  }
  const said = {
    event, error: video.error ? video.error.message || "code " + video.error.code : "",
    ready_state: video.readyState, duration_s: video.duration || 0, at_s: video.currentTime,
    sizes: [...sizes], shown,
    decoded: quality.totalVideoFrames, dropped: quality.droppedVideoFrames, spread,
  };
  document.getElementById("said").textContent = JSON.stringify(said, null, 1);
  document.title = event;
  requestAnimationFrame(() => requestAnimationFrame(() =>
    fetch("/said", { method: "POST", body: JSON.stringify(said) })));
}
function next() {
  shown += 1;
  if (shown === 25) { video.playbackRate = 4; video.currentTime = 0; }
  video.requestVideoFrameCallback(next);
}
video.addEventListener("resize", () => sizes.add(video.videoWidth + "x" + video.videoHeight));
video.addEventListener("error", () => tell("error"));
video.addEventListener("ended", () => tell("ended"));
video.addEventListener("loadedmetadata", () => { video.currentTime = video.duration / 2; },
  { once: true });
video.addEventListener("seeked", () => {
  video.requestVideoFrameCallback(next);
  video.play().catch((reason) => tell("play: " + reason));
}, { once: true });
setTimeout(() => tell("timeout"), 60000);
</script></body></html>
"""


@dataclass(frozen=True)
class Seen:
    """What the page said. `spread` is the standard deviation of its picture's green, 0 to 127."""

    event: str
    error: str
    ready_state: int
    duration_s: float
    at_s: float
    sizes: list[str]
    """Of its pictures, as they came."""
    shown: int
    decoded: int
    dropped: int
    spread: float


def play(browser: str, file: Path, screenshot: Path) -> Seen:
    """Open the file in the browser; RuntimeError where the page says nothing in time."""
    server = _FileServer(file)
    serving = threading.Thread(target=server.serve_forever, daemon=True)
    serving.start()
    try:
        with tempfile.TemporaryDirectory(prefix="camfleet-browser-") as profile:
            _run(browser, f"http://127.0.0.1:{server.server_port}/", profile, screenshot)
    finally:
        server.shutdown()
        server.server_close()
    if server.said is None:
        raise RuntimeError("the page said nothing")
    return Seen(**server.said)


def _run(browser: str, url: str, profile: str, screenshot: Path) -> None:
    command = [
        browser,
        "--headless=new",
        "--no-sandbox",  # root in a container of no importance; the page is ours
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--no-first-run",
        "--no-proxy-server",
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
        "--autoplay-policy=no-user-gesture-required",
        "--hide-scrollbars",
        "--window-size=800,760",
        f"--user-data-dir={profile}",
        f"--screenshot={screenshot}",
        url,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_WITHIN_S, check=False)
    if done.returncode:
        raise RuntimeError(f"the browser ended with {done.returncode}: {done.stderr[-500:]}")


class _FileServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, file: Path) -> None:
        self.data = file.read_bytes()
        self.said: dict[str, Any] | None = None
        self.told = threading.Event()
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: _FileServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/file.mp4":
            self._send_file()
        elif self.path == "/hold.gif":
            self.server.told.wait(_PAGE_WITHIN_S)
            self._send(404, "text/plain", b"")
        elif self.path == "/":
            self._send(200, "text/html; charset=utf-8", _PAGE.encode())
        else:
            self._send(404, "text/plain", b"")

    def do_POST(self) -> None:
        self.server.said = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._send(204, "text/plain", b"")
        self.server.told.set()

    def log_message(self, format: str, *args: Any) -> None:
        """Silent."""

    def _send_file(self) -> None:
        """Whole or in a range (RFC 9110 section 14): browsers seek by ranges."""
        data, wanted = self.server.data, self.headers.get("Range", "")
        if not wanted.startswith("bytes="):
            self._send(200, "video/mp4", data, [("Accept-Ranges", "bytes")])
            return
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        start, end = int(first), min(int(last or len(data) - 1), len(data) - 1)
        place = f"bytes {start}-{end}/{len(data)}"
        self._send(206, "video/mp4", data[start : end + 1], [("Content-Range", place)])

    def _send(
        self, status: int, kind: str, body: bytes, headers: list[tuple[str, str]] | None = None
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers or []:
            self.send_header(name, value)
        self.end_headers()
        try:
            self.wfile.write(body)
        except (BrokenPipeError, ConnectionResetError):
            return  # a browser that has enough of a file hangs up
