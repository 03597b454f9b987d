# SPDX-License-Identifier: Apache-2.0
"""The control door: the switches of every camera over HTTP, for the demo and for tests against
pods.

GET   /                      the faults that exist GET   /cameras               {name: settings and
counters} GET   /cameras/cam01         settings and counters of one PATCH /cameras/cam01
{"power": false}, {"clock_offset_s": -3600}, {"faults": ["frozen"]} …

It asks for no login: whoever reaches it owns the simulator. Passwords go in and never come out.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
from typing import Any

from camera_simulator.camera import Camera
from camera_simulator.faults import FAULTS
from camera_simulator.gstreamer.host import GStreamerFailed
from camera_simulator.http_server import HttpConnection, Request, Response, json_response
from camera_simulator.listener import Listener
from camera_simulator.settings import CameraSettings, SettingsInvalid
from camera_simulator.simulator import Simulator

_FOLDER = "/cameras/"


class ControlDoor:
    def __init__(self, simulator: Simulator, host: str, port: int) -> None:
        self._simulator = simulator
        self._listener = Listener(
            host, port, lambda listener: HttpConnection(listener, self._answer)
        )

    @property
    def port(self) -> int:
        return self._listener.port

    async def open(self) -> None:
        await self._listener.open()

    def close(self) -> None:
        self._listener.release()

    def _answer(self, request: Request) -> Response | asyncio.Task[Response]:
        if request.path == "/" and request.method == "GET":
            return json_response({fault.name: fault.sentence for fault in FAULTS.values()})
        if request.path == "/cameras" and request.method == "GET":
            cameras = self._simulator.cameras
            return json_response({name: _told(camera) for name, camera in cameras.items()})
        camera = self._simulator.cameras.get(request.path.removeprefix(_FOLDER))
        if not request.path.startswith(_FOLDER) or camera is None:
            return json_response({"error": "no such camera"}, 404)
        if request.method == "GET":
            return json_response(_told(camera))
        if request.method == "PATCH":
            return asyncio.create_task(_patched(camera, request.body))
        return json_response({"error": "GET or PATCH"}, 405)


async def _patched(camera: Camera, body: bytes) -> Response:
    try:
        changes = json.loads(body)
        if not isinstance(changes, dict):
            raise SettingsInvalid("a JSON object of settings is wanted")
        await camera.change(**changes)
    except (SettingsInvalid, json.JSONDecodeError) as error:
        return json_response({"error": str(error)}, 400)
    except (GStreamerFailed, OSError) as error:
        return json_response({"error": str(error)}, 500)
    return json_response(_told(camera))


def _told(camera: Camera) -> dict[str, Any]:
    return {
        "onvif_port": camera.onvif_port,
        "rtsp_port": camera.rtsp_port,
        "settings": _without_password(camera.settings),
        "effective": _without_password(camera.effective),
        "counters": camera.counters.as_json(),
    }


def _without_password(settings: CameraSettings) -> dict[str, Any]:
    told = dataclasses.asdict(settings)
    told["password"] = None if settings.password is None else "(set)"
    return told
