# SPDX-License-Identifier: Apache-2.0
"""The fleet of a measurement on paper: what a province would declare, and the cameras that stand
there. Pure; used by `running_fleet.py`."""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import Any

from camfleet_api.names import CREDENTIALS_SECRET_TYPE
from fleet_objects import camera, enrolment, profile, site

from .source_network import SourceNetwork

Raw = dict[str, Any]

NAMESPACE = "fleet"
ACCOUNT = "ingest"
LOCKOUT_AFTER = 5
"""Refused logins until a camera locks the account."""
ONVIF_PORT, RTSP_PORT = 80, 554


@dataclass(frozen=True)
class DeclaredCamera:
    """A camera by name, with its place."""

    name: str
    site: str
    host: IPv4Address
    opens: bool
    """Whether the declared password is the camera's."""


@dataclass
class DeclaredFleet:
    """Sites of so many cameras; the last `strangers` have another password than declared."""

    network: SourceNetwork
    sites: int
    cameras_per_site: int
    strangers: int = 0
    connects_per_s: int = 5
    cameras: list[DeclaredCamera] = field(default_factory=list)

    def __post_init__(self) -> None:
        total = self.sites * self.cameras_per_site
        for number in range(total):
            at, place = divmod(number, self.cameras_per_site)
            self.cameras.append(
                DeclaredCamera(
                    f"s{at:02d}-c{place:02d}",
                    site_name(at),
                    self.network.address(at, place),
                    opens=number < total - self.strangers,
                )
            )
        self._passwords = {site_name(at): secrets.token_urlsafe(12) for at in range(self.sites)}

    @property
    def opening(self) -> set[str]:
        """Cameras that must become Ready."""
        return {one.name for one in self.cameras if one.opens}

    @property
    def site_of(self) -> dict[IPv4Address, str]:
        return {one.host: one.site for one in self.cameras}

    def national(self) -> list[Raw]:
        """What is declared once for all provinces."""
        video = {"minFramesPerSecond": 1, "minHeight": 240}
        return [profile("fleet", video=video, recording={"enabled": False})]

    def province(self) -> list[Raw]:
        """Enrolment, Secrets and Sites."""
        named = [site_name(at) for at in range(self.sites)]
        sites = [
            site(
                NAMESPACE,
                name,
                profileRef="fleet",
                monitoringSystemRefs=[],
                connectBudget={"perSecond": self.connects_per_s},
            )
            for name in named
        ]
        return [enrolment(NAMESPACE), *(self._secret(name) for name in named), *sites]

    def camera_objects(self) -> list[Raw]:
        """The Cameras."""
        ports = {"onvif": ONVIF_PORT, "rtsp": RTSP_PORT}
        return [
            camera(NAMESPACE, one.name, one.site, host=str(one.host), ports=ports)
            for one in self.cameras
        ]

    def simulated(self) -> list[Raw]:
        """The same cameras for the simulator."""
        return [
            {
                "name": one.name,
                "host": str(one.host),
                "onvif_port": ONVIF_PORT,
                "rtsp_port": RTSP_PORT,
                "resolution": "240p",
                "username": ACCOUNT,
                "password": self._passwords[one.site] if one.opens else secrets.token_urlsafe(12),
                "lockout_after": LOCKOUT_AFTER,
                "start_frame": 7 * number % 60,
            }
            for number, one in enumerate(self.cameras)
        ]

    def _secret(self, name: str) -> Raw:
        values = {"username": ACCOUNT, "password": self._passwords[name]}
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": f"{name}-cameras", "namespace": NAMESPACE},
            "type": CREDENTIALS_SECRET_TYPE,
            "data": {k: base64.b64encode(v.encode()).decode() for k, v in values.items()},
        }


def site_name(number: int) -> str:
    """Name of the n-th Site."""
    return f"site{number:02d}"
