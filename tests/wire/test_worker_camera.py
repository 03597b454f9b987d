# SPDX-License-Identifier: Apache-2.0
"""A worker's cameras from declaration to VMS and disk: our supervisor, ONVIF, RTSP, media loop,
sinks and reporter against simulated cameras and a GStreamer VMS. Only the API server is left out;
Camera objects and Secrets live in this process (tests/cluster has the real one).
"""

from __future__ import annotations

import asyncio
import base64
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from camera_simulator import Camera, CameraSettings, Simulator
from camfleet_api.camera import Scheme, VideoSource
from camfleet_api.ingest_shard import IngestShardSpec, Policy, Relay, ShardCamera
from camfleet_api.monitoring_system import RelayProtocol
from camfleet_api.names import CREDENTIALS_SECRET_TYPE
from camfleet_api.policy import CredentialsRef, StreamRole, VideoCodec
from camfleet_api.technical_profile import RecordingPolicy, VideoLimits
from camfleet_worker.accounts import Accounts
from camfleet_worker.attempts import AttemptLedger
from camfleet_worker.backoff import Backoff
from camfleet_worker.clock import wall_clock
from camfleet_worker.connect_budget import ConnectBudget
from camfleet_worker.fleet import Fleet
from camfleet_worker.media.loop import MediaLoop
from camfleet_worker.onvif.ports import port_trouble
from camfleet_worker.onvif.resolver import OnvifResolver
from camfleet_worker.recollection import Recollection
from camfleet_worker.reporter.reporter import Reporter
from camfleet_worker.rtsp.client import open_stream
from camfleet_worker.sink_factory import SinkFactory
from camfleet_worker.sinks.resolver import Resolver
from camfleet_worker.sinks.volume import VolumeSettings, VolumeWriter
from camfleet_worker.state_cache import StateCache
from camfleet_worker.surroundings import Surroundings
from camfleet_worker.token_bucket import TokenBucket
from eventually import eventually_async
from vms import RecordServer

PASSWORD = "p@ss#w0rd%/:"
NAMESPACE = "phu-yen"


class CameraObjects:
    """Camera objects by name: what the API server would store, and how often it was asked to."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, Any]] = {}
        self.writes: list[tuple[str, dict[str, Any]]] = []

    def create(self, name: str) -> str:
        uid = str(uuid.uuid4())
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

    def __init__(self, folder: Path, objects: CameraObjects, secrets: SecretObjects) -> None:
        self.folder = folder
        self.objects = objects
        self.secrets = secrets
        self.reporter = Reporter(objects, wall_clock, TokenBucket(100, 100))
        self.accounts = Accounts(secrets.follow, lambda name: self.fleet.secret_changed(name))
        self._media = MediaLoop(0.05)
        self._volume = VolumeWriter(VolumeSettings(folder / "recordings"))
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
        sinks = SinkFactory(NAMESPACE, self._volume, self._names, self.accounts)
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
        )
        return Fleet(around, self.reporter, lambda camera: self._media.open_channel(camera, ()))

    async def __aenter__(self) -> WorkerParts:
        self._media.start()
        self._volume.start()
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
        await asyncio.to_thread(self._volume.close, 5.0)
        self._names.close()
        self._onvif.close()

    async def run(self, policy: Policy, *cameras: ShardCamera) -> None:
        spec = IngestShardSpec(hash="h", policies=[policy], cameras=list(cameras))
        refs = [camera.credentials for camera in cameras]
        refs += [relay.credentials for relay in policy.relays]
        self.accounts.want({ref.secret_name for ref in refs if ref is not None})
        await self.fleet.apply(spec)

    def recorded_bytes(self) -> int:
        return sum(f.stat().st_size for f in (self.folder / "recordings").rglob("*.mp4"))


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator() as running:
        yield running


@pytest.fixture
def vms() -> Iterator[RecordServer]:
    with RecordServer() as running:
        yield running


@pytest.fixture
def objects() -> CameraObjects:
    return CameraObjects()


@pytest.fixture
def secrets() -> SecretObjects:
    held = SecretObjects()
    held.put("cameras", username="ingest", password=PASSWORD)
    return held


@pytest.fixture
async def worker(
    tmp_path: Path, objects: CameraObjects, secrets: SecretObjects
) -> AsyncIterator[WorkerParts]:
    async with WorkerParts(tmp_path, objects, secrets) as parts:
        yield parts


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


def entry(objects: CameraObjects, camera: Camera, **changes: Any) -> ShardCamera:
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


async def test_a_good_camera_is_relayed_recorded_and_ready(
    worker: WorkerParts, simulator: Simulator, objects: CameraObjects, vms: RecordServer
) -> None:
    camera = await simulator.add(CameraSettings("gate", password=PASSWORD))
    await worker.run(policy_to(vms), entry(objects, camera))

    await eventually_async(lambda: objects.ready("gate") == ("True", "Ready"), within_s=30)
    await eventually_async(lambda: vms.streams()["/live/gate"].frames > 50, within_s=20)
    await eventually_async(lambda: worker.recorded_bytes() > 100_000, within_s=20)
    status = objects.objects["gate"]["status"]
    assert [c["message"] for c in status["conditions"] if c["status"] == "True"] == [""] * 7
    assert status["device"]["model"] == "SIM-2"
    assert status["learned"]["codec"] == "H264"
    assert status["attempts"]["proven"]
    assert "@" not in str(status)
    assert camera.counters.refused() == 0
    # One write before the login attempt, one for Ready.
    assert len(objects.writes) == 2


async def test_a_wrong_password_is_tried_twice_at_most_and_told_at_once(
    worker: WorkerParts, simulator: Simulator, objects: CameraObjects, secrets: SecretObjects
) -> None:
    camera = await simulator.add(CameraSettings("lobby", password="another"))
    await worker.run(policy_to(None), entry(objects, camera))

    rejected = ("False", "CredentialsRejected")
    await eventually_async(lambda: objects.ready("lobby") == rejected, within_s=20)
    assert objects.condition("lobby", "Reachable") == ("True", "Reachable")
    assert objects.condition("lobby", "Streaming") == ("Unknown", "Pending")
    assert 1 <= camera.counters.refused() <= 2
    assert objects.objects["lobby"]["status"]["attempts"]["count"] == camera.counters.refused()

    secrets.put("cameras", username="ingest", password="another")
    await eventually_async(lambda: objects.ready("lobby") == ("True", "Ready"), within_s=20)
    assert camera.counters.refused() <= 2


async def test_a_clock_half_a_year_behind_is_told_and_streams(
    worker: WorkerParts, simulator: Simulator, objects: CameraObjects
) -> None:
    camera = await simulator.add(
        CameraSettings(
            "clock",
            password=PASSWORD,
            onvif_schemes=("wsse",),
            clock_offset_s=-184 * 86400.0,
        )
    )
    await worker.run(policy_to(None), entry(objects, camera))
    await eventually_async(lambda: objects.ready("clock") == ("True", "Ready"), within_s=30)
    assert objects.condition("clock", "TimeSynchronized") == ("False", "ClockOff")
    assert objects.objects["clock"]["status"]["learned"]["authScheme"] == "ws-username-token"


async def test_a_web_page_is_no_onvif_camera(
    worker: WorkerParts, simulator: Simulator, objects: CameraObjects
) -> None:
    camera = await simulator.add(CameraSettings("page", password=PASSWORD, web="page"))
    await worker.run(policy_to(None), entry(objects, camera))
    await eventually_async(lambda: objects.ready("page") == ("False", "NotOnvif"), within_s=20)
    assert objects.condition("page", "Eligible") == ("False", "NotOnvif")


async def test_closed_ports_are_told_apart(
    worker: WorkerParts, simulator: Simulator, objects: CameraObjects
) -> None:
    without_onvif = await simulator.add(CameraSettings("rtsp-only", web="closed"))
    without_power = await simulator.add(CameraSettings("dark", power=False))
    entries = [entry(objects, camera) for camera in (without_onvif, without_power)]
    await worker.run(policy_to(None), *entries)
    await eventually_async(lambda: objects.ready("rtsp-only") == ("False", "OnvifOff"), within_s=20)
    await eventually_async(
        lambda: objects.ready("dark") == ("False", "ConnectionRefused"), within_s=20
    )


async def test_one_bad_camera_does_not_disturb_another(
    worker: WorkerParts, simulator: Simulator, objects: CameraObjects, vms: RecordServer
) -> None:
    good = await simulator.add(CameraSettings("good", password=PASSWORD))
    bad = await simulator.add(CameraSettings("bad", password=PASSWORD))
    await worker.run(policy_to(vms), entry(objects, good), entry(objects, bad))
    for name in ("good", "bad"):
        await eventually_async(ready_check(objects, name), within_s=30)
    for session in (2, 3):
        await bad.power(False)
        await eventually_async(lambda: bad.counters.sessions_open == 0, within_s=10)
        await bad.power(True)
        await eventually_async(sessions_check(bad, session), within_s=20)
    await bad.change(freeze=True)
    await eventually_async(lambda: objects.ready("bad")[0] == "False", within_s=60)
    assert objects.ready("good") == ("True", "Ready")
    assert good.counters.sessions == 1
    counts = vms.streams()["/live/good"]
    assert (counts.publishers, counts.pts_gaps) == (1, 0)


async def test_without_the_vms_recording_goes_on_and_relaying_says_why(
    worker: WorkerParts, simulator: Simulator, objects: CameraObjects, vms: RecordServer
) -> None:
    camera = await simulator.add(CameraSettings("gate", password=PASSWORD))
    policy = policy_to(vms)
    vms.stop()
    await worker.run(policy, entry(objects, camera))
    await eventually_async(
        lambda: objects.ready("gate") == ("False", "VmsUnreachable"), within_s=30
    )
    assert objects.condition("gate", "Recording") == ("True", "Recording")
    assert objects.condition("gate", "Streaming") == ("True", "Streaming")
    before = worker.recorded_bytes()
    await eventually_async(lambda: worker.recorded_bytes() > before, within_s=20)


async def test_the_login_of_the_vms_can_come_later_without_a_break(
    worker: WorkerParts,
    simulator: Simulator,
    objects: CameraObjects,
    secrets: SecretObjects,
) -> None:
    with RecordServer(username="push", password="s3cret") as vms:
        camera = await simulator.add(CameraSettings("gate", password=PASSWORD))
        policy = policy_to(vms, credentials=CredentialsRef(secret_name="vms"))
        await worker.run(policy, entry(objects, camera))
        missing = ("False", "VmsCredentialsMissing")
        await eventually_async(
            lambda: objects.condition("gate", "Relaying") == missing, within_s=30
        )

        secrets.put("vms", username="push", password="s3cret")
        await eventually_async(lambda: objects.ready("gate") == ("True", "Ready"), within_s=30)
        assert vms.streams()["/live/gate"].publishers == 1
        assert camera.counters.sessions == 1


async def test_a_shard_changes_only_what_it_names(
    worker: WorkerParts, simulator: Simulator, objects: CameraObjects
) -> None:
    kept = await simulator.add(CameraSettings("kept", password=PASSWORD))
    moved = await simulator.add(CameraSettings("moved", password=PASSWORD))
    gone = await simulator.add(CameraSettings("gone", password=PASSWORD))
    entries = [entry(objects, camera) for camera in (kept, moved, gone)]
    await worker.run(policy_to(None), *entries)
    for camera in (kept, moved, gone):
        await eventually_async(ready_check(objects, camera.name), within_s=30)

    # The same camera at the same place, held to another source: it must connect anew.
    other = entries[1].model_copy(update={"source": VideoSource(channel=1), "onvif_path": "/"})
    await worker.run(policy_to(None), entries[0], other)
    await eventually_async(lambda: gone.counters.sessions_open == 0, within_s=10)
    await eventually_async(lambda: moved.counters.teardowns == 1, within_s=10)
    assert kept.counters.sessions == 1
    assert kept.counters.teardowns == 0


def ready_check(objects: CameraObjects, name: str) -> Callable[[], bool]:
    return lambda: objects.ready(name) == ("True", "Ready")


def sessions_check(camera: Camera, at_least: int) -> Callable[[], bool]:
    return lambda: camera.counters.sessions >= at_least
