# SPDX-License-Identifier: Apache-2.0
"""Where the cameras of a measurement stand: a network namespace of their own, an address for each,
and one line to this machine that can be cut.

Used by `running_fleet.py`, and by `last_will.py` after a kill. The namespace has no default route,
and this machine routes the cameras' range to the line or nowhere, so no packet leaves the machine.
A cut is a firewall rule at the far end: packets vanish, nobody is told.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

NUMBERS = range(16)
SITE_PREFIX = 27
"""A site is a subnet of thirty addresses."""

_RULES = """
table inet line {
    set cut { type ipv4_addr; flags interval; }
    chain from_workers {
        type filter hook prerouting priority raw;
        ip daddr @cut drop
    }
    chain to_workers {
        type filter hook output priority raw;
        ip saddr @cut drop
    }
}
"""


class NetworkError(RuntimeError):
    """`ip` or `nft` refused; the text says what and why."""


@dataclass(frozen=True)
class SourceNetwork:
    """One of sixteen; no two share a name or an address."""

    number: int

    @property
    def namespace(self) -> str:
        return f"camfleet-source{self.number}"

    @property
    def interface(self) -> str:
        """This machine's end of the line."""
        return f"camfleet-src{self.number}"

    @property
    def cameras(self) -> IPv4Network:
        return IPv4Network(f"10.246.{16 * self.number}.0/20")

    def site(self, site: int) -> IPv4Network:
        """The addresses of a site, numbered from 0."""
        first = int(self.cameras.network_address) + site * 2 ** (32 - SITE_PREFIX)
        return IPv4Network((first, SITE_PREFIX))

    def address(self, site: int, camera: int) -> IPv4Address:
        """The address of a camera, numbered from 0 within its site."""
        return self.site(site)[camera + 1]

    def create(self) -> None:
        """Lay the line. Expects that `remove` went before."""
        name, line = self.namespace, self.interface
        near, far = f"10.247.{self.number}.1", f"10.247.{self.number}.2"
        _run("ip", "netns", "add", name)
        _run("ip", "link", "add", line, "type", "veth", "peer", "name", "eth0", "netns", name)
        _run("ip", "addr", "add", f"{near}/30", "dev", line)
        _run("ip", "link", "set", line, "up")
        _run("ip", "-n", name, "addr", "add", f"{far}/30", "dev", "eth0")
        _run("ip", "-n", name, "link", "set", "eth0", "up")
        _run("ip", "-n", name, "link", "set", "lo", "up")
        # Every address of the range is local there: cameras bind theirs, none need be configured.
        _run("ip", "-n", name, "route", "add", "local", str(self.cameras), "dev", "lo")
        # Without the line there is no way, least of all the default route.
        _run("ip", "route", "add", "unreachable", str(self.cameras), "metric", "4000")
        _run("ip", "route", "add", str(self.cameras), "via", far, "dev", line)
        self._nft(_RULES)

    def remove(self) -> None:
        """Take everything away; quiet when it is not there."""
        if Path(f"/sys/class/net/{self.interface}").exists():
            _run("ip", "link", "delete", self.interface)
        if Path(f"/run/netns/{self.namespace}").exists():
            _run("ip", "netns", "delete", self.namespace)
        if str(self.cameras) in _run("ip", "route", "show", "type", "unreachable"):
            _run("ip", "route", "delete", "unreachable", str(self.cameras), "metric", "4000")

    def cut(self, addresses: IPv4Network) -> None:
        """From now on packets from and to these addresses vanish."""
        self._nft(f"add element inet line cut {{ {addresses} }}")

    def restore(self, addresses: IPv4Network) -> None:
        """Mend a cut."""
        self._nft(f"delete element inet line cut {{ {addresses} }}")

    def inside(self, command: Sequence[str]) -> list[str]:
        """The command that runs another one in there."""
        return ["nsenter", f"--net=/run/netns/{self.namespace}", *command]

    def _nft(self, rules: str) -> None:
        _run(*self.inside(["nft", "-f", "-"]), stdin=rules)


def _run(*command: str, stdin: str | None = None) -> str:
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NetworkError(f"`{' '.join(command)}` failed: {done.stderr.strip()}. It needs root.")
    return done.stdout
