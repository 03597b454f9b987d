# SPDX-License-Identifier: Apache-2.0
"""nginx with its RTMP module as a test holds it: a process, its ports, and its own count of bytes.

    with RtmpServer() as vms:
        relay_to(vms.url("cam01"))
        eventually(lambda: vms.streams()["cam01"].bytes > 100_000)

nginx runs from a folder of its own under /tmp, as whoever started it; the system's nginx is not
touched. The module swallows H.265 without a word, as the field's do: bytes arrive, no picture does.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from vms.nginx import nginx_configuration

NGINX = "/usr/sbin/nginx"
# nginx notices nothing when whoever started it is killed, and would hold its ports for ever.
_DIES_WITH_US = ("setpriv", "--pdeathsig", "TERM", "--")
_START_WITHIN_S = 10.0
_STOP_WITHIN_S = 10.0


@dataclass(frozen=True)
class RtmpStream:
    """One stream of the application `live`, as nginx's statistics page tells it."""

    publishing: bool
    bytes: int
    seconds: float
    video_codec: str
    width: int
    height: int
    audio_codec: str


class RtmpServer:
    def __init__(
        self,
        host: str = "127.0.0.1",
        rtmp_port: int = 0,
        http_port: int = 0,
        *,
        door_port: int = 0,
        vendor: Path | None = None,
        certificate: str = "",
    ) -> None:
        """`door_port` and `vendor` are for the pod: the receiver's door, and where hls.js lies.

        With a `certificate`, key and certificate in PEM, RTMP is spoken over TLS too.
        """
        self._certificate = certificate
        self.tls_port = _free_port(host) if certificate else 0
        self.host = host
        self._door_port, self._vendor = door_port, vendor
        self.rtmp_port = rtmp_port or _free_port(host)
        self.http_port = http_port or _free_port(host)
        self._folder: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start nginx and wait until its pages answer."""
        self._folder = Path(tempfile.mkdtemp(prefix="vms-rtmp-"))
        self._folder.chmod(0o755)  # nginx's worker may run as another user than its master
        configuration = nginx_configuration(
            self._folder,
            self.host,
            self.rtmp_port,
            self.http_port,
            door_port=self._door_port,
            vendor=self._vendor,
            tls_port=self.tls_port,
        )
        if self._certificate:
            (self._folder / "server.pem").write_text(self._certificate)
        (self._folder / "nginx.conf").write_text(configuration)
        self._process = subprocess.Popen(
            [*_DIES_WITH_US, NGINX, "-p", str(self._folder), "-c", "nginx.conf", "-e", "stderr"],
            start_new_session=True,  # Ctrl-C is for the test, which then stops it
        )
        deadline = time.monotonic() + _START_WITHIN_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError("nginx did not start; its error is on stderr above")
            time.sleep(0.05)

    @property
    def runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            try:
                process.wait(_STOP_WITHIN_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def url(self, stream: str) -> str:
        return f"rtmp://{self.host}:{self.rtmp_port}/live/{stream}"

    def tls_url(self, stream: str) -> str:
        return f"rtmps://{self.host}:{self.tls_port}/live/{stream}"

    def streams(self) -> dict[str, RtmpStream]:
        """Every stream that nginx knows now; it forgets one when its last client leaves."""
        root = ET.fromstring(self._page("/stat"))
        return {
            stream.findtext("name", ""): _stream(stream)
            for stream in root.iterfind("./server/application/live/stream")
        }

    def hls_playlist(self, stream: str) -> str:
        """The HLS playlist of a stream; empty while there is none."""
        try:
            return self._page(f"/hls/{stream}.m3u8").decode()
        except OSError:
            return ""

    def _answers(self) -> bool:
        try:
            return bool(self._page("/stat"))
        except OSError:
            return False

    def _page(self, path: str) -> bytes:
        with _DIRECT.open(f"http://{self.host}:{self.http_port}{path}", timeout=5) as answer:
            return bytes(answer.read())


def _stream(element: ET.Element) -> RtmpStream:
    video = element.find("meta/video")
    audio = element.find("meta/audio")
    return RtmpStream(
        publishing=element.find("publishing") is not None,
        bytes=int(element.findtext("bytes_in", "0")),
        seconds=int(element.findtext("time", "0")) / 1000,
        video_codec=video.findtext("codec", "") if video is not None else "",
        width=int(video.findtext("width", "0")) if video is not None else 0,
        height=int(video.findtext("height", "0")) if video is not None else 0,
        audio_codec=audio.findtext("codec", "") if audio is not None else "",
    )


def _free_port(host: str) -> int:
    """nginx cannot be asked to choose: free now, and bound by nginx within the second."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
