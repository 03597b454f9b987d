# SPDX-License-Identifier: Apache-2.0
"""Local clusters come, go and come back after a crash, without a trace and without a quarrel."""

import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from eventually import eventually
from local_cluster import Cluster, ClusterError, build_image, cgroups, processes
from local_cluster.instance import Instance, instances

# Starting a cluster takes about ten seconds on an idle machine; CI machines are not idle.
pytestmark = pytest.mark.timeout(300)

NAMES_AND_SERVICES = """
import socket, urllib.request
print(socket.gethostbyname("kubernetes.default.svc.cluster.local"))
print(urllib.request.urlopen("http://web/", timeout=5).status)
def refusal(address):
    try:
        socket.create_connection(address, 5)
    except OSError as error:
        return type(error).__name__ + " " + str(error.errno)
print(refusal(("UNASSIGNED", 80)))
print(refusal(("192.0.2.1", 80)))
"""


@pytest.fixture
def name() -> Iterator[str]:
    """A name that no other run uses; nothing of it is left afterwards, whatever the test did."""
    name = f"t{os.getpid()}"
    yield name
    Cluster.remove(name)


def identity(name: str) -> Instance:
    return next(one for one in instances() if one.name == name)


def traces(one: Instance) -> list[str]:
    """Whatever of an instance can be seen on this machine."""
    routes = subprocess.run(["ip", "route"], capture_output=True, text=True, check=True).stdout
    seen = {
        "folder": one.folder.exists(),
        "network namespace": Path(f"/run/netns/{one.network_namespace}").exists(),
        "interface": Path(f"/sys/class/net/{one.host_interface}").exists(),
        "route": str(one.pod_cidr) in routes or str(one.service_cidr) in routes,
        "processes": bool(cgroups.pids(one.cgroup)),
        "cgroup": any(path.parents[1].exists() for path in cgroups.procs_files(one.cgroup)),
        "mounts": str(one.folder) in Path("/proc/self/mounts").read_text(),
        "number": one in instances(),
    }
    return [what for what, there in seen.items() if there]


def test_up_twice_is_one_cluster_and_down_twice_leaves_no_trace(name: str) -> None:
    cluster = Cluster.up(name, nodes=False)
    one = identity(name)
    cluster.kubectl("create", "configmap", "kept")
    before = [process.pid for process in processes.known(one)]

    again = Cluster.up(name, nodes=False)
    assert "kept" in again.kubectl("get", "configmap", "kept", "-o", "name")
    assert [process.pid for process in processes.known(one)] == before
    assert oct(cluster.kubeconfig.stat().st_mode & 0o777) == "0o600"

    cluster.down()
    assert traces(one) == []
    cluster.down()
    Cluster.remove(name)
    assert traces(one) == []
    with pytest.raises(ClusterError, match=f"up --name {name}"):
        Cluster.running(name)


def test_a_killed_cluster_is_cleared_and_comes_back(name: str) -> None:
    Cluster.up(name, nodes=False).kubectl("create", "configmap", "lost")
    one = identity(name)
    dead = processes.known(one)
    for process in dead:
        os.kill(process.pid, signal.SIGKILL)
    eventually(lambda: not any(process.is_alive() for process in dead), within_s=20)

    back = Cluster.up(name, nodes=False)
    assert back.kubectl("get", "configmap", "lost", "--ignore-not-found") == ""
    assert all(process.is_alive() for process in processes.known(one))


def test_one_dead_process_is_enough_to_start_anew(name: str) -> None:
    Cluster.up(name, nodes=False)
    one = identity(name)
    manager = next(p for p in processes.known(one) if p.name == "kube-controller-manager")
    os.kill(manager.pid, signal.SIGKILL)
    eventually(lambda: not manager.is_alive(), within_s=20)
    Cluster.up(name, nodes=False)
    assert all(process.is_alive() for process in processes.known(one))


def test_a_pod_finds_services_by_name_and_nothing_outside(name: str, tmp_path: Path) -> None:
    cluster = Cluster.up(name)
    one = identity(name)
    neighbour_name = f"{name}b"
    try:
        # Beside it runs another one, with an API server at an address of its own.
        neighbour = Cluster.up(neighbour_name, nodes=False)
        assert neighbour.kubectl("get", "nodes", "-o", "name") == ""

        (tmp_path / "Containerfile").write_text("ARG BASE\nFROM ${BASE}\nUSER 65532:65532\n")
        image = build_image(tmp_path / "Containerfile", tmp_path, "localhost/local-cluster-test:1")
        cluster.load_image(image.tag)

        run_web(cluster, image.tag)
        program = NAMES_AND_SERVICES.replace("UNASSIGNED", cluster.unassigned_pod_address())
        run(cluster, "client", image.tag, ["python3", "-c", program])
        done = "jsonpath={.status.phase}"
        eventually(
            lambda: cluster.kubectl("get", "pod", "client", "-o", done) == "Succeeded", within_s=60
        )
        said = cluster.kubectl("logs", "client").splitlines()
        assert said == [str(one.api_service_address), "200", "OSError 113", "OSError 101"]

        # From this machine, services and pods are reached as well.
        service = cluster.kubectl("get", "service", "web", "-o", "jsonpath={.spec.clusterIP}")
        with socket.create_connection((service, 80), timeout=5):
            pass

        neighbour.down()
        assert cluster.kubectl("exec", "web", "--", "id", "-u").strip() == "65532"
        kill_everything(one)
        cluster.down()
        assert traces(one) == []
    finally:
        Cluster.remove(neighbour_name)


def kill_everything(one: Instance) -> None:
    """kill -9 of every process of the instance, shims and pods included."""
    for pid in cgroups.pids(one.cgroup):
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: not cgroups.pids(one.cgroup), within_s=20)


def run_web(cluster: Cluster, image: str) -> None:
    run(cluster, "web", image, ["python3", "-m", "http.server", "--directory", "/tmp", "8000"])
    cluster.kubectl("expose", "pod", "web", "--port=80", "--target-port=8000")
    cluster.kubectl("wait", "--for=condition=Ready", "pod/web", "--timeout=60s")


def run(cluster: Cluster, name: str, image: str, command: list[str]) -> None:
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "restartPolicy": "Never",
            "containers": [{"name": "it", "image": image, "command": command}],
        },
    }
    cluster.kubectl("apply", "-f", "-", stdin=json.dumps(pod))
