# SPDX-License-Identifier: Apache-2.0
"""Which device an address names, and what names an account on it.

The operator and the worker compare devices by `DeviceAddress` and by nothing else: were one
spelling two devices for the one and a single device for the other, a device's account would be
tried twice as often as its lockout allows. Nothing here connects anywhere: programs connect to the
host as it was declared.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv6Address, ip_address


@dataclass(frozen=True, slots=True, order=True)
class DeviceAddress:
    """Host and ONVIF port, as workers reach them. Two spellings of one address are equal.

    The port belongs to it because a site's router may show many devices under one host. The RTSP
    port does not: one RTSP server may serve many devices.
    """

    host: str
    """Normalised: see `normalised_host`."""
    port: int
    """ONVIF port."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "host", normalised_host(self.host))

    def __str__(self) -> str:
        """host:port as in a URL (RFC 3986 section 3.2.2: IPv6 in brackets)."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


# A plan compares every camera and every row of a site's network, a worker its cameras twice a
# second: parsing costs 3 to 8 microseconds, remembering a tenth of one.
@lru_cache(maxsize=16_384)
def normalised_host(host: str) -> str:
    """One spelling for all spellings of a host.

    A name in lower case (RFC 4343) without the dot of the root; an IPv6 address without brackets
    and compressed (RFC 5952), an IPv4 address that IPv6 carries (RFC 4291 section 2.5.5.2) as
    IPv4.
    """
    plain = host.lower().removeprefix("[").removesuffix("]")
    try:
        address = ip_address(plain)
    except ValueError:
        return host.lower().rstrip(".") or host
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address.compressed


def account_key(device: DeviceAddress, username: str, version: str) -> str:
    """Name one account of one device in the ledger of login attempts, without revealing it.

    `version` names the values in the Secret: other values are another account. NUL separates the
    parts because none of them can hold one. The key stands in Camera.status.attempts: a change of
    its form would give each account fresh attempts after an upgrade.
    """
    account = "\0".join((f"{device.host}:{device.port}", username, version))
    return hashlib.sha256(account.encode()).hexdigest()[:16]
