# SPDX-License-Identifier: Apache-2.0
"""The product's worker as a local process: what the pod of a shard would run, with the token of the
shard's own ServiceAccount and no other rights. Used by `running_fleet.py`."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import yaml

from local_cluster import Cluster

ROOT = Path(__file__).parents[3]
_SERIES = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$")
_CAMERA = re.compile(r'camera="([^"]*)"')


class Worker:
    """Parent and child, as in the container."""

    def __init__(
        self, cluster: Cluster, namespace: str, shard: str, folder: Path, cpu: int | None
    ) -> None:
        self.shard = shard
        folder.mkdir()
        self._log = folder / "worker.log"
        kubeconfig = folder / "kubeconfig"
        kubeconfig.write_text(_with_token(cluster, namespace, shard))
        kubeconfig.chmod(0o600)
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": f"{ROOT / 'crds'}:{ROOT / 'workers'}",
            "CAMFLEET_SHARD": shard,
            "CAMFLEET_NAMESPACE": namespace,
            "CAMFLEET_RECORDINGS": str(folder / "recordings"),
            "CAMFLEET_STATE": str(folder / "state"),
            "CAMFLEET_METRICS_ADDRESS": "127.0.0.1",
            "CAMFLEET_METRICS_PORT": "0",
            "CAMFLEET_SNAPSHOT_PORT": "0",
            "POD_NAME": f"{shard}-pod",
            "KUBECONFIG": str(kubeconfig),
        }
        pinned = [] if cpu is None else ["taskset", "--cpu-list", str(cpu)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*pinned, sys.executable, "-m", "camfleet_worker"],
                env=environment,
                stderr=log,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def child(self) -> int:
        """The process that does the work; the other one only restarts it."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return int(children[0])

    def log(self) -> str:
        return self._log.read_text()

    def ended(self) -> str:
        """The end of its log, where the process is no more."""
        return "" if self._process.poll() is None else self.log()[-2000:]

    def started(self) -> bool:
        """Whether it serves its metrics."""
        return '"worker started"' in self.log()

    def metrics(self) -> Metrics:
        """One scrape."""
        started = [line for line in self.log().splitlines() if '"worker started"' in line]
        port = json.loads(started[-1])["port"]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=20) as answer:
            return Metrics(answer.read().decode())

    def stop(self) -> None:
        """SIGTERM, as a pod gets it."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(self.pid, signal.SIGKILL)
            self._process.wait(10)


class Metrics:
    """What a worker said in one scrape."""

    def __init__(self, text: str) -> None:
        self._whole: dict[str, float] = {}
        self._of_cameras: dict[str, dict[str, float]] = {}
        for line in text.splitlines():
            if found := _SERIES.match(line):
                name, labels, value = found.groups()
                camera = _CAMERA.search(labels or "")
                if camera:
                    self._of_cameras.setdefault(name, {})[camera[1]] = float(value)
                elif not labels:
                    self._whole[name] = float(value)

    def whole(self, name: str) -> float:
        """A figure of the process."""
        return self._whole[name]

    def by_camera(self, name: str) -> dict[str, int]:
        """A figure of each camera."""
        return {camera: int(value) for camera, value in self._of_cameras.get(name, {}).items()}


def _with_token(cluster: Cluster, namespace: str, account: str) -> str:
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    token = cluster.kubectl("-n", namespace, "create", "token", account, "--duration=6h").strip()
    config["users"] = [{"name": "worker", "user": {"token": token}}]
    for context in config["contexts"]:
        context["context"]["user"] = "worker"
    return str(yaml.safe_dump(config))
