# SPDX-License-Identifier: Apache-2.0
"""Asking simulated cameras by ONVIF as the worker does, and playing what they then name."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from camera_simulator import Camera
from camfleet_api.camera import LearnedStatus, Scheme, VideoSource
from camfleet_api.policy import StreamRole
from camfleet_api.technical_profile import VideoLimits
from camfleet_worker.base.errors import IngestError
from camfleet_worker.login.credentials import Credentials
from camfleet_worker.media.loop import MediaLoop
from camfleet_worker.media_types.access_unit import Codec
from camfleet_worker.onvif import OnvifResolver
from camfleet_worker.resolve import Resolution, ResolveRequest
from rtsp_ingest import PASSWORD, RIGHT, Ingest


class Gate:
    """The gate before logins that allows what the supervisor's ledger allows, and notes it."""

    def __init__(self) -> None:
        self.attempts: list[str] = []
        self.taken: list[str] = []
        self.refusals: list[IngestError] = []

    async def before_attempt(self, scheme: str) -> None:
        if self.taken:
            return
        if scheme in self.attempts:
            raise self.refusals[-1]
        self.attempts.append(scheme)

    async def proven(self, scheme: str) -> None:
        self.taken.append(scheme)

    async def rejected(self, scheme: str, error: IngestError) -> None:
        self.refusals.append(error)


def request_for(camera: Camera, **changes: Any) -> ResolveRequest:
    declared: dict[str, Any] = {
        "host": camera.host,
        "onvif_port": camera.onvif_port,
        "rtsp_port": camera.rtsp_port,
        "scheme": Scheme.HTTP,
        "device_path": "/onvif/device_service",
        "source": VideoSource(channel=1),
        "limits": VideoLimits(),
        "role": StreamRole.MAIN,
    }
    return ResolveRequest(**(declared | changes))


async def resolved(camera: Camera, resolver: OnvifResolver, **changes: Any) -> Resolution:
    """What the camera gives to its right account, without one refused login."""
    resolution = await resolver.resolve(request_for(camera, **changes), RIGHT, attempts=Gate())
    assert camera.counters.refused() == 0
    return resolution


async def refused(
    camera: Camera,
    resolver: OnvifResolver,
    credentials: Credentials = RIGHT,
    gate: Gate | None = None,
    **changes: Any,
) -> IngestError:
    """Why the camera gives nothing."""
    with pytest.raises(IngestError) as caught:
        await resolver.resolve(request_for(camera, **changes), credentials, attempts=gate or Gate())
    assert len(caught.value.message) <= 512
    assert PASSWORD not in caught.value.message
    return caught.value


async def streams(camera: Camera, resolution: Resolution, media_loop: MediaLoop) -> Codec:
    """Fetch the stream that was named from the declared host and port; its codec."""
    ingest = Ingest(camera, media_loop, path=resolution.learned.stream_path)
    playing = await ingest.play()
    await ingest.received(3)
    await ingest.stop()
    return playing.codec


_watched: list[set[tuple[Any, ...]] | None] = []


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    if _watched and event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        address = arguments[1]
        if isinstance(address, tuple) and _watched[-1] is not None:
            _watched[-1].add(address[:2])


@contextmanager
def addresses_used() -> Iterator[set[tuple[Any, ...]]]:
    """Every address (host, port) that this process connects or sends to, by the interpreter's own
    account (PEP 578)."""
    global _hooked
    if not _hooked:
        sys.addaudithook(_note)
        _hooked = True
    seen: set[tuple[Any, ...]] = set()
    _watched.append(seen)
    try:
        yield seen
    finally:
        _watched.remove(seen)


_hooked = False


def but_for_the_clock(learned: LearnedStatus) -> LearnedStatus:
    """What was learnt, without the clock, which is asked each time: its seconds may begin between
    two answers."""
    return learned.model_copy(update={"clock_offset_seconds": None})
