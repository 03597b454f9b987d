# SPDX-License-Identifier: Apache-2.0
"""Plays cases before a worker, some of them at once, until their conditions stand still."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from camera_simulator.camera import Camera
from camera_simulator.condition_messages.case import Case, Vms
from camera_simulator.condition_messages.rows import Line, Row, lines_of
from camera_simulator.condition_messages.vms_cases import SECRET, relay_to
from camera_simulator.settings import CameraSettings
from camera_simulator.simulator import Simulator
from camfleet_api.ingest_shard import Policy, Relay, ShardCamera
from camfleet_api.policy import CredentialsRef, StreamRole
from camfleet_api.technical_profile import RecordingPolicy, VideoLimits
from camfleet_worker.camera.timings import CameraTimings
from hostile_peer import Answer, HostilePeer
from vms import RecordServer
from worker_parts import PASSWORD, CameraObjects, SecretObjects, WorkerParts, entry

_SETTLES_AFTER_S = 12.0
"""A change of a condition is written after ten seconds at most (the reporter's debounce)."""
_WITHIN_S = 45.0
_AWAITED_WITHIN_S = 100.0
_TIMINGS = CameraTimings(outage_s=1.0, recheck_least_s=0.5, recheck_most_s=1.0)
"""Soon after an outage ONVIF is asked who is there; in production after minutes."""


@dataclass
class _Played:
    """A case under way, its cameras and how the worker knows them."""

    case: Case
    cameras: list[Camera]
    entries: list[ShardCamera]
    policy: Policy


async def play(
    cases: Sequence[Case], at_once: int, progress: Callable[[str], None]
) -> AsyncIterator[Row]:
    """The row of each case, in their order."""
    started = time.monotonic()
    with RecordServer() as vms:
        for begin in range(0, len(cases), at_once):
            group = cases[begin : begin + at_once]
            span = f"{begin + 1}-{begin + len(group)} of {len(cases)}"
            progress(f"{time.monotonic() - started:4.0f} s  {span}: {group[0].name} …")
            for row in await _play_together(group, relay_to(vms.url("live/{camera}"))):
                yield row


async def _play_together(cases: Sequence[Case], healthy: Relay) -> list[Row]:
    objects, secrets = CameraObjects(), SecretObjects()
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="messages-")))
        simulator = await stack.enter_async_context(Simulator())
        played = [
            await _install(number, case, healthy, stack, simulator, objects, secrets)
            for number, case in enumerate(cases)
        ]
        worker = WorkerParts(folder, objects, secrets, _TIMINGS)
        await stack.enter_async_context(worker)
        entries = [one for case in played for one in case.entries]
        await worker.run_all([case.policy for case in played], entries)
        return list(await asyncio.gather(*(_row(case, objects) for case in played)))


async def _install(
    number: int,
    case: Case,
    healthy: Relay,
    stack: AsyncExitStack,
    simulator: Simulator,
    objects: CameraObjects,
    secrets: SecretObjects,
) -> _Played:
    """Everything that a case needs but the worker."""
    vms = Vms(healthy)
    if case.vms is not None:
        vms = await stack.enter_async_context(case.vms())
    relay = vms.relay
    if vms.secret:
        relay = relay.model_copy(
            update={"credentials": CredentialsRef(secret_name=f"{SECRET}-{number}")}
        )
        secrets.put(f"{SECRET}-{number}", **vms.secret)
    ports: dict[str, Any] = {"credentials": CredentialsRef(secret_name=f"camera-{number}")}
    ports |= case.entry
    for field, answer in (("onvif_port", case.onvif), ("rtsp_port", case.rtsp)):
        if answer is not None:
            ports[field] = await _port_of(answer, stack)
    cameras, entries = [], []
    for copy in range(case.cameras):
        settings = {"password": PASSWORD, "resolution": "240p"} | dict(case.settings)
        camera = await simulator.add(CameraSettings(f"camera-{number}-{copy}", **settings))
        cameras.append(camera)
        entries.append(entry(objects, camera, policy=number, **ports))
    right = cameras[0].effective.password or ""
    secrets.put(f"camera-{number}", username="ingest", password=case.password or right)
    return _Played(case, cameras, entries, _policy(case, relay))


async def _port_of(answer: Answer, stack: AsyncExitStack) -> int:
    return (await stack.enter_async_context(HostilePeer(answer))).port


def _policy(case: Case, relay: Relay) -> Policy:
    return Policy(
        video=VideoLimits(**case.video),
        stream=StreamRole.MAIN,
        audio=True,
        udp_fallback=case.udp,
        recording=RecordingPolicy(enabled=True, segment_seconds=2),
        relays=[relay],
        site_connects_per_second=100,
    )


async def _row(played: _Played, objects: CameraObjects) -> Row:
    names = [one.name for one in played.entries]

    def lines() -> tuple[Line, ...]:
        """Of the first camera that is not as it should be."""
        said = [lines_of(objects.objects[name]["status"]) for name in names]
        return next((one for one in said if one), ())

    def known() -> bool:
        return all(objects.ready(name)[0] in ("True", "False") for name in names)

    case = played.case

    def awaited() -> bool:
        return case.awaited is None or any(x.condition == case.awaited for x in lines())

    if case.later:
        await _until(lambda: all(objects.ready(n)[0] == "True" for n in names), _WITHIN_S)
        await _change_later(played)
    await _until(known, _WITHIN_S)
    deadline = time.monotonic() + _AWAITED_WITHIN_S
    while True:
        await _until(awaited, deadline - time.monotonic())
        settled = await _settled(lambda: (lines(), known()))
        if awaited() or time.monotonic() > deadline:
            break  # what was awaited may have come and gone once before it stays
    return Row(case.name, case.sentence, lines(), settled and known())


async def _change_later(played: _Played) -> None:
    """Off, changed, and on again after longer than an outage."""
    for camera in played.cameras:
        await camera.power(False)
    await asyncio.sleep(2 * _TIMINGS.outage_s)
    for camera in played.cameras:
        await camera.change(power=True, **played.case.later)


async def _settled(seen: Callable[[], object]) -> bool:
    """Wait until this has stood still for a while; False where it never does."""
    last, since = seen(), time.monotonic()
    begun = since
    while (now := time.monotonic()) - since < _SETTLES_AFTER_S:
        if now - begun > _WITHIN_S:
            return False
        await asyncio.sleep(0.2)
        if (current := seen()) != last:
            last, since = current, time.monotonic()
    return True


async def _until(true: Callable[[], bool], within_s: float) -> bool:
    deadline = time.monotonic() + within_s
    while not true():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.1)
    return True
