# SPDX-License-Identifier: Apache-2.0
"""A worker without its API server and its process: supervisors, ONVIF, RTSP, media loop, sinks and
reporter as the product puts them together, with Camera objects and Secrets in this process.

For wire tests that follow a camera from its declaration to its conditions; tests/cluster has the
real API server.
"""

from __future__ import annotations

import asyncio
import base64
import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol, Self

from camfleet_api.camera import Scheme, VideoSource
from camfleet_api.ingest_shard import IngestShardSpec, Policy, Relay, ShardCamera, secrets_of_shard
from camfleet_api.monitoring_system import RelayProtocol
from camfleet_api.names import CREDENTIALS_SECRET_TYPE
from camfleet_api.policy import CredentialsRef, StreamRole, VideoCodec
from camfleet_api.technical_profile import RecordingPolicy, VideoLimits
from camfleet_worker.base.backoff import Backoff
from camfleet_worker.camera.timings import CameraTimings
from camfleet_worker.ingest import Ingest
from camfleet_worker.login.accounts import Accounts
from camfleet_worker.record.housekeeping import VolumeSettings
from camfleet_worker.settings import Settings
from vms import RecordServer

PASSWORD = "p@ss#w0rd%/:"
NAMESPACE = "phu-yen"


class CameraObjects:
    """Camera objects by name: what the API server would store, and how often it was asked to."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, Any]] = {}
        self.writes: list[tuple[str, dict[str, Any]]] = []

    def create(self, name: str) -> str:
        return self.adopt(name, str(uuid.uuid4()))

    def adopt(self, name: str, uid: str) -> str:
        """An object that was created before this worker began."""
        self.objects[name] = {"metadata": {"name": name, "uid": uid}, "status": {}}
        return uid

    async def camera(self, name: str) -> dict[str, Any] | None:
        return self.objects.get(name)

    async def apply_camera_status(self, name: str, status: dict[str, Any]) -> dict[str, Any]:
        self.writes.append((name, status))
        self.objects[name]["status"] = status
        return self.objects[name]

    def condition(self, name: str, kind: str) -> tuple[str, str]:
        """Status and reason; empty where the condition is absent."""
        for condition in self.objects[name]["status"].get("conditions", ()):
            if condition["type"] == kind:
                return condition["status"], condition["reason"]
        return "", ""

    def ready(self, name: str) -> tuple[str, str]:
        return self.condition(name, "Ready")


class SecretObjects:
    """Secrets that can be changed while somebody follows them."""

    def __init__(self) -> None:
        self._objects: dict[str, dict[str, Any]] = {}
        self._changed: dict[str, asyncio.Event] = {}

    def put(self, name: str, kind: str = CREDENTIALS_SECRET_TYPE, **values: str) -> None:
        self._objects[name] = {
            "type": kind,
            "metadata": {"name": name, "uid": f"uid of {name}"},
            "data": {k: base64.b64encode(v.encode()).decode() for k, v in values.items()},
        }
        self._event(name).set()

    async def follow(self, name: str) -> AsyncIterator[dict[str, Any] | None]:
        while True:
            self._event(name).clear()
            yield self._objects.get(name)
            await self._event(name).wait()

    def _event(self, name: str) -> asyncio.Event:
        return self._changed.setdefault(name, asyncio.Event())


class WorkerParts:
    """The worker without its API server and its process."""

    def __init__(
        self,
        folder: Path,
        objects: CameraObjects,
        secrets: SecretObjects,
        timings: CameraTimings | None = None,
        volume: VolumeSettings | None = None,
    ) -> None:
        """`volume`: what is recorded to, if it is not a folder below `folder`."""
        self.folder = folder
        self.objects = objects
        self.secrets = secrets
        settings = Settings.of(
            {
                "CAMFLEET_SHARD": "shard",
                "CAMFLEET_NAMESPACE": NAMESPACE,
                "CAMFLEET_STATE": str(folder / "state"),
                "CAMFLEET_TICK_MS": "50",
                "CAMFLEET_STATUS_WRITES_PER_S": "100",
            }
        )
        accounts = Accounts(secrets.follow)
        timings = replace(timings or CameraTimings(), backoff=partial(Backoff, 0.2, 0.5))
        volume = volume or VolumeSettings(folder / "recordings")
        self.ingest = Ingest(settings, objects, accounts, volume, timings)
        self.accounts = accounts
        self.fleet = self.ingest.fleet
        self.reporter = self.ingest.reporter
        self.volume = self.ingest.volume
        self.journals = self.ingest.journals
        self.pictures = self.ingest.pictures
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self.ingest.start()
        self._tasks = [asyncio.create_task(part) for part in self.ingest.parts().values()]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.ingest.stop()

    async def run(self, policy: Policy, *cameras: ShardCamera) -> None:
        await self.run_all([policy], cameras)

    async def run_all(self, policies: Sequence[Policy], cameras: Sequence[ShardCamera]) -> None:
        spec = IngestShardSpec(hash="h", policies=list(policies), cameras=list(cameras))
        self.accounts.want(secrets_of_shard(spec))
        await self.fleet.apply(spec)

    def recorded_bytes(self) -> int:
        return sum(f.stat().st_size for f in (self.folder / "recordings").rglob("*.mp4"))


def policy_to(vms: RecordServer | None, recording: bool = True, **relay: Any) -> Policy:
    relays = []
    if vms is not None:
        template = f"rtsp://127.0.0.1:{vms.rtsp_port}/live/{{camera}}"
        relays.append(
            Relay(
                name="national",
                protocol=RelayProtocol.RTSP,
                url_template=template,
                codecs=[VideoCodec.H264],
                **relay,
            )
        )
    return Policy(
        video=VideoLimits(),
        stream=StreamRole.MAIN,
        recording=RecordingPolicy(enabled=recording, segment_seconds=2),
        relays=relays,
    )


class CameraPlace(Protocol):
    """A camera as a shard names it."""

    @property
    def name(self) -> str: ...
    @property
    def host(self) -> str: ...
    @property
    def onvif_port(self) -> int: ...
    @property
    def rtsp_port(self) -> int: ...


def entry(objects: CameraObjects, camera: CameraPlace, **changes: Any) -> ShardCamera:
    """The shard's entry for a simulated camera, and the Camera object it stands for."""
    uid = objects.objects.get(camera.name, {}).get("metadata", {}).get("uid")
    fields: dict[str, Any] = {
        "name": camera.name,
        "uid": uid or objects.create(camera.name),
        "generation": 1,
        "site": "hospital",
        "host": camera.host,
        "onvif_port": camera.onvif_port,
        "rtsp_port": camera.rtsp_port,
        "scheme": Scheme.HTTP,
        "onvif_path": "/onvif/device_service",
        "source": VideoSource(channel=1),
        "credentials": CredentialsRef(secret_name="cameras"),
        "policy": 0,
    }
    return ShardCamera(**(fields | changes))
