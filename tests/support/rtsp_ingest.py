# SPDX-License-Identifier: Apache-2.0
"""A camera's stream, opened and played as the worker does it, for tests of the RTSP client.

Everything that is received stays in `units`; the truth is the clip that the camera plays.
"""

from __future__ import annotations

import asyncio
import itertools
import struct
from dataclasses import replace

import pytest

from camera_simulator import Camera, CameraSettings
from camfleet_api.conditions import ConditionType
from camfleet_worker.base.errors import IngestError
from camfleet_worker.login.credentials import Credentials
from camfleet_worker.media.counters import StreamCounters
from camfleet_worker.media.loop import MediaLoop, StreamHandle
from camfleet_worker.media_types.access_unit import AccessUnit, VideoFormat
from camfleet_worker.media_types.audio_unit import AudioUnit
from camfleet_worker.media_types.delivery_log import DeliveryLog
from camfleet_worker.media_types.sink import Sink
from camfleet_worker.media_types.sink_state import SinkCounters, SinkPhase, SinkState
from camfleet_worker.rtsp.client import PlayingStream, StreamTarget, no_gate, open_stream
from camfleet_worker.rtsp.handshake import DEFAULT_TIMINGS, HandshakeTimings
from eventually import eventually_async

PASSWORD = 'mật khẩu: @#%^/?"\\'
RIGHT = Credentials("ingest", PASSWORD, "1")


def camera_settings(**changes: object) -> CameraSettings:
    """A small camera with a difficult password."""
    settings: dict[str, object] = {"name": "gate", "password": PASSWORD, "resolution": "240p"}
    return CameraSettings(**(settings | changes))  # type: ignore[arg-type]


class Ingest:
    """One camera, its stream, and a sink and a listener that keep everything."""

    name = "memory"
    condition = ConditionType.RECORDING

    def __init__(
        self,
        camera: Camera,
        media_loop: MediaLoop,
        credentials: Credentials | None = RIGHT,
        timings: HandshakeTimings = DEFAULT_TIMINGS,
        **target: object,
    ) -> None:
        self.camera = camera
        self.units: list[AccessUnit] = []
        self.audio: list[AudioUnit] = []
        self.errors: list[IngestError] = []
        self.attempts = 0
        self.sink_counters = SinkCounters()
        self._target = replace(
            StreamTarget(camera.host, camera.rtsp_port, camera.stream_path()),
            **target,  # type: ignore[arg-type]
        )
        self._credentials = credentials
        self._timings = timings
        self._loop = media_loop
        self._handle: StreamHandle | None = None
        self._feed = media_loop.open_feed(camera.name, [_Sink(self)])

    def add_sinks(self, *sinks: Sink) -> None:
        """Others that get the pictures too; call it before play()."""
        self._feed.replace_sinks([_Sink(self), *sinks])

    async def open(self, deadline_s: float = 5.0) -> PlayingStream:
        """The playing stream; the caller owns its socket."""

        async def count() -> None:
            self.attempts += 1
            await no_gate()

        return await open_stream(
            self._target,
            self._credentials,
            deadline_s=deadline_s,
            before_attempt=count,
            timings=self._timings,
        )

    async def play(self) -> PlayingStream:
        """Open and hand it to the media loop."""
        stream = await self.open()
        self._handle = self._feed.play(stream, self)
        return stream

    async def refused(self) -> IngestError:
        """Why it cannot be opened."""
        with pytest.raises(IngestError) as caught:
            await self.open()
        return caught.value

    async def received(self, count: int, within_s: float = 20.0) -> None:
        """Wait for so many more access units."""
        wanted = len(self.units) + count
        await eventually_async(lambda: len(self.units) >= wanted or self.errors, within_s=within_s)
        assert not self.errors, self.errors

    async def stop(self) -> None:
        """TEARDOWN, and wait for its end."""
        assert self._handle is not None
        await asyncio.wrap_future(self._handle.stop())

    @property
    def counters(self) -> StreamCounters:
        """Of the session."""
        assert self._handle is not None
        return self._handle.counters

    @property
    def arrivals(self) -> DeliveryLog:
        """What the loop has noted for the journal."""
        return self._feed.arrivals

    def first_key_frame(self, video_format: VideoFormat) -> None:
        """Listener."""

    def ended(self, error: IngestError) -> None:
        """Listener."""
        self.errors.append(error)


class _Sink:
    name = "memory"
    condition = ConditionType.RECORDING

    def __init__(self, ingest: Ingest) -> None:
        self._ingest = ingest
        self.counters = SinkCounters()
        self.state = SinkState(SinkPhase.WORKING)

    def push(self, unit: AccessUnit) -> None:
        self._ingest.units.append(unit)

    def push_audio(self, unit: AudioUnit) -> None:
        self._ingest.audio.append(unit)

    def tick(self, now: float) -> None:
        pass

    def close(self) -> None:
        pass


async def first_error(ingest: Ingest, within_s: float = 20.0) -> IngestError:
    """Why the session has ended."""
    await eventually_async(lambda: bool(ingest.errors), within_s=within_s)
    return ingest.errors[0]


def is_the_clip(units: list[AccessUnit], camera: Camera) -> bool:
    """Every picture of the clip in order and once, from some key frame on, round and round."""
    truth, places = _places(units, camera)
    return units[0].key and all(
        after == (before + 1) % len(truth) for before, after in itertools.pairwise(places)
    )


def is_the_clip_with_gaps(units: list[AccessUnit], camera: Camera) -> bool:
    """Whole pictures of the clip; what follows a gap is a key frame."""
    truth, places = _places(units, camera)
    return units[0].key and all(
        after == (before + 1) % len(truth) or unit.key
        for before, after, unit in zip(places, places[1:], units[1:], strict=False)
    )


def _places(units: list[AccessUnit], camera: Camera) -> tuple[list[tuple[bytes, ...]], list[int]]:
    clip = camera.clips["main"]
    truth = [
        tuple(unit for unit in frame.units if _is_picture(unit, clip.codec))
        for frame in clip.frames
    ]
    index = {picture: place for place, picture in enumerate(truth)}
    return truth, [index[_nal_units(unit.data)] for unit in units]


def _is_picture(unit: bytes, codec: str) -> bool:
    if codec == "h264":
        return unit[0] & 31 not in (7, 8, 9, 12)
    return unit[0] >> 1 & 63 not in (32, 33, 34, 35, 38)


def _nal_units(data: bytes) -> tuple[bytes, ...]:
    units, at = [], 0
    while at < len(data):
        (size,) = struct.unpack_from("!I", data, at)
        units.append(data[at + 4 : at + 4 + size])
        at += 4 + size
    return tuple(units)
