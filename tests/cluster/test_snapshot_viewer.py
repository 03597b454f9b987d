# SPDX-License-Identifier: Apache-2.0
"""Snapshots for a web page in the cluster: a real worker, real tokens, the API server's reviews,
and the rights that the chart gives and no others. Which pods reach the port is a NetworkPolicy's
matter, which no node enforces here; `test_chart_rendering` reads it."""

from __future__ import annotations

import base64
import http.client
import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from camera_simulator.thread import CameraHandle
from eventually import eventually
from local_cluster import Cluster, ClusterError
from worker_process import PASSWORD, SHARD, Facility, WorkerProcess

CHART = Path(__file__).parents[2] / "charts" / "camfleet"
AUDIENCE = "camfleet-snapshots"
JPEG_BEGINS = b"\xff\xd8\xff"
GARBAGE = "eyJhbGciOiJub25lIn0.e30."


def _chart(cluster: Cluster, provinces: list[str], page: str) -> str:
    """What the chart makes for a viewer."""
    viewer = {
        "enabled": True,
        "namespaces": provinces,
        "serviceAccount": {"namespace": page, "name": "page"},
        "podLabels": {"app": "page"},
    }
    return cluster.helm(
        "template", "camfleet", str(CHART), "--show-only=templates/snapshot-viewer.yaml",
        "--set-json", f"snapshotViewer={json.dumps(viewer)}",
    )  # fmt: skip


@pytest.fixture
def viewer(cluster: Cluster, namespace: str) -> Iterator[str]:
    """The web page's namespace, with its account and another; the province gives pictures to it."""
    page = f"{namespace}-page"
    cluster.kubectl("create", "namespace", page)
    for account in ("page", "other"):
        cluster.kubectl("create", "serviceaccount", account, "-n", page)
    made = _chart(cluster, [namespace], page)
    cluster.kubectl("apply", "-f", "-", stdin=made)
    yield page
    cluster.kubectl("delete", "--wait=false", "--ignore-not-found", "-f", "-", stdin=made)
    cluster.kubectl("delete", "namespace", page, "--wait=false")


@dataclass
class Listener:
    """The second listener of a worker."""

    port: int

    def ask(self, token: str | None = None, path: str = "/snapshot/gate") -> tuple[int, bytes]:
        """Status and body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            login = {"Authorization": f"Bearer {token}"} if token else {}
            connection.request("GET", path, headers=login)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def admits(self, token: str) -> bool:
        """Whether a picture comes; RBAC follows a binding within moments, a first look as well."""
        status, body = self.ask(token)
        return status == 200 and body.startswith(JPEG_BEGINS)


def _listener(worker: WorkerProcess) -> Listener:
    """Its second listener: the first to be served is the loopback's."""

    def ports() -> list[int]:
        lines = worker.log_lines()
        served = [one["port"] for one in lines if one["message"] == "snapshots are served"]
        return [int(port) for port in served] if len(served) % 2 == 0 else []

    return Listener(eventually(ports, within_s=20)[-1])


def _declared(page: str) -> dict[str, str]:
    """What the operator tells a worker of the viewer."""
    return {
        "CAMFLEET_SNAPSHOT_VIEWER_AUDIENCE": AUDIENCE,
        "CAMFLEET_SNAPSHOT_VIEWER_ACCOUNT": f"{page}:page",
        "CAMFLEET_SNAPSHOT_VIEWER_PORT": "0",
        "POD_IP": "127.0.0.1",
    }


def _token(
    cluster: Cluster, namespace: str, account: str = "page", audience: str = AUDIENCE
) -> str:
    """A token as a projected volume gives it to a pod."""
    wish = f"--audience={audience}"
    return cluster.kubectl("create", "token", account, "-n", namespace, wish).strip()


@pytest.fixture
def worker(facility: Facility, camera: CameraHandle, viewer: str, start: Any) -> WorkerProcess:
    """A worker with one camera, declared for the viewer."""
    facility.secret("cameras", username="ingest", password=PASSWORD)
    facility.declare("gate", camera)
    facility.assign("h1")
    started: WorkerProcess = start(**_declared(viewer))
    return started


def test_the_web_page_alone_sees_a_picture(
    cluster: Cluster, namespace: str, viewer: str, worker: WorkerProcess
) -> None:
    listener, good = _listener(worker), _token(cluster, viewer)
    assert eventually(lambda: listener.admits(good), within_s=40, every_s=0.5)

    cluster.kubectl("create", "serviceaccount", "page", "-n", namespace)
    refused = {
        "no token": (None, 401),
        "garbage": (GARBAGE, 401),
        "one that was changed": (good[:-6] + "AAAAAA", 401),
        "a token for the API server": (_api_token(cluster, viewer), 401),
        "another audience": (_token(cluster, viewer, audience="other"), 401),
        "another account": (_token(cluster, viewer, "other"), 403),
        "another namespace's account": (_token(cluster, namespace), 403),
        "the worker's own account": (_token(cluster, namespace, SHARD), 403),
    }
    answers = {name: listener.ask(token) for name, (token, _) in refused.items()}
    assert answers == {name: (status, b"") for name, (_, status) in refused.items()}
    assert listener.ask(good, "/snapshot/yard") == (404, b"")
    assert listener.ask(good, "/metrics") == (404, b"")

    text = (worker.folder / "worker.log").read_text()
    assert not any(token in text for token, _ in refused.values() if token)
    assert good not in text
    metrics = worker.metrics()
    counted = dict(re.findall(r'viewer_answers_total\{code="(\d+)"\} (\S+)', metrics))
    assert (counted["401"], counted["403"]) == ("5.0", "3.0")


def _api_token(cluster: Cluster, namespace: str) -> str:
    """The page's token for the API server itself."""
    return cluster.kubectl("create", "token", "page", "-n", namespace).strip()


def test_a_token_whose_account_is_gone_or_whose_time_is_over_is_refused(
    cluster: Cluster, viewer: str, worker: WorkerProcess
) -> None:
    """Both signatures are right; one has nothing but its account's absence against it."""
    listener, good, later = _listener(worker), _token(cluster, viewer), _token(cluster, viewer)
    assert eventually(lambda: listener.admits(good), within_s=40, every_s=0.5)
    assert listener.admits(_signed_anew(cluster, good)), "our signature is the API server's"
    now = int(time.time())
    over = {"iat": now - 900, "nbf": now - 900, "exp": now - 300}  # the API server forgives 60 s
    assert listener.ask(_signed_anew(cluster, good, **over)) == (401, b"")

    cluster.kubectl("delete", "serviceaccount", "page", "-n", viewer)
    assert eventually(lambda: listener.ask(later) == (401, b""), within_s=60, every_s=1)


def _signed_anew(cluster: Cluster, token: str, **claims: int) -> str:
    """A token with other claims, signed by the API server's own key (RFC 7515, RFC 7518 section
    3.4)."""
    head, body, _ = token.split(".")
    said = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))) | claims
    signed = f"{head}.{_base64url(json.dumps(said).encode())}"
    pem = (cluster.logs.parent / "pki" / "service-accounts.key").read_bytes()
    key = serialization.load_pem_private_key(pem, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    numbers = decode_dss_signature(key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
    return f"{signed}.{_base64url(b''.join(number.to_bytes(32, 'big') for number in numbers))}"


def _base64url(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def test_without_an_api_server_no_client_is_admitted(
    cluster: Cluster, facility: Facility, viewer: str, start: Any
) -> None:
    facility.assign("h1")
    nowhere = facility.folder / "kubeconfig-nowhere"
    config = yaml.safe_load(facility.worker_kubeconfig().read_text())
    for one in config["clusters"]:
        one["cluster"]["server"] = "https://127.0.0.1:9"  # discard: nobody listens
    nowhere.write_text(yaml.safe_dump(config))
    alone = _listener(start(KUBECONFIG=str(nowhere), **_declared(viewer)))
    assert alone.ask(_token(cluster, viewer)) == (503, b"")
    assert alone.ask() == (401, b"")


def test_a_worker_without_the_right_to_review_admits_no_client(
    cluster: Cluster, viewer: str, worker: WorkerProcess
) -> None:
    cluster.kubectl("delete", "clusterrolebinding", "camfleet-snapshot-reviewer")
    listener, good = _listener(worker), _token(cluster, viewer)
    assert eventually(lambda: listener.ask(good) == (503, b""), within_s=20, every_s=1)
    (line,) = (one for one in worker.log_lines() if "no token is reviewed" in one["message"])
    assert "403" in line["cause"]
    assert good not in line["cause"]


def test_without_a_viewer_nothing_listens_beyond_probes_and_loopback(
    facility: Facility, start: Any
) -> None:
    facility.assign("h1")
    worker = start(POD_IP="127.0.0.1", CAMFLEET_SNAPSHOT_VIEWER_PORT="0")
    eventually(lambda: "worker started" in [one["message"] for one in worker.log_lines()])
    assert len(_listening(worker)) == 2
    assert not [one for one in worker.log_lines() if one["level"] == "error"]


def _listening(worker: WorkerProcess) -> set[int]:
    """TCP ports on which the processes of a worker listen."""
    mine = subprocess.run(
        ["ps", "-o", "pid=", "-g", str(worker.process.pid)], capture_output=True, text=True
    ).stdout.split()
    inodes = {
        match[1]
        for pid in mine
        for file in Path(f"/proc/{pid}/fd").iterdir()
        if (match := re.fullmatch(r"socket:\[(\d+)\]", os.readlink(file)))
    }
    rows = [
        line.split()
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]
    ]
    listen = "0A"
    return {
        int(row[1].rpartition(":")[2], 16) for row in rows if row[3] == listen and row[9] in inodes
    }


def test_accounts_of_a_declared_province_may_review_tokens_and_of_another_not(
    cluster: Cluster, namespace: str, viewer: str
) -> None:
    def may_review(place: str) -> bool:
        worker = f"system:serviceaccount:{place}:{SHARD}"
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{place}")
        try:
            answer = cluster.kubectl(
                "auth", "can-i", "create", "tokenreviews.authentication.k8s.io",
                f"--as={worker}", *(f"--as-group={group}" for group in groups),
            )  # fmt: skip
        except ClusterError:
            return False  # kubectl says "no" with an exit status.
        return answer.strip() == "yes"

    assert eventually(lambda: may_review(namespace), within_s=10)
    assert not may_review(viewer)
    policy = cluster.kubectl("get", "networkpolicy", "-n", namespace, "-o", "name")
    assert policy.strip() == "networkpolicy.networking.k8s.io/camfleet-snapshots"
