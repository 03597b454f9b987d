# SPDX-License-Identifier: Apache-2.0
"""Web servers of cameras that break off, break in half, talk nonsense, never answer, or break down
when they are asked too much."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Iterator

import pytest

from camera_simulator import CameraSettings, Simulator
from camera_simulator.settings import AuthScheme
from camfleet_api.camera import VideoSource
from camfleet_api.conditions import ConditionType, Reason
from camfleet_worker.media.loop import MediaLoop
from camfleet_worker.onvif import OnvifResolver
from camfleet_worker.onvif.device_lock import CallBudget
from camfleet_worker.onvif.transport import Deadlines
from onvif_asking import Gate, refused, request_for, resolved, streams
from rtsp_ingest import PASSWORD, RIGHT


@pytest.fixture
def resolver() -> Iterator[OnvifResolver]:
    built = OnvifResolver(deadlines=Deadlines(connect_s=2, call_s=3))
    yield built
    built.close()


def camera(name: str, *faults: str) -> CameraSettings:
    return CameraSettings(name, password=PASSWORD, resolution="240p", faults=faults)


@pytest.mark.quirk(25)
@pytest.mark.parametrize(
    "fault",
    [
        "web-closes-after-answers",
        "web-halves-answers",
        "web-empty-answers",
        "web-garbage-answers",
        "web-cuts-chunks",
    ],
)
async def test_an_answer_that_is_lost_is_asked_for_once_more(
    simulator: Simulator, resolver: OnvifResolver, media_loop: MediaLoop, fault: str
) -> None:
    broken = await simulator.add(camera("gate", fault))
    resolution = await resolved(broken, resolver)
    await streams(broken, resolution, media_loop)


@pytest.mark.quirk(26)
async def test_a_camera_that_never_answers_is_a_timeout_by_name(
    simulator: Simulator, resolver: OnvifResolver
) -> None:
    silent = await simulator.add(camera("gate", "web-silent"))
    error = await refused(silent, resolver)
    assert (error.condition, error.reason) == (ConditionType.REACHABLE, Reason.TIMEOUT)
    assert error.detail == f"Port {silent.onvif_port} takes a connection and then does not answer"


@pytest.mark.quirk(26)
async def test_fifty_cameras_that_never_answer_delay_no_other_camera(
    simulator: Simulator, media_loop: MediaLoop
) -> None:
    patient = OnvifResolver(deadlines=Deadlines(connect_s=60, call_s=60))
    hanging = [await simulator.add(camera(f"silent{n}", "web-silent")) for n in range(50)]
    good = await simulator.add(camera("good"))
    waiting = [asyncio.create_task(resolved(one, patient)) for one in hanging]
    resolution = await resolved(good, patient)
    assert not any(task.done() for task in waiting)
    await streams(good, resolution, media_loop)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    patient.close()


@pytest.mark.quirk(27)
@pytest.mark.parametrize("schemes", [("digest",), ("wsse",)], ids=["digest", "wsse"])
async def test_sixteen_channels_at_once_overload_no_recorder(
    simulator: Simulator, resolver: OnvifResolver, schemes: tuple[AuthScheme, ...]
) -> None:
    fragile = await simulator.add(
        dataclasses.replace(
            camera("recorder", "recorder-16-channels", "web-crashes-of-requests"),
            onvif_schemes=schemes,
        )
    )
    gate = Gate()
    asked = [
        resolver.resolve(
            request_for(fragile, source=VideoSource(channel=channel)), RIGHT, attempts=gate
        )
        for channel in range(1, 17)
    ]
    found = [resolution.learned.stream_path for resolution in await asyncio.gather(*asked)]
    assert found == [fragile.stream_path("main", channel) for channel in range(1, 17)]
    seen = fragile.counters
    assert seen.onvif_connects_at_once == 1
    assert seen.onvif_requests["GetProfiles"] <= 2, "once, and once more to be challenged"
    assert seen.onvif_connects <= CallBudget().burst
    assert seen.restarts == 0
