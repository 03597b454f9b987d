# SPDX-License-Identifier: Apache-2.0
"""The RTSP RECORD server as a test holds it: a process, its ports, its counts and its faults.

    with RecordServer(username="push", password="…") as vms:
        relay_to(vms.url("live/cam01"))
        eventually(lambda: vms.streams()["/live/cam01"].frames > 25)

Calls are plain and short (a request on loopback), so async tests may make them too.
"""

from __future__ import annotations

import json
import os
import subprocess
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

SYSTEM_PYTHON = "/usr/bin/python3"
"""The only Python with GStreamer's bindings (Debian's python3-gi); a pyenv or venv has none."""

_SUPPORT = Path(__file__).resolve().parent.parent
_STOP_WITHIN_S = 10.0


@dataclass(frozen=True)
class StreamCounts:
    """What one path has received so far."""

    codec: str
    frames: int
    key_frames: int
    bytes: int
    publishers: int
    connected: bool
    last_frame_age_s: float | None
    pts_gaps: int
    pts_backwards: int


@dataclass(frozen=True)
class ReceivedFrame:
    number: int
    publisher: int
    key: bool
    pts_s: float
    size: int
    arrived_s: float
    sha256: str
    label: str = ""
    """As camera_simulator.rtsp.labels writes them; empty where the camera labels nothing."""


@dataclass(frozen=True)
class ReceivedAudio:
    publisher: int
    pts_s: float
    sha256: str


class RecordServer:
    def __init__(
        self,
        host: str = "127.0.0.1",
        rtsp_port: int = 0,
        http_port: int = 0,
        door_host: str = "",
        username: str = "",
        password: str = "",
        schemes: tuple[str, ...] = ("digest",),
        certificate: str = "",
        kept: int = 100_000,
    ) -> None:
        """`certificate`: key and certificate in PEM; the server then speaks TLS only.
        `kept`: how many frames and audio units of a path can still be asked for."""
        self._certificate = certificate
        self._kept = kept
        self.host = host
        self.door_host = door_host or host
        self.rtsp_port, self.http_port = rtsp_port, http_port
        self._login = {"username": username, "password": password, "schemes": schemes}
        self._process: subprocess.Popen[str] | None = None

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
        """Start the process and wait for its ports; a restart comes back on the same ones."""
        config = {
            "host": self.host,
            "rtsp_port": self.rtsp_port,
            "door_host": self.door_host,
            "http_port": self.http_port,
            "certificate": self._certificate,
            "kept": self._kept,
        }
        config |= self._login
        self._process = subprocess.Popen(
            [SYSTEM_PYTHON, "-m", "vms.receiver"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C is for the test, which then stops it
            env=_environment(),
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(config) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            self.stop()
            raise RuntimeError("the RTSP receiver did not start; its error is on stderr above")
        ports = json.loads(line)
        self.rtsp_port, self.http_port = ports["rtsp_port"], ports["http_port"]

    @property
    def runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """End the process and wait until it is gone; counts are gone with it."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(_STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()

    def url(self, path: str) -> str:
        """Where to push that path; without credentials."""
        scheme = "rtsps" if self._certificate else "rtsp"
        return f"{scheme}://{self.host}:{self.rtsp_port}/{path.lstrip('/')}"

    def streams(self) -> dict[str, StreamCounts]:
        """Every path that was ever announced, keyed with its leading slash."""
        return {path: StreamCounts(**counts) for path, counts in self._get("/streams").items()}

    def frames(self, path: str, after: int = 0) -> list[ReceivedFrame]:
        """The frames of a path numbered above `after`, oldest first; none while nobody announced
        it."""
        rows = self._get(f"/frames/{quote(path.lstrip('/'))}?after={after}", missing=[])
        return [ReceivedFrame(**row) for row in rows]

    def audio_units(self, path: str) -> list[ReceivedAudio]:
        """The audio units of a path, oldest first; none while nobody announced it."""
        rows = self._get(f"/audio/{quote(path.lstrip('/'))}", missing=[])
        return [ReceivedAudio(**row) for row in rows]

    def snapshot(self, path: str) -> bytes | None:
        """The last key frame as a JPEG."""
        try:
            with self._open(f"/snapshot/{quote(path.lstrip('/'))}.jpg") as answer:
                return bytes(answer.read())
        except urllib.error.HTTPError as error:
            error.close()
            return None

    def refuse(self, on: bool) -> None:
        """Close the RTSP listener and drop every publisher, or listen again on the same port."""
        self._post("/refuse", {"on": on})

    def renew(self, certificate: str) -> None:
        """Show another certificate after the next start."""
        self._certificate = certificate

    def set_login(
        self, username: str, password: str, schemes: tuple[str, ...] = ("digest",)
    ) -> None:
        """Ask new publishers for other credentials."""
        self._login = {"username": username, "password": password, "schemes": schemes}
        self._post("/login", self._login)

    def _get(self, path: str, missing: Any = None) -> Any:
        try:
            with self._open(path) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == 404 and missing is not None:
                return missing
            raise

    def _post(self, path: str, body: Any) -> None:
        with self._open(path, json.dumps(body).encode()):
            pass

    def _open(self, path: str, body: bytes | None = None) -> Any:
        request = urllib.request.Request(
            f"http://{self.door_host}:{self.http_port}{path}", data=body
        )
        return _DIRECT.open(request, timeout=15)


_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Never through a proxy: the environment's is for the Internet, the door is on loopback."""


def _environment() -> dict[str, str]:
    """Ours, with this folder importable and without the virtual environment's variables."""
    unwanted = {"PYTHONHOME", "VIRTUAL_ENV"}
    kept = {name: value for name, value in os.environ.items() if name not in unwanted}
    return kept | {"PYTHONPATH": str(_SUPPORT), "PYTHONDONTWRITEBYTECODE": "1"}
