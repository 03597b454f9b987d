# SPDX-License-Identifier: Apache-2.0
"""The cluster that the demo runs on: one of ours, or the one the current kube-context names."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from demo.progress import DemoFailed
from local_cluster import Cluster, ClusterError
from local_cluster.image_build import build_image

ROOT = Path(__file__).parents[3]


class Target(Protocol):
    """Where the demo goes."""

    def run(self, *arguments: str, stdin: str | None = None) -> str:
        """kubectl; raises DemoFailed with what it printed."""
        ...

    def helm(self, *arguments: str) -> str:
        """helm against the same cluster."""
        ...

    def provide_image(self, containerfile: Path, context: Path, tag: str) -> str:
        """Build an image and bring it to the nodes; answers the name pods use."""
        ...

    def powered_off_address(self) -> str:
        """An address of the pod network at which nothing answers."""
        ...

    def remove(self) -> None:
        """Take the cluster away, if it is ours."""
        ...


def _called(program: str, arguments: tuple[str, ...], stdin: str | None = None) -> str:
    result = subprocess.run(
        [program, *arguments], input=stdin, capture_output=True, text=True, check=False
    )
    if result.returncode != 0:
        command = " ".join((Path(program).name, *arguments))
        raise DemoFailed(f"{command}\n{result.stdout}{result.stderr}")
    return result.stdout


class LocalTarget:
    """A local cluster of ours; the tests' one has another name, so neither disturbs the other."""

    def __init__(self, name: str = "demo") -> None:
        self._cluster = Cluster.up(name)

    def run(self, *arguments: str, stdin: str | None = None) -> str:
        try:
            return self._cluster.kubectl(*arguments, stdin=stdin)
        except ClusterError as error:
            raise DemoFailed(str(error)) from error

    def helm(self, *arguments: str) -> str:
        try:
            return self._cluster.helm(*arguments)
        except ClusterError as error:
            raise DemoFailed(str(error)) from error

    def provide_image(self, containerfile: Path, context: Path, tag: str) -> str:
        build_image(containerfile, context, tag)
        self._cluster.load_image(tag)
        return tag

    def powered_off_address(self) -> str:
        return self._cluster.unassigned_pod_address()

    def remove(self) -> None:
        self._cluster.down()


class CurrentTarget:
    """The cluster of the current kube-context; images go by docker to kind or to a registry.

    `REGISTRY` names a registry that the nodes can pull from. Without it the context must be a
    kind cluster of this machine.
    """

    def __init__(self) -> None:
        self._context = self.run("config", "current-context").strip()
        self._registry = os.environ.get("REGISTRY", "")
        if not self._registry and not self._context.startswith("kind-"):
            raise DemoFailed(
                f"context {self._context} is not a kind cluster: set REGISTRY to a registry "
                "that its nodes can pull from"
            )
        if shutil.which("docker") is None:
            raise DemoFailed("docker is needed to build images for a cluster that is not ours")

    def run(self, *arguments: str, stdin: str | None = None) -> str:
        return _called("kubectl", arguments, stdin)

    def helm(self, *arguments: str) -> str:
        return _called("helm", arguments)

    def provide_image(self, containerfile: Path, context: Path, tag: str) -> str:
        name = tag.replace("localhost", self._registry, 1) if self._registry else tag
        base = "docker.io/library/debian:bookworm"
        if containerfile.is_relative_to(ROOT / "charts"):
            base = "docker.io/library/python:3.11-slim-bookworm"
        build = ("build", "-f", str(containerfile), "--build-arg", f"BASE={base}", "-t", name)
        _called("docker", (*build, str(context)))
        if self._registry:
            _called("docker", ("push", name))
        else:
            cluster = self._context.removeprefix("kind-")
            _called("kind", ("load", "docker-image", name, "--name", cluster))
        return name

    def powered_off_address(self) -> str:
        """The last address of the first node's pod range: the range fills from its start."""
        import ipaddress

        nodes = json.loads(self.run("get", "nodes", "-o", "json"))["items"]
        cidr = nodes[0]["spec"].get("podCIDR")
        if cidr is None:
            raise DemoFailed("the first node has no podCIDR to take an unassigned address from")
        return str(ipaddress.ip_network(cidr)[-2])

    def remove(self) -> None:
        """The cluster is not ours."""


TARGETS: dict[str, Callable[[], Target]] = {"local": LocalTarget, "current": CurrentTarget}


def get_json(target: Target, *arguments: str) -> Any:
    """`kubectl get … -o json`, parsed."""
    return json.loads(target.run("get", *arguments, "-o", "json"))


def get_through_service(target: Target, namespace: str, service: str, path: str) -> Any:
    """JSON from a service of the cluster through the API server's proxy: works from anywhere."""
    raw = f"/api/v1/namespaces/{namespace}/services/{service}/proxy{path}"
    return json.loads(target.run("get", "--raw", raw))
