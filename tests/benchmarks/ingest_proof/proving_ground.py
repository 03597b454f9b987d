# SPDX-License-Identifier: Apache-2.0
"""What every proof stands on: labelled cameras, the worker's parts, and lines of progress."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from camera_simulator import Camera, CameraSettings, Simulator
from camfleet_api.ingest_shard import Policy, Relay
from camfleet_api.monitoring_system import RelayProtocol
from camfleet_api.policy import StreamRole, VideoCodec
from camfleet_api.technical_profile import RecordingPolicy, VideoLimits
from camfleet_worker.media_types.sink import Sink
from camfleet_worker.record.housekeeping import VolumeSettings
from camfleet_worker.record.recording import RecordingSink
from camfleet_worker.relay.rtsp.relay import RtspRelay
from eventually import eventually_async
from vms import RecordServer
from worker_parts import (
    PASSWORD,
    CameraObjects,
    CameraPlace,
    SecretObjects,
    WorkerParts,
    entry,
)

READY_WITHIN_S = 90.0


def say(text: str) -> None:
    """A line of progress, apart from the result."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


async def labelled_camera(simulator: Simulator, name: str, **settings: object) -> Camera:
    """A camera that labels its pictures; the worker knows its password."""
    fields: dict[str, object] = {"password": PASSWORD, "labels_pictures": True}
    return await simulator.add(CameraSettings(name, **(fields | settings)))  # type: ignore[arg-type]


class ProvenWorker(WorkerParts):
    """A worker whose cameras are recorded, and relayed where a monitoring system is named."""

    def __init__(self, folder: Path, volume: VolumeSettings | None = None) -> None:
        objects, secrets = CameraObjects(), SecretObjects()
        secrets.put("cameras", username="ingest", password=PASSWORD)
        super().__init__(folder, objects, secrets, volume=volume)

    async def take(self, *held: tuple[Policy, Sequence[CameraPlace]]) -> None:
        """Run these cameras, each held to the policy before it, and wait until all are Ready."""
        entries = [
            entry(self.objects, camera, policy=number)
            for number, (_, cameras) in enumerate(held)
            for camera in cameras
        ]
        await self.run_all([policy for policy, _ in held], entries)
        await eventually_async(
            lambda: all(self.objects.ready(one.name)[0] == "True" for one in entries),
            within_s=READY_WITHIN_S,
        )

    def said(self, camera: str, kind: str) -> set[str]:
        """Every reason for which a condition of a camera was ever False."""
        return {
            condition["reason"]
            for name, status in self.objects.writes
            if name == camera
            for condition in status.get("conditions", ())
            if condition["type"] == kind and condition["status"] == "False"
        }

    def recording(self, camera: str) -> RecordingSink:
        """The recording of a camera."""
        return next(sink for sink in self._sinks(camera) if isinstance(sink, RecordingSink))

    def relay(self, camera: str) -> RtspRelay:
        """The relay of a camera."""
        return next(sink for sink in self._sinks(camera) if isinstance(sink, RtspRelay))

    def _sinks(self, camera: str) -> tuple[Sink, ...]:
        return next(
            supervisor.sinks.sinks
            for supervisor in self.fleet.supervisors
            if supervisor.assignment.camera.name == camera
        )


def policy(relay_to: str, segment_s: int = 10) -> Policy:
    """Record and relay, with audio. `relay_to` is a URL template; empty for no relay."""
    relays = [
        Relay(
            name="national",
            protocol=RelayProtocol.RTSP,
            url_template=relay_to,
            codecs=[VideoCodec.H264, VideoCodec.H265],
        )
    ]
    return Policy(
        video=VideoLimits(),
        stream=StreamRole.MAIN,
        audio=True,
        recording=RecordingPolicy(enabled=True, segment_seconds=segment_s),
        relays=relays if relay_to else [],
        site_connects_per_second=100,
    )


def template(host: str, port: int) -> str:
    """Where each camera is relayed to."""
    return f"rtsp://{host}:{port}/live/{{camera}}"


def path_of(camera: str) -> str:
    """Its path at the monitoring system."""
    return f"/live/{camera}"


async def hush(vms: RecordServer, *cameras: Camera) -> None:
    """Have cameras send no more, and wait until nothing more arrives."""
    for camera in cameras:
        await camera.change(freeze=True)
    seen = -1

    def settled() -> bool:
        nonlocal seen
        before, seen = seen, sum(vms.streams()[path_of(c.name)].frames for c in cameras)
        return seen == before

    await eventually_async(settled, within_s=60, every_s=1.5)
