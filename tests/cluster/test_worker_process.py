# SPDX-License-Identifier: Apache-2.0
"""The worker as its pod runs it: `python -m camfleet_worker` against a real API server, with the
rights that the operator grants and no others, and simulated cameras."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import urllib.request
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from camera_simulator import CameraSettings, SimulatorThread
from camera_simulator.thread import CameraHandle
from camfleet_api.names import API_VERSION, CREDENTIALS_SECRET_TYPE, RUNTIME_MANAGER
from eventually import consistently, eventually
from local_cluster import Cluster

PASSWORD = "p@ss#w0rd%/:"
SHARD = "shard-0"
ROOT = Path(__file__).parents[2]


@dataclass
class Facility:
    """A namespace with the objects that the operator would have made for one worker."""

    cluster: Cluster
    namespace: str
    folder: Path
    cameras: dict[str, dict[str, Any]] = field(default_factory=dict)
    policy: dict[str, Any] = field(
        default_factory=lambda: {
            "video": {},
            "stream": "main",
            "recording": {"enabled": True, "segmentSeconds": 2},
            "relays": [],
        }
    )
    hash_: str = ""

    def apply(self, *objects: dict[str, Any]) -> None:
        text = yaml.safe_dump_all(objects)
        self.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=text)

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        return self.cluster.kubectl("-n", self.namespace, *arguments, stdin=stdin)

    def get(self, kind: str, name: str) -> dict[str, Any]:
        return dict(json.loads(self.kubectl("get", kind, name, "-o", "json")))

    def secret(self, name: str, kind: str = CREDENTIALS_SECRET_TYPE, **values: str) -> None:
        data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
        self.apply(_object("v1", "Secret", name, type=kind, data=data))

    def declare(
        self, name: str, camera: CameraHandle, secret: str = "cameras", **entry: Any
    ) -> None:
        """Create the Camera and put its entry into the shard that is applied next."""
        ports = {"onvif": camera.onvif_port, "rtsp": camera.rtsp_port}
        spec = {"siteRef": "hospital", "host": camera.host, "ports": ports, "zone": "gate"}
        self.apply(_object(API_VERSION, "Camera", name, spec=spec))
        metadata = self.get("camera", name)["metadata"]
        self.cameras[name] = {
            "name": name,
            "uid": metadata["uid"],
            "generation": metadata["generation"],
            "site": "hospital",
            "host": camera.host,
            "onvifPort": camera.onvif_port,
            "rtspPort": camera.rtsp_port,
            "scheme": "http",
            "onvifPath": "/onvif/device_service",
            "source": {"channel": 1},
            "credentials": {"secretName": secret},
            "policy": 0,
        } | entry

    def assign(self, hash_: str, shard: str = SHARD, names: tuple[str, ...] = ()) -> None:
        """What the operator does, in its order: Role, then shard. Without names: all cameras."""
        entries = [self.cameras[name] for name in names or self.cameras]
        spec = {"hash": hash_, "policies": [self.policy], "cameras": entries}
        self.apply(
            _object("v1", "ServiceAccount", shard),
            _role(shard, entries),
            _role_binding(shard, self.namespace),
            _object("coordination.k8s.io/v1", "Lease", shard, spec={}),
            _object(API_VERSION, "IngestShard", shard, spec=spec),
        )

    def condition(self, name: str, kind: str) -> dict[str, Any]:
        conditions = self.get("camera", name).get("status", {}).get("conditions", [])
        return next((c for c in conditions if c["type"] == kind), {})

    def ready(self, name: str) -> tuple[str | None, str | None]:
        condition = self.condition(name, "Ready")
        return condition.get("status"), condition.get("reason")

    def version(self, name: str) -> str:
        return str(self.get("camera", name)["metadata"]["resourceVersion"])

    def observed_hash(self) -> str:
        return str(self.get("ingestshard", SHARD).get("status", {}).get("observedHash", ""))

    def worker_kubeconfig(self, shard: str = SHARD) -> Path:
        """The cluster with the worker's own token: what a pod has."""
        config = yaml.safe_load(self.cluster.kubeconfig.read_text())
        token = self.kubectl("create", "token", shard, "--duration=1h").strip()
        config["users"] = [{"name": "worker", "user": {"token": token}}]
        for context in config["contexts"]:
            context["context"]["user"] = "worker"
        path = self.folder / ("kubeconfig" if shard == SHARD else f"kubeconfig-{shard}")
        path.write_text(yaml.safe_dump(config))
        return path


class WorkerProcess:
    """A worker like the container's: parent and child, recordings and state in folders."""

    def __init__(self, facility: Facility, shard: str = SHARD, **environment: str) -> None:
        self.folder = facility.folder if shard == SHARD else facility.folder / shard
        self.folder.mkdir(exist_ok=True)
        self._log = (self.folder / "worker.log").open("ab")
        self._environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": f"{ROOT / 'crds'}:{ROOT / 'workers'}",
            "CAMFLEET_SHARD": shard,
            "CAMFLEET_NAMESPACE": facility.namespace,
            "CAMFLEET_RECORDINGS": str(self.folder / "recordings"),
            "CAMFLEET_STATE": str(self.folder / "state"),
            "CAMFLEET_METRICS_ADDRESS": "127.0.0.1",
            "CAMFLEET_METRICS_PORT": "0",
            "CAMFLEET_SNAPSHOT_PORT": "0",
            "POD_NAME": "pod-1",
            "KUBECONFIG": str(facility.worker_kubeconfig(shard)),
        } | environment
        self.process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "camfleet_worker"],
            env=self._environment,
            stderr=self._log,
            start_new_session=True,
        )

    def log_lines(self) -> list[dict[str, Any]]:
        lines = (self.folder / "worker.log").read_text().splitlines()
        return [json.loads(line) for line in lines]

    def metrics(self) -> str:
        started = [line for line in self.log_lines() if line["message"] == "worker started"]
        address = f"http://127.0.0.1:{started[-1]['port']}/metrics"
        with urllib.request.urlopen(address, timeout=5) as answer:
            return str(answer.read().decode())

    def terminate(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=10)

    def kill_child(self) -> None:
        """What a crash looks like to the parent."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        os.kill(int(children.read_text().split()[0]), signal.SIGKILL)

    def restart(self) -> None:
        """Another container of the same pod: the state folder stays."""
        self.terminate()
        self.process = self._start()

    def close(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(timeout=10)
        self._log.close()


@pytest.fixture(scope="module")
def simulator() -> Iterator[SimulatorThread]:
    with SimulatorThread() as running:
        yield running


@pytest.fixture
def facility(cluster: Cluster, namespace: str, tmp_path: Path) -> Facility:
    return Facility(cluster, namespace, tmp_path)


@pytest.fixture
def camera(simulator: SimulatorThread, namespace: str) -> Iterator[CameraHandle]:
    name = f"gate-{namespace}"
    yield simulator.add(CameraSettings(name, password=PASSWORD))
    simulator.remove(name)


@pytest.fixture
def start(facility: Facility) -> Iterator[Any]:
    """Starts a worker; whatever was started is gone after the test."""
    workers: list[WorkerProcess] = []

    def start_worker(shard: str = SHARD, **environment: str) -> WorkerProcess:
        workers.append(WorkerProcess(facility, shard, **environment))
        return workers[-1]

    yield start_worker
    for worker in workers:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            worker.close()


def test_a_camera_becomes_ready_with_the_rights_of_its_role_alone(
    facility: Facility, camera: CameraHandle, start: Any
) -> None:
    facility.secret("cameras", username="ingest", password=PASSWORD)
    facility.declare("gate", camera)
    facility.assign("h1")
    worker = start()

    eventually(lambda: facility.ready("gate") == ("True", "Ready"), within_s=40)
    eventually(lambda: facility.observed_hash() == "h1", within_s=10)
    spec = facility.get("lease", SHARD)["spec"]
    assert spec["holderIdentity"] == "pod-1"
    status = facility.get("camera", "gate")["status"]
    assert status["device"]["manufacturer"] == "Camfleet"
    assert status["attempts"]["proven"]
    recorded = (facility.folder / "recordings").rglob("*.mp4")
    assert any(file.stat().st_size > 0 for file in recorded)
    labels = f'camera="gate",namespace="{facility.namespace}",site="hospital"'
    eventually(lambda: f"camfleet_ingest_camera_up{{{labels}}} 1.0" in worker.metrics())
    assert PASSWORD not in (facility.folder / "worker.log").read_text()
    assert not [line for line in worker.log_lines() if line["level"] == "error"]


def test_nothing_is_written_while_nothing_changes(
    facility: Facility, camera: CameraHandle, start: Any
) -> None:
    facility.secret("cameras", username="ingest", password=PASSWORD)
    facility.declare("gate", camera)
    facility.assign("h1")
    worker = start()
    eventually(lambda: facility.ready("gate") == ("True", "Ready"), within_s=40)

    version = facility.version("gate")
    consistently(lambda: facility.version("gate") == version, during_s=12, every_s=1)
    worker.restart()
    eventually(lambda: camera.counters.sessions >= 2, within_s=20)
    consistently(lambda: facility.version("gate") == version, during_s=12, every_s=1)
    fields = facility.get("camera", "gate")["metadata"].get("managedFields", [])
    assert RUNTIME_MANAGER not in [f["manager"] for f in fields if f["operation"] == "Update"]


def test_a_wrong_password_costs_two_attempts_however_often_the_worker_restarts(
    facility: Facility, camera: CameraHandle, start: Any
) -> None:
    facility.secret("cameras", username="ingest", password="wrong-one")
    facility.declare("gate", camera)
    facility.assign("h1")
    worker = start()
    rejected = ("False", "CredentialsRejected")
    eventually(lambda: facility.ready("gate") == rejected, within_s=40)
    spent = camera.counters.refused()
    assert 1 <= spent <= 2
    assert facility.get("camera", "gate")["status"]["attempts"]["count"] == spent
    assert facility.condition("gate", "Reachable")["status"] == "True"

    requests = sum(camera.counters.onvif_requests.values())
    worker.restart()
    eventually(lambda: sum(camera.counters.onvif_requests.values()) > requests, within_s=20)
    worker.kill_child()
    requests = sum(camera.counters.onvif_requests.values())
    eventually(lambda: sum(camera.counters.onvif_requests.values()) > requests, within_s=20)
    consistently(lambda: facility.ready("gate") == rejected, during_s=3, every_s=0.5)
    assert camera.counters.refused() <= 2

    facility.secret("cameras", username="ingest", password=PASSWORD)
    eventually(lambda: facility.ready("gate") == ("True", "Ready"), within_s=30)
    assert camera.counters.refused() <= 2


def test_sigterm_tears_the_session_down_and_ends_the_process_in_time(
    facility: Facility, camera: CameraHandle, start: Any
) -> None:
    facility.secret("cameras", username="ingest", password=PASSWORD)
    facility.declare("gate", camera)
    facility.assign("h1")
    worker = start()
    eventually(lambda: facility.ready("gate") == ("True", "Ready"), within_s=40)

    assert worker.terminate() == 0  # within ten seconds, or wait() raises
    assert camera.counters.teardowns == 1
    assert camera.counters.sessions_open == 0
    assert list((facility.folder / "recordings").rglob("*.mp4_end"))
    assert facility.ready("gate") == ("True", "Ready")


def test_a_removed_camera_stops_and_the_others_do_not_notice(
    facility: Facility, camera: CameraHandle, simulator: SimulatorThread, start: Any
) -> None:
    other = simulator.add(CameraSettings(f"yard-{facility.namespace}", password=PASSWORD))
    facility.secret("cameras", username="ingest", password=PASSWORD)
    facility.declare("gate", camera)
    facility.declare("yard", other)
    facility.assign("h1")
    start()
    eventually(lambda: facility.ready("gate") == ("True", "Ready"), within_s=40)
    eventually(lambda: facility.ready("yard") == ("True", "Ready"), within_s=40)

    del facility.cameras["gate"]
    facility.assign("h2")
    eventually(lambda: facility.observed_hash() == "h2", within_s=20)
    assert camera.counters.sessions_open == 0
    assert camera.counters.teardowns == 1
    assert other.counters.sessions == 1
    assert other.counters.sessions_open == 1
    simulator.remove(f"yard-{facility.namespace}")


def test_streams_go_on_when_the_shard_is_deleted(
    facility: Facility, camera: CameraHandle, start: Any
) -> None:
    facility.secret("cameras", username="ingest", password=PASSWORD)
    facility.declare("gate", camera)
    facility.assign("h1")
    start()
    eventually(lambda: facility.ready("gate") == ("True", "Ready"), within_s=40)

    facility.kubectl("delete", "ingestshard", SHARD)
    frames = camera.counters.frames_sent
    eventually(lambda: camera.counters.frames_sent > frames + 50, within_s=20)
    assert camera.counters.sessions == 1


def test_a_restarted_worker_streams_without_an_api_server(
    facility: Facility, camera: CameraHandle, start: Any
) -> None:
    facility.secret("cameras", username="ingest", password=PASSWORD)
    facility.declare("gate", camera)
    facility.assign("h1")
    worker = start()
    eventually(lambda: facility.ready("gate") == ("True", "Ready"), within_s=40)
    worker.terminate()

    config = yaml.safe_load((facility.folder / "kubeconfig").read_text())
    for cluster in config["clusters"]:
        cluster["cluster"]["server"] = "https://127.0.0.1:9"  # discard: nobody listens
    nowhere = facility.folder / "kubeconfig-nowhere"
    nowhere.write_text(yaml.safe_dump(config))
    refused = camera.counters.refused()
    start(KUBECONFIG=str(nowhere))

    eventually(lambda: camera.counters.sessions_open == 1, within_s=40)
    frames = camera.counters.frames_sent
    eventually(lambda: camera.counters.frames_sent > frames + 20, within_s=20)
    assert camera.counters.refused() == refused


@pytest.mark.parametrize(
    ("secret", "reason"),
    [
        pytest.param({}, "CredentialsMissing", id="no such Secret"),
        pytest.param({"username": "ingest"}, "CredentialsKeyMissing", id="no password in it"),
        pytest.param(
            {"kind": "Opaque", "username": "ingest", "password": PASSWORD},
            "SecretWrongType",
            id="another type",
        ),
    ],
)
def test_a_secret_that_gives_no_login_is_named_and_its_repair_followed(
    facility: Facility, camera: CameraHandle, start: Any, secret: dict[str, str], reason: str
) -> None:
    if secret:
        facility.secret("cameras", **secret)
    facility.declare("gate", camera)
    facility.assign("h1")
    start()

    eventually(lambda: facility.ready("gate") == ("False", reason), within_s=40)
    assert facility.condition("gate", "Reachable")["status"] == "True"
    assert not camera.counters.attempts

    facility.kubectl("delete", "secret", "cameras", "--ignore-not-found")
    facility.secret("cameras", username="ingest", password=PASSWORD)
    eventually(lambda: facility.ready("gate") == ("True", "Ready"), within_s=30)


@pytest.mark.quirk(9)
def test_two_workers_with_one_account_spend_two_attempts_together(
    facility: Facility, camera: CameraHandle, start: Any
) -> None:
    facility.secret("cameras", username="ingest", password="wrong-one")
    facility.declare("gate", camera)
    facility.declare("yard", camera, loginAfter="gate")
    facility.assign("h1", "shard-1", ("yard",))
    start("shard-1")
    waiting = ("Unknown", "Pending")
    eventually(lambda: facility.ready("yard") == waiting, within_s=40)
    assert (
        "Camera gate uses the same account and tries it first"
        in (facility.condition("yard", "Authenticated")["message"])
    )
    assert facility.condition("yard", "Reachable")["status"] == "True"
    assert camera.counters.refused() == 0

    facility.assign("h1", SHARD, ("gate",))
    # Another key of the same Secret is edited meanwhile: the two workers read different versions.
    facility.secret("cameras", username="ingest", password="wrong-one", other="another camera's")
    start()
    rejected = ("False", "CredentialsRejected")
    eventually(lambda: facility.ready("gate") == rejected, within_s=40)
    eventually(lambda: facility.ready("yard") == rejected, within_s=60)
    assert 1 <= camera.counters.refused() <= 2

    facility.secret("cameras", username="ingest", password=PASSWORD)
    eventually(lambda: facility.ready("gate") == ("True", "Ready"), within_s=30)
    eventually(lambda: facility.ready("yard") == ("True", "Ready"), within_s=60)
    assert camera.counters.refused() <= 2
    assert camera.counters.sessions_open == 2


def _object(api_version: str, kind: str, name: str, **rest: Any) -> dict[str, Any]:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name}, **rest}


def _role(shard: str, entries: list[dict[str, Any]]) -> dict[str, Any]:
    """The worker's rights, as the operator grants them."""
    cameras = sorted(entry["name"] for entry in entries)
    awaited = sorted(entry["loginAfter"] for entry in entries if "loginAfter" in entry)
    secrets = sorted({entry["credentials"]["secretName"] for entry in entries})
    group = API_VERSION.partition("/")[0]
    watched = ["get", "list", "watch"]
    rules = [
        (group, "ingestshards", watched, [shard]),
        (group, "ingestshards/status", ["patch"], [shard]),
        (group, "cameras", ["get"], [*cameras, *awaited]),
        (group, "cameras/status", ["patch"], cameras),
        ("", "secrets", watched, secrets),
        ("coordination.k8s.io", "leases", ["get", "update"], [shard]),
    ]
    wire = [
        {"apiGroups": [g], "resources": [resource], "verbs": verbs, "resourceNames": names}
        for g, resource, verbs, names in rules
    ]
    return _object("rbac.authorization.k8s.io/v1", "Role", shard, rules=wire)


def _role_binding(shard: str, namespace: str) -> dict[str, Any]:
    group = "rbac.authorization.k8s.io"
    return _object(
        f"{group}/v1",
        "RoleBinding",
        shard,
        roleRef={"apiGroup": group, "kind": "Role", "name": shard},
        subjects=[{"kind": "ServiceAccount", "name": shard, "namespace": namespace}],
    )
