# SPDX-License-Identifier: Apache-2.0
"""A worker as its pod runs it: `python -m camfleet_worker` with the rights that the operator grants
and no others, and the objects that the operator would have made for it."""

from __future__ import annotations

import base64
import itertools
import json
import os
import signal
import subprocess
import sys
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

import camfleet_api
import camfleet_worker
from camera_simulator.thread import CameraHandle
from camfleet_api.names import API_VERSION, CREDENTIALS_SECRET_TYPE
from local_cluster import Cluster

PASSWORD = "p@ss#w0rd%/:"
SHARD = "shard-0"


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

    def get(self, kind: str, name: str, *options: str) -> dict[str, Any]:
        return dict(json.loads(self.kubectl("get", kind, name, "-o", "json", *options)))

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


_PACKAGES = [
    str(Path(str(package.__file__)).parents[1]) for package in (camfleet_api, camfleet_worker)
]
"""Where the test itself has them from: the sources, or the copy with a compiled media path."""


class WorkerProcess:
    """A worker like the container's: parent and child, recordings and state in folders."""

    def __init__(self, facility: Facility, shard: str = SHARD, **environment: str) -> None:
        self.folder = facility.folder if shard == SHARD else facility.folder / shard
        self.folder.mkdir(exist_ok=True)
        self._log = (self.folder / "worker.log").open("ab")
        self._environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join(_PACKAGES),
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

    def gap_causes(self, camera: str, stage: str) -> list[str]:
        """Whose the gaps of a camera were, in their order, by the journal that is served; joined
        where one follows on another."""
        served = [line for line in self.log_lines() if line["message"] == "snapshots are served"]
        address = f"http://127.0.0.1:{served[-1]['port']}/journal?camera={camera}"
        with urllib.request.urlopen(address, timeout=5) as answer:
            (found,) = json.loads(answer.read())["cameras"]
        told = [one for one in (*found["entries"], *found["open"]) if one["stage"] == stage]
        periods = sorted((one for one in told if "state" in one), key=lambda one: one["startUs"])
        says = [one["cause"] or one["state"] for one in periods]
        return [name for name, _ in itertools.groupby(says)]

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
