# SPDX-License-Identifier: Apache-2.0
"""The operator as a process of its own against a test cluster, and workers that only report.

No pod runs in these tests, so a worker is what the operator can see of one: a Lease that is
renewed, a shard that is acknowledged, statuses applied as camfleet-runtime.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from camfleet_api.names import API_VERSION, MANAGED_BY, MANAGED_BY_LABEL, RUNTIME_MANAGER
from eventually import eventually
from fleet_objects import OPERATOR_ACCOUNT, OPERATOR_NAMESPACE
from local_cluster import Cluster, ClusterError

Raw = dict[str, Any]

CHART = Path(__file__).parents[2] / "charts" / "camfleet"

LEASE_SECONDS = 6
"""A worker's Lease in these tests; its renewals come every second."""


def chart_rights(cluster: Cluster) -> str:
    """A kubeconfig that has exactly the rights the chart gives the operator, and no more."""
    cluster.kubectl("apply", "-f", "-", stdin=_namespace(OPERATOR_NAMESPACE))
    files = ("rbac/operator.yaml", "rbac/tenant.yaml", "service-account.yaml")
    shown = [f"--show-only=templates/{file}" for file in files]
    rendered = cluster.helm("template", "camfleet", str(CHART), "-n", OPERATOR_NAMESPACE, *shown)
    cluster.kubectl("apply", "-n", OPERATOR_NAMESPACE, "-f", "-", stdin=rendered)
    token = cluster.kubectl(
        "create", "token", OPERATOR_ACCOUNT, "-n", OPERATOR_NAMESPACE, "--duration=4h"
    )
    config: Raw = json.loads(
        cluster.kubectl("config", "view", "--raw", "--flatten", "--minify", "-o", "json")
    )
    config["users"][0]["user"] = {"token": token.strip()}
    return json.dumps(config)


def _namespace(name: str) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})


class OperatorProcess:
    """One replica, with the rights that the chart gives it."""

    def __init__(self, cluster: Cluster, identity: str = "one", **env: str) -> None:
        self.identity = identity
        self.port = _free_port()
        self._folder = tempfile.TemporaryDirectory(prefix="camfleet-operator-")
        self._log = Path(self._folder.name) / "log"
        self._kubeconfig = Path(self._folder.name) / "kubeconfig"
        self._kubeconfig.write_text(chart_rights(cluster))
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "camfleet_operator"],
                env=os.environ | self._environment() | env,
                stdout=log,
                stderr=log,
            )

    def _environment(self) -> dict[str, str]:
        return {
            "KUBECONFIG": str(self._kubeconfig),
            "CAMFLEET_NAMESPACE": OPERATOR_NAMESPACE,
            "CAMFLEET_SERVICE_ACCOUNT": OPERATOR_ACCOUNT,
            "POD_NAME": self.identity,
            "CAMFLEET_WORKER_IMAGE": "worker:test",
            "CAMFLEET_HTTP_HOST": "127.0.0.1",
            "CAMFLEET_HTTP_PORT": str(self.port),
            "CAMFLEET_WORKER_LEASE_SECONDS": str(LEASE_SECONDS),
            "CAMFLEET_EVENT_HOLD_SECONDS": "4",
            "CAMFLEET_ELECTION_LEASE_SECONDS": "6",
            "CAMFLEET_ELECTION_RENEW_SECONDS": "4",
            "CAMFLEET_ELECTION_RETRY_SECONDS": "0.5",
        }

    def probe(self, path: str) -> int:
        """Status of a GET; 0 when nobody answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0

    def metric(self, name: str) -> float:
        """Sum of all series of a metric."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=5) as answer:
            text = answer.read().decode()
        values = re.findall(rf"^{name}(?:\{{[^}}]*\}})? (\S+)$", text, re.MULTILINE)
        return sum(float(value) for value in values)

    def until_ready(self) -> OperatorProcess:
        """Wait for /readyz."""
        eventually(lambda: self._ready(), within_s=60)
        return self

    def _ready(self) -> bool:
        assert self._process.poll() is None, self.log()
        return self.probe("/readyz") == 200

    def until_leading(self) -> OperatorProcess:
        """Wait until this replica leads."""
        self.until_ready()
        eventually(lambda: self.metric("camfleet_leader") == 1, within_s=60)
        return self

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to this replica."""
        self._process.send_signal(number)

    def exit_status(self, within_s: float = 30) -> int:
        """Wait for the end."""
        return self._process.wait(within_s)

    def stop(self) -> int:
        """SIGTERM, and the exit status."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait(10)

    def log(self) -> str:
        """Everything the replica has written."""
        return self._log.read_text()

    def forget(self) -> None:
        """End whatever still runs and remove the log."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait(10)
        self._folder.cleanup()


@contextmanager
def operator(cluster: Cluster, identity: str = "one", **env: str) -> Iterator[OperatorProcess]:
    """A replica that is leading."""
    replica = OperatorProcess(cluster, identity, **env)
    try:
        yield replica.until_leading()
        replica.stop()
    finally:
        replica.forget()


def declare(cluster: Cluster, *objects: Raw) -> None:
    """kubectl apply."""
    cluster.kubectl(
        "apply", "-f", "-", stdin=json.dumps({"kind": "List", "apiVersion": "v1", "items": objects})
    )


def get(cluster: Cluster, namespace: str, kind: str, name: str) -> Raw:
    """One object. Raises ClusterError if there is none."""
    answer: Raw = json.loads(cluster.kubectl("get", kind, name, "-n", namespace, "-o", "json"))
    return answer


def names(cluster: Cluster, namespace: str, kind: str) -> list[str]:
    """Names of our objects of a kind."""
    ours = f"{MANAGED_BY_LABEL}={MANAGED_BY}"
    out = cluster.kubectl("get", kind, "-n", namespace, "-l", ours, "-o", "name")
    return sorted(line.rsplit("/", 1)[-1] for line in out.split())


def condition(cluster: Cluster, namespace: str, camera: str, kind: str) -> tuple[str, str]:
    """Status and reason of a Camera's condition; two empty strings if it is absent."""
    raw = get(cluster, namespace, "camera", camera)
    for one in (raw.get("status") or {}).get("conditions", ()):
        if one["type"] == kind:
            return one["status"], one["reason"]
    return "", ""


def versions(cluster: Cluster, namespace: str) -> dict[str, str]:
    """resourceVersion of everything the operator writes in a namespace."""
    kinds = "cameras,sites,ingestshards,deployments,roles,rolebindings,serviceaccounts"
    raw = json.loads(cluster.kubectl("get", kinds, "-n", namespace, "-o", "json"))
    return {
        f"{one['kind']}/{one['metadata']['name']}": one["metadata"]["resourceVersion"]
        for one in raw["items"]
    }


class ReportingWorker:
    """A worker as the operator sees it."""

    def __init__(self, cluster: Cluster, namespace: str, shard: str) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._shard = shard
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._live, daemon=True)

    def __enter__(self) -> ReportingWorker:
        self.renew()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.die()

    def die(self) -> None:
        """Fall silent."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def renew(self) -> None:
        """Renew the Lease."""
        now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        spec = json.dumps({"spec": {"holderIdentity": "pod", "renewTime": now}})
        where = (self._shard, "-n", self._namespace)
        self._cluster.kubectl("patch", "lease", *where, "--type=merge", "-p", spec)

    def acknowledge(self) -> None:
        """Say that the list as it is now runs."""
        self._apply_status("IngestShard", self._shard, {"observedHash": self._digest()})

    def report_deleted(self, site: str, until: datetime) -> None:
        """Say, beside the acknowledgement, that recordings of a site went before their time."""
        entry = {"site": site, "until": _wire_time(until), "retentionDays": 30}
        status = {"observedHash": self._digest(), "deletedEarly": [entry]}
        self._apply_status("IngestShard", self._shard, status)

    def report(self, *cameras: str, ready: bool = True) -> None:
        """Report cameras as good, or as unreachable."""
        now = _wire_time(datetime.now(UTC))
        good = [(kind, "True", kind) for kind in ("Reachable", "Streaming", "Ready")]
        bad = [(kind, "False", "HostUnreachable") for kind in ("Reachable", "Ready")]
        conditions = [
            {"type": t, "status": s, "reason": r, "message": "", "lastTransitionTime": now}
            for t, s, r in (good if ready else bad)
        ]
        for camera in cameras:
            self._apply_status("Camera", camera, {"conditions": conditions})

    def _digest(self) -> str:
        shard = get(self._cluster, self._namespace, "ingestshard", self._shard)
        return str(shard["spec"]["hash"])

    def _apply_status(self, kind: str, name: str, status: Raw) -> None:
        metadata = {"name": name, "namespace": self._namespace}
        body = {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "status": status}
        self._cluster.kubectl(
            "apply", "--server-side", "--subresource=status", "--force-conflicts",
            f"--field-manager={RUNTIME_MANAGER}", "-f", "-", stdin=json.dumps(body),
        )  # fmt: skip

    def _live(self) -> None:
        while not self._stop.wait(1):
            try:
                self.renew()
            except ClusterError:
                continue  # The Lease is gone: deleted by the test, or with its shard.


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wire_time(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")
