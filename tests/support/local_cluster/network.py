# SPDX-License-Identifier: Apache-2.0
"""A network namespace per instance, joined to this machine by one cable (a veth pair) and to
nothing else.

Used by `cluster.py`. The namespace has no default route, so no packet of a pod, a node or a
control plane can leave the machine, whatever its address; kube-proxy's tables, pods,
sysctls and every port are the instance's own; and removing it removes them all.
"""

import subprocess
from pathlib import Path

from local_cluster.errors import ClusterError
from local_cluster.instance import Instance


def create(instance: Instance) -> None:
    """Lay the cable and the routes. Expects that `remove` went before."""
    name, cable = instance.network_namespace, instance.host_interface
    _ip("netns", "add", name)
    _ip("link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", name)
    _ip("addr", "add", f"{instance.host_address}/24", "dev", cable)
    _ip("link", "set", cable, "up")
    _ip("-n", name, "addr", "add", f"{instance.node_address}/24", "dev", "eth0")
    _ip("-n", name, "link", "set", "eth0", "up")
    _ip("-n", name, "link", "set", "lo", "up")
    # For an address of no pod the sender hears at once that
    # there is no way.
    _ip("-n", name, "route", "add", "unreachable", str(instance.pod_cidr), "metric", "4000")
    # What runs on the node itself is routed before kube-proxy's rules see it: without a route it
    # could not reach a service address. An address of no service ends here, in an unanswered ARP
    # question.
    _ip("-n", name, "route", "add", str(instance.service_cidr), "dev", "eth0")
    _sysctl(instance, "net/ipv4/ip_forward", "1")
    # "No way" is answered every time; the default is one such answer a second.
    _sysctl(instance, "net/ipv4/icmp_ratelimit", "0")
    # From this machine pods are reached through the node; service addresses go through kube-proxy
    # on the node as well.
    for network in (instance.pod_cidr, instance.service_cidr):
        _ip("route", "replace", str(network), "via", str(instance.node_address), "dev", cable)


def remove(instance: Instance) -> None:
    """Take the namespace and the cable away; quiet when they are not there."""
    if Path(f"/sys/class/net/{instance.host_interface}").exists():
        _ip("link", "delete", instance.host_interface)  # its routes and the other end go with it
    if Path(f"/run/netns/{instance.network_namespace}").exists():
        _ip("netns", "delete", instance.network_namespace)


def _sysctl(instance: Instance, key: str, value: str) -> None:
    command = [
        "nsenter",
        f"--net=/run/netns/{instance.network_namespace}",
        "sh",
        "-c",
        f"echo {value} > /proc/sys/{key}",
    ]
    subprocess.run(command, check=True)


def _ip(*arguments: str) -> None:
    result = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if result.returncode:
        raise ClusterError(
            f"`ip {' '.join(arguments)}` failed: {result.stderr.strip()}. "
            "It needs root and a kernel with veth."
        )
