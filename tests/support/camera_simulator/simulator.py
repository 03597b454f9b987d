# SPDX-License-Identifier: Apache-2.0
"""The simulator: any number of cameras in one process and one event loop.

    async with Simulator() as simulator:
        camera = await simulator.add(CameraSettings("gate", password="…"))

Tests use it in process; `python -m camera_simulator` runs the same thing as a pod.
`SimulatorThread` (thread.py) is its face for tests without an event loop. Clips are loaded once and
shared by all cameras.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Self

from camera_simulator.camera import Camera, ReplayServer, RtspServer
from camera_simulator.clips import Clip
from camera_simulator.faults import with_faults
from camera_simulator.gstreamer.host import GStreamerHost
from camera_simulator.rtsp.packets import FramePackets, packetise
from camera_simulator.rtsp.player import TICK_S, Player
from camera_simulator.settings import CameraSettings, SettingsInvalid

ClipSource = Callable[[str], Clip]


def clips_of_this_machine(name: str) -> Clip:
    """The clip from the cache, encoded now if missing. Imported late: the image has no PyAV."""
    from camera_simulator.footage import prepared_clip

    return prepared_clip(name)


class Simulator:
    def __init__(
        self, clip_source: ClipSource = clips_of_this_machine, tick_s: float = TICK_S
    ) -> None:
        self.cameras: dict[str, Camera] = {}
        self._clip_source = clip_source
        self._clips: dict[str, Clip] = {}
        self._packets: dict[str, tuple[FramePackets, ...]] = {}
        self._player = Player(tick_s)
        self._gstreamer = GStreamerHost()
        self._playing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._playing = asyncio.create_task(self._player.run(), name="camera simulator player")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for name in list(self.cameras):
            await self.remove(name)
        await self._gstreamer.stop()
        assert self._playing is not None
        self._playing.cancel()
        await asyncio.gather(self._playing, return_exceptions=True)

    async def add(self, settings: CameraSettings) -> Camera:
        """Install a camera and switch it on (unless its settings say otherwise)."""
        if settings.name in self.cameras:
            raise SettingsInvalid(f"there is a camera {settings.name!r} already")
        effective = with_faults(settings)
        names = {"main": effective.main_clip, "sub": settings.sub_clip}
        other = effective.other_clip
        clips = {stream: await self._clip(name) for stream, name in names.items()}
        packets = {stream: self._packets[name] for stream, name in names.items()}
        camera = Camera(settings, clips, packets, await self._clip(other), self._packets[other])
        try:
            await camera.attach(await self._rtsp_server(camera))
        except BaseException:
            await camera.release()
            raise
        self.cameras[settings.name] = camera
        return camera

    async def remove(self, name: str) -> None:
        """Take a camera off the wall: its ports are given back."""
        await self.cameras.pop(name).release()

    async def _rtsp_server(self, camera: Camera) -> RtspServer:
        if camera.settings.server == "gstreamer":
            return await self._gstreamer.server_for(camera)
        return ReplayServer(camera, self._player)

    async def _clip(self, name: str) -> Clip:
        if name not in self._clips:
            clip = await asyncio.to_thread(self._clip_source, name)
            self._packets[name] = await asyncio.to_thread(packetise, clip)
            self._clips[name] = clip
        return self._clips[name]
