# SPDX-License-Identifier: Apache-2.0
"""A whole cluster on this machine: up, down, and what tests and the demo ask of it.

The front of this package; `__main__.py` is its command line. It works on instances of its own and
never on any other cluster.
"""

import json
import shutil
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

from local_cluster import (
    binaries,
    cgroups,
    control_plane,
    image_store,
    kubeconfig,
    network,
    node,
    processes,
    service_dns,
)
from local_cluster.certificates import Authority
from local_cluster.errors import ClusterError
from local_cluster.instance import Instance, forget, instance, instances
from local_cluster.places import lock, locked, remove_state
from local_cluster.progress import say, step

PROGRAMS = (
    "ip",
    "nsenter",
    "unshare",
    "nft",
    "conntrack",
    "containerd",
    "ctr",
    "runc",
    "catatonit",
)


class Cluster:
    """One running instance. Get it by `Cluster.up(name)`; give it back by `down()`."""

    def __init__(self, one: Instance) -> None:
        self._instance = one

    @classmethod
    def up(cls, name: str, *, nodes: bool = True) -> "Cluster":
        """Start the instance, or return at once when it runs. Without nodes: API server and
        controllers only, no pods.

        A dead or half-dead instance of that name is cleared first; whatever it held is lost.
        """
        _require_programs()
        binaries.build()
        with locked(lock(name)):
            one = instance(name)
            cluster = cls(one)
            if cluster._is_whole(nodes=nodes):
                return cluster
            with step(f"instance {name} up"):
                _clear(one)
                cluster._start(nodes=nodes)
        return cluster

    @classmethod
    def running(cls, name: str) -> "Cluster":
        """The instance of that name, which somebody else brought up."""
        for one in instances():
            if one.name == name and one.kubeconfig.exists():
                return cls(one)
        raise ClusterError(f"No instance {name} is up. Start it with `up --name {name}`.")

    @classmethod
    def remove(cls, name: str) -> None:
        """Take the instance of that name down, if there is one."""
        for one in instances():
            if one.name == name:
                cls(one).down()

    def down(self) -> None:
        """Stop every process of the instance and remove every trace of it. Safe to call again."""
        name = self._instance.name
        with locked(lock(name)), step(f"instance {name} down"):
            _clear(self._instance)
            forget(name)
            if not instances():
                node.remove_mount_points()
                remove_state()

    @property
    def name(self) -> str:
        return self._instance.name

    @property
    def kubeconfig(self) -> Path:
        """Logs in as an administrator. Appears only when the cluster can be used."""
        return self._instance.kubeconfig

    @property
    def node_address(self) -> str:
        """Where node ports and host ports answer, seen from this machine and from pods."""
        return str(self._instance.node_address)

    @property
    def host_address(self) -> str:
        """This machine seen from pods: bind a test server to it."""
        return str(self._instance.host_address)

    @property
    def node_name(self) -> str:
        return self._instance.node_name

    @property
    def pod_cidr(self) -> IPv4Network:
        return self._instance.pod_cidr

    @property
    def service_cidr(self) -> IPv4Network:
        return self._instance.service_cidr

    @property
    def logs(self) -> Path:
        return self._instance.folder / "logs"

    @staticmethod
    def binary(name: str) -> Path:
        """A program that belongs to the cluster's version: kubectl, helm ..."""
        return binaries.binary(name)

    def unassigned_pod_address(self) -> str:
        """An address of the pod range that no pod has or will get soon: connecting to it fails,
        and nothing leaves the machine.

        It is the last usable one of the first node's range; addresses are handed out upwards from
        the first.
        """
        first_node = next(self.pod_cidr.subnets(new_prefix=22))
        return str(IPv4Address(int(first_node.broadcast_address) - 1))

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """Run kubectl as administrator; its output, or ClusterError with what it said."""
        return _run(
            [str(binaries.binary("kubectl")), f"--kubeconfig={self.kubeconfig}", *arguments], stdin
        )

    def helm(self, *arguments: str, stdin: str | None = None) -> str:
        """Run Helm as administrator; its output, or ClusterError with what it said."""
        return _run(
            [str(binaries.binary("helm")), f"--kubeconfig={self.kubeconfig}", *arguments], stdin
        )

    def load_image(self, tag: str) -> None:
        """Bring an image that was built here onto the node; what is there already is not copied
        again.
        """
        wanted = image_store.image(tag)
        if f"{tag} {wanted.digest}" in self._images():
            return
        with step(f"loading {tag}"), locked(self._instance.folder / "images.lock"):
            present = set(self._ctr("content", "ls", "--quiet").split())
            # Uncompressed layers: unpacking is the work, and it is skipped for layers that another
            # image brought.
            with subprocess.Popen(
                [*self._ctr_command(), "images", "import", "--digests=false", "-"],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            ) as importer:
                assert importer.stdin
                assert importer.stderr
                try:
                    image_store.stream(wanted, present, importer.stdin)
                    importer.stdin.close()
                except BrokenPipeError:
                    pass  # its own words, below, tell why it went
                words = importer.stderr.read().decode()
            if importer.returncode:
                raise ClusterError(
                    f"containerd did not take {tag}: {words.strip()}. "
                    f"See {self.logs}/containerd.log."
                )

    def _images(self) -> set[str]:
        rows = (line.split() for line in self._ctr("images", "ls").splitlines()[1:])
        return {f"{row[0]} {row[2]}" for row in rows}

    def _ctr(self, *arguments: str) -> str:
        return _run([*self._ctr_command(), *arguments])

    def _ctr_command(self) -> list[str]:
        return [
            "ctr",
            "--address",
            str(node.containerd_socket(self._instance)),
            "--namespace",
            "k8s.io",
        ]

    def _is_whole(self, *, nodes: bool) -> bool:
        """Whether everything that was started still runs, and it is at least what is asked for."""
        expected = self._instance.folder / "whole.json"
        if not expected.exists():
            return False
        what: dict[str, Any] = json.loads(expected.read_text())
        alive = {process.name for process in processes.known(self._instance) if process.is_alive()}
        return (
            alive >= set(what["processes"])
            and (what["nodes"] or not nodes)
            and control_plane.is_ready(self._instance)
        )

    def _start(self, *, nodes: bool) -> None:
        one = self._instance
        one.folder.mkdir(parents=True)
        authority = Authority(one.folder / "pki", datetime.now(UTC))
        network.create(one)
        cgroups.create(one.cgroup)
        if nodes:
            # It starts while the API server does.
            containerd = node.start_containerd(one)
        control_plane.start_api_server(one, authority)
        control_plane.start_controllers(one, authority, scheduler=nodes)
        administrator = kubeconfig.write(
            one.folder / "administrator.kubeconfig",
            one,
            authority,
            "administrator",
            ("system:masters",),
        )
        if nodes:
            self._start_node(authority, containerd, administrator)
        self._wait_for_default_account(administrator)
        started = [process.name for process in processes.known(one)]
        (one.folder / "whole.json").write_text(json.dumps({"nodes": nodes, "processes": started}))
        administrator.rename(one.kubeconfig)

    def _start_node(
        self, authority: Authority, containerd: processes.Process, administrator: Path
    ) -> None:
        one = self._instance
        kubectl = [str(binaries.binary("kubectl")), f"--kubeconfig={administrator}"]
        with step("node"):
            tag = node.PAUSE_IMAGE
            image_store.add_single_file_image(
                tag, Path(shutil.which("catatonit") or ""), "/catatonit", ["/catatonit", "-P"]
            )
            self.load_image(tag)
            listing = {"apiVersion": "v1", "kind": "List", "items": service_dns.objects(one)}
            _run([*kubectl, "apply", "-f", "-"], json.dumps(listing))
            started = [
                node.start_kubelet(one, authority, containerd),
                node.start_proxy(one, authority),
                service_dns.start(one, authority),
            ]

            def is_ready() -> bool:
                path = "{.status.conditions[?(@.type=='Ready')].status}"
                asked = [
                    *kubectl,
                    "get",
                    "node",
                    one.node_name,
                    "--ignore-not-found",
                    "-o",
                    f"jsonpath={path}",
                ]
                return _run(asked) == "True"

            processes.wait_until(
                "A Ready node", is_ready, [containerd, *started], one, within_s=120
            )

    def _wait_for_default_account(self, administrator: Path) -> None:
        """The last thing a new cluster makes by itself, and the first one a pod needs."""
        asked = [
            str(binaries.binary("kubectl")),
            f"--kubeconfig={administrator}",
            "get",
            "serviceaccount",
            "default",
            "--ignore-not-found",
        ]
        managers = [
            process
            for process in processes.known(self._instance)
            if process.name == "kube-controller-manager"
        ]
        processes.wait_until(
            "A default service account",
            lambda: bool(_run(asked)),
            managers,
            self._instance,
            within_s=60,
        )


def _clear(one: Instance) -> None:
    """Remove whatever is there of an instance, running or left by a dead run."""
    known = processes.known(one)
    # The kubelet first, or it would restart what we stop; then the others, etcd among them.
    processes.stop(one, [process for process in known if process.name == "kubelet"])
    processes.kill_cgroup(one)
    processes.stop(one, known, within_s=5)
    network.remove(one)
    node.remove_leftovers(one)
    cgroups.remove(one.cgroup)


def _require_programs() -> None:
    missing = [
        program
        for program in PROGRAMS
        if shutil.which(program, path="/usr/sbin:/usr/bin:/sbin:/bin") is None
    ]
    if missing:
        raise ClusterError(
            f"Missing programs: {', '.join(missing)}. "
            "Run tests/support/local_cluster/prerequisites.sh as root."
        )


def _run(command: Sequence[str], stdin: str | None = None) -> str:
    result = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
    if result.returncode:
        said = (result.stderr or result.stdout).strip()
        raise ClusterError(f"`{Path(command[0]).name} {' '.join(command[1:])}` failed: {said}")
    return result.stdout


def say_status(one: Instance) -> None:
    """One line per process of the instance."""
    for process in processes.known(one):
        alive = "running" if process.is_alive() else "DEAD"
        say(f"{one.name:20} {process.name:26} pid {process.pid:<8} {alive}")
