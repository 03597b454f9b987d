# SPDX-License-Identifier: Apache-2.0
"""Web servers of cameras that break off, break in half, talk nonsense, or never answer."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from camera_simulator import CameraSettings, Simulator
from camfleet_api.conditions import ConditionType, Reason
from camfleet_worker.media.loop import MediaLoop
from camfleet_worker.onvif import OnvifResolver
from camfleet_worker.onvif.transport import Deadlines
from onvif_asking import refused, resolved, streams
from rtsp_ingest import PASSWORD


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
    assert error.fact == f"Port {silent.onvif_port} takes a connection and then does not answer"


@pytest.mark.quirk(26)
async def test_fifty_cameras_that_never_answer_hold_up_nobody(
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
