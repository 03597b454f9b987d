# SPDX-License-Identifier: Apache-2.0
"""The simulator for tests that have no event loop: the same cameras in a thread of their own.

with SimulatorThread() as simulator:
    camera = simulator.add(CameraSettings("gate", password="…"))
    camera.power(False)
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar

from camera_simulator.camera import Camera
from camera_simulator.counters import Counters
from camera_simulator.rtsp.player import TICK_S
from camera_simulator.settings import CameraSettings
from camera_simulator.simulator import ClipSource, Simulator, clips_of_this_machine

T = TypeVar("T")
_CALL_WITHIN_S = 120.0  # the first call may encode footage


class SimulatorThread:
    def __init__(
        self, clip_source: ClipSource = clips_of_this_machine, tick_s: float = TICK_S
    ) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="camera simulator")
        self._clip_source, self._tick_s = clip_source, tick_s
        self._simulator: Simulator | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        self._simulator = self._run(self._started())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._simulator is not None:
            self._run(self._simulator.__aexit__(kind, error, trace))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def add(self, settings: CameraSettings) -> CameraHandle:
        assert self._simulator is not None, "use it in a with statement"
        return CameraHandle(self._run(self._simulator.add(settings)), self._run)

    def remove(self, name: str) -> None:
        assert self._simulator is not None, "use it in a with statement"
        self._run(self._simulator.remove(name))

    async def _started(self) -> Simulator:
        return await Simulator(self._clip_source, self._tick_s).__aenter__()

    def _run(self, call: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(call, self._loop).result(_CALL_WITHIN_S)


class CameraHandle:
    """A camera of a SimulatorThread: same names as Camera, plain calls."""

    def __init__(self, camera: Camera, run: Callable[[Coroutine[Any, Any, None]], None]) -> None:
        self._camera = camera
        self._run = run
        self.name = camera.name
        self.host = camera.host
        self.onvif_port = camera.onvif_port
        self.rtsp_port = camera.rtsp_port
        self.clips = camera.clips

    @property
    def counters(self) -> Counters:
        """Live; counts may move between two reads."""
        return self._camera.counters

    @property
    def settings(self) -> CameraSettings:
        return self._camera.settings

    def stream_path(self, stream: str = "main") -> str:
        return self._camera.stream_path(stream)

    def stream_url(self, stream: str = "main") -> str:
        return self._camera.stream_url(stream)

    def change(self, **changes: Any) -> None:
        self._run(self._camera.change(**changes))

    def power(self, on: bool) -> None:
        self._run(self._camera.power(on))

    def break_with(self, *faults: str) -> None:
        self._run(self._camera.break_with(*faults))
