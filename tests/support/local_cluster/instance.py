# SPDX-License-Identifier: Apache-2.0
"""An instance is a name and a number; every address, interface and folder of a cluster follows
from these two.

Built by `cluster.py`. It computes and remembers numbers; it starts nothing.
"""

import json
import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from local_cluster.errors import ClusterError
from local_cluster.places import lock, locked, state

# The third octet of the node address, and a /20 out of the pod and the service /16: fifteen
# instances fit.
HIGHEST_NUMBER = 15
# A DNS label, and short enough that the network namespace and cgroup named after it stay readable.
NAME = re.compile(r"[a-z]([a-z0-9-]{0,18}[a-z0-9])?")


@dataclass(frozen=True)
class Instance:
    """The places and addresses of one cluster. No two instances share any of them."""

    name: str
    number: int

    @property
    def folder(self) -> Path:
        return state() / self.name

    @property
    def kubeconfig(self) -> Path:
        return self.folder / "kubeconfig"

    @property
    def node_name(self) -> str:
        return f"camfleet-{self.name}"

    @property
    def network_namespace(self) -> str:
        return f"camfleet-{self.name}"

    @property
    def cgroup(self) -> str:
        return f"camfleet-{self.name}"

    @property
    def host_interface(self) -> str:
        return f"camfleet{self.number}"

    @property
    def node_address(self) -> IPv4Address:
        return IPv4Address(f"10.245.{self.number}.1")

    @property
    def host_address(self) -> IPv4Address:
        """This machine as pods and the node see it: what a server outside of the cluster binds to
        be reached.
        """
        return IPv4Address(f"10.245.{self.number}.254")

    @property
    def pod_cidr(self) -> IPv4Network:
        return IPv4Network(f"10.244.{16 * self.number}.0/20")

    @property
    def service_cidr(self) -> IPv4Network:
        return IPv4Network(f"10.96.{16 * self.number}.0/20")

    @property
    def api_service_address(self) -> IPv4Address:
        return self.service_cidr[1]

    @property
    def dns_address(self) -> IPv4Address:
        return self.service_cidr[10]

    @property
    def server(self) -> str:
        return f"https://{self.node_address}:6443"


def instance(name: str) -> Instance:
    """The instance of that name; a new name gets the lowest free number and keeps it until
    `forget`.
    """
    if not NAME.fullmatch(name):
        raise ClusterError(
            f"{name!r} is no instance name. Use lower-case letters, digits and dashes, at most 20."
        )
    with locked(lock("instances")):
        numbers = _numbers()
        if name not in numbers:
            free = set(range(1, HIGHEST_NUMBER + 1)) - set(numbers.values())
            if not free:
                raise ClusterError(
                    f"All {HIGHEST_NUMBER} instance numbers are taken. "
                    "Stop one with `down --name NAME`."
                )
            numbers[name] = min(free)
            _write(numbers)
        return Instance(name, numbers[name])


def instances() -> list[Instance]:
    """Every instance that has a number, running or not."""
    with locked(lock("instances")):
        return [Instance(name, number) for name, number in sorted(_numbers().items())]


def forget(name: str) -> None:
    """Free the number of an instance of which nothing is left."""
    with locked(lock("instances")):
        numbers = _numbers()
        if numbers.pop(name, None) is not None:
            _write(numbers)


def _numbers() -> dict[str, int]:
    path = state() / "instances.json"
    return dict(json.loads(path.read_text())) if path.exists() else {}


def _write(numbers: dict[str, int]) -> None:
    path = state() / "instances.json"
    if not numbers:
        path.unlink()
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(numbers))
    fresh.rename(path)
