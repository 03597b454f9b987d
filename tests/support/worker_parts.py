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
from pathlib import Path
from typing import Any, Protocol, Self

from camfleet_api.camera import Scheme, VideoSource
from camfleet_api.ingest_shard import IngestShardSpec, Policy, Relay, ShardCamera
from camfleet_api.monitoring_system import RelayProtocol
from camfleet_api.names import CREDENTIALS_SECRET_TYPE
from camfleet_api.policy import CredentialsRef, StreamRole, VideoCodec
from camfleet_api.technical_profile import RecordingPolicy, VideoLimits
from camfleet_base.token_bucket import TokenBucket
from camfleet_worker.base.backoff import Backoff
from camfleet_worker.base.clock import wall_clock
from camfleet_worker.camera.connect_budget import ConnectBudget
from camfleet_worker.camera.fleet import Fleet
from camfleet_worker.camera.sink_factory import SinkFactory
from camfleet_worker.camera.state_cache import StateCache
from camfleet_worker.camera.status_restore import Recollection
from camfleet_worker.camera.surroundings import Pace, Surroundings
from camfleet_worker.journal.keeper import JournalPlaces, Journals
from camfleet_worker.login.accounts import Accounts
from camfleet_worker.login.attempts import AttemptLedger
from camfleet_worker.media.loop import MediaLoop
from camfleet_worker.onvif.ports import port_trouble
from camfleet_worker.onvif.resolver import OnvifResolver
from camfleet_worker.picture.pool import PicturePool
from camfleet_worker.record.housekeeping import VolumeSettings
from camfleet_worker.record.volume import VolumeWriter
from camfleet_worker.recordings.listing import recorded_between
from camfleet_worker.relay.name_resolver import Resolver
from camfleet_worker.reporter.reporter import Reporter
from camfleet_worker.rtsp.client import open_stream
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
        pace: Pace | None = None,
        volume: VolumeSettings | None = None,
    ) -> None:
        """`volume`: what is recorded to, if it is not a folder below `folder`."""
        self.folder = folder
        self._pace = pace or Pace()
        self.objects = objects
        self.secrets = secrets
        self.reporter = Reporter(objects, wall_clock, TokenBucket(100, 100))
        self.accounts = Accounts(secrets.follow, lambda name: self.fleet.secret_changed(name))
        self._media = MediaLoop(0.05)
        settings = volume or VolumeSettings(folder / "recordings")
        self.volume = VolumeWriter(settings)
        self.journals = Journals(
            NAMESPACE,
            JournalPlaces(settings.root, folder / "state" / "journals"),
            self.volume.submit,
            recorded_between,
        )
        self.pictures = PicturePool()
        self._names = Resolver()
        self._onvif = OnvifResolver()
        self.fleet = self._fleet()
        self._tasks: list[asyncio.Task[None]] = []

    def _fleet(self) -> Fleet:
        ledger = AttemptLedger(wall_clock)
        cache = StateCache(self.folder / "state")
        recollection = Recollection(
            self.reporter, cache, ledger, lambda host: self.fleet.siblings(host)
        )
        sinks = SinkFactory(NAMESPACE, self.volume, self._names, self.accounts, self.pictures)
        around = Surroundings(
            resolver=self._onvif,
            open_stream=open_stream,
            probe=port_trouble,
            accounts=self.accounts,
            ledger=ledger,
            reports=self.reporter,
            recollect=recollection.recollect,
            budget=ConnectBudget(),
            make_sinks=sinks.make,
            backoff=lambda: Backoff(first_s=0.2, most_s=0.5),
            pace=self._pace,
            journals=self.journals,
        )
        return Fleet(around, self.reporter, lambda camera: self._media.open_feed(camera, ()))

    async def __aenter__(self) -> Self:
        self._media.start()
        self.volume.start()
        self.pictures.start()
        self._tasks = [
            asyncio.create_task(self.reporter.run()),
            asyncio.create_task(self.fleet.poll()),
        ]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.fleet.stop()
        await self.accounts.close()
        await asyncio.to_thread(self._media.stop)
        await asyncio.to_thread(self.volume.close, 5.0)
        await asyncio.to_thread(self.pictures.close, 5.0)
        self._names.close()
        self._onvif.close()

    async def run(self, policy: Policy, *cameras: ShardCamera) -> None:
        await self.run_all([policy], cameras)

    async def run_all(self, policies: Sequence[Policy], cameras: Sequence[ShardCamera]) -> None:
        spec = IngestShardSpec(hash="h", policies=list(policies), cameras=list(cameras))
        refs = [camera.credentials for camera in cameras]
        refs += [relay.credentials for policy in policies for relay in policy.relays]
        self.accounts.want({ref.secret_name for ref in refs if ref is not None})
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
