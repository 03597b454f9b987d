# SPDX-License-Identifier: Apache-2.0
"""Our side of the GStreamer process: starts it, sends it cameras, and keeps their counters.

Called by the simulator. One process serves all GStreamer cameras of a simulator and is started with
the first. Each camera's port is held by us, so that it is the same after its power was off.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import socket
from pathlib import Path
from typing import Any

from camera_simulator.camera import Camera
from camera_simulator.counters import Attempt, Verdict
from camera_simulator.listener import bound_socket
from camera_simulator.rtsp.audio import audio_track
from camera_simulator.settings import CameraSettings

SYSTEM_PYTHON = "/usr/bin/python3"
_SUPPORT = Path(__file__).resolve().parent.parent.parent
_OBEYED_WITHIN_S = 30.0


class GStreamerFailed(RuntimeError):
    """The GStreamer process refused a camera or is gone; its own words are on stderr."""


class GStreamerHost:
    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[None]] = {}
        self._cameras: dict[str, Camera] = {}

    async def server_for(self, camera: Camera) -> GStreamerServer:
        if self._process is None:
            await self._start()
        self._cameras[camera.name] = camera
        return GStreamerServer(self, camera)

    async def send(self, command: dict[str, Any]) -> None:
        """One command, obeyed before this returns; GStreamerFailed otherwise."""
        process = self._process
        if process is None or process.stdin is None or not self.runs:
            raise GStreamerFailed("the GStreamer process does not run")
        ident = next(self._ids)
        done = self._waiting[ident] = asyncio.get_running_loop().create_future()
        process.stdin.write(json.dumps(command | {"id": ident}).encode() + b"\n")
        try:
            await asyncio.wait_for(done, _OBEYED_WITHIN_S)
        finally:
            del self._waiting[ident]

    @property
    def runs(self) -> bool:
        return self._process is not None and self._process.returncode is None

    def forget(self, name: str) -> None:
        self._cameras.pop(name, None)

    async def stop(self) -> None:
        """Close its stdin, which ends it, and wait until it is gone."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), 10)
        except TimeoutError:
            process.kill()
            await process.wait()
        if self._reading is not None:
            await self._reading

    async def _start(self) -> None:
        unwanted = {"PYTHONHOME", "VIRTUAL_ENV"}
        environment = {name: value for name, value in os.environ.items() if name not in unwanted}
        self._process = await asyncio.create_subprocess_exec(
            SYSTEM_PYTHON,
            "-m",
            "camera_simulator.gstreamer",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for the simulator, which then closes our stdin
            env=environment | {"PYTHONPATH": str(_SUPPORT), "PYTHONDONTWRITEBYTECODE": "1"},
        )
        self._reading = asyncio.create_task(self._read(self._process), name="GStreamer's events")

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            event = json.loads(line)
            if "done" in event:
                self._done(event)
            elif event["camera"] in self._cameras:
                _count(self._cameras[event["camera"]], event)
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(GStreamerFailed("the GStreamer process ended"))

    def _done(self, event: dict[str, Any]) -> None:
        waiting = self._waiting.get(event["done"])
        if waiting is None or waiting.done():
            return
        if event["error"] is None:
            waiting.set_result(None)
        else:
            waiting.set_exception(GStreamerFailed(event["error"]))


class GStreamerServer:
    """The RTSP port of a camera that GStreamer plays."""

    def __init__(self, host: GStreamerHost, camera: Camera) -> None:
        self._host, self._camera = host, camera
        self._holder: socket.socket = bound_socket(camera.settings.host, camera.settings.rtsp_port)
        self.port: int = self._holder.getsockname()[1]

    async def apply(self, settings: CameraSettings) -> None:
        await self._host.send(
            {
                "do": "set",
                "name": settings.name,
                "host": settings.host,
                "port": self.port,
                "streams": {name: str(clip.folder) for name, clip in self._camera.clips.items()},
                "audio": _audio(settings),
                "start_frame": settings.start_frame,
                "username": settings.username,
                "password": settings.password,
                "schemes": list(settings.rtsp_schemes),
                "freeze": settings.freeze,
                "power": settings.power,
            }
        )

    async def release(self) -> None:
        try:
            await self._host.send({"do": "remove", "name": self._camera.name})
        except GStreamerFailed:
            if self._host.runs:  # else the camera went with its process, which is what was wanted
                raise
        finally:
            self._host.forget(self._camera.name)
            self._holder.close()


def _audio(settings: CameraSettings) -> dict[str, Any] | None:
    """The tone for GStreamer to pack: it has no PyAV there."""
    if settings.audio == "none":
        return None
    track = audio_track(settings.audio)
    return {
        "codec": settings.audio,
        "config": track.config.hex(),
        "in_fragments": settings.audio_packing == "fragmented",
        "clock_hz": track.clock_hz,
        "unit_ticks": track.unit_ticks,
        "units": [unit.hex() for unit in track.units],
    }


def _count(camera: Camera, event: dict[str, Any]) -> None:
    counters = camera.counters
    what = event["event"]
    if what == "connected":
        counters.rtsp_connects += 1
        counters.rtsp_connects_open += 1
    elif what == "closed":
        counters.rtsp_connects_open -= 1
        counters.sessions_lost += event["playing"]
        counters.sessions_open -= event["playing"]
    elif what == "playing":
        counters.sessions += 1
        counters.sessions_open += 1
    elif what == "teardown":
        counters.teardowns += 1
        counters.sessions_open -= 1
    elif what == "sent":
        counters.frames_sent, counters.bytes_sent = event["frames"], event["bytes"]
    elif what == "attempt":
        verdict = _verdict(camera, event)
        counters.attempts[Attempt("rtsp", event["scheme"], event["account"], verdict)] += 1


def _verdict(camera: Camera, event: dict[str, Any]) -> Verdict:
    if event["opened"]:
        return Verdict.ACCEPTED
    known = event["account"] == camera.effective.username
    return Verdict.WRONG_PASSWORD if known else Verdict.UNKNOWN_ACCOUNT
