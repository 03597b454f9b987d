# SPDX-License-Identifier: Apache-2.0
"""Everything that the environment says, read once at start.

The operator writes these variables into the worker's Deployment; `app` passes the result on.
Nothing else in the package reads the environment.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

SHARD = "CAMFLEET_SHARD"
NAMESPACE = "CAMFLEET_NAMESPACE"
RECORDINGS = "CAMFLEET_RECORDINGS"
RECORDINGS_MAX_BYTES = "CAMFLEET_RECORDINGS_MAX_BYTES"
STATE = "CAMFLEET_STATE"
METRICS_PORT = "CAMFLEET_METRICS_PORT"
METRICS_ADDRESS = "CAMFLEET_METRICS_ADDRESS"
SNAPSHOT_PORT = "CAMFLEET_SNAPSHOT_PORT"
SNAPSHOT_VIEWER_AUDIENCE = "CAMFLEET_SNAPSHOT_VIEWER_AUDIENCE"
SNAPSHOT_VIEWER_ACCOUNT = "CAMFLEET_SNAPSHOT_VIEWER_ACCOUNT"
SNAPSHOT_VIEWER_PORT = "CAMFLEET_SNAPSHOT_VIEWER_PORT"
POD_IP = "POD_IP"
TICK_MS = "CAMFLEET_TICK_MS"
STATUS_WRITES_PER_S = "CAMFLEET_STATUS_WRITES_PER_S"
LEASE_SECONDS = "CAMFLEET_LEASE_SECONDS"
POD_NAME = "POD_NAME"
KUBECONFIG = "KUBECONFIG"


class SettingsInvalid(ValueError):
    """The environment lacks something, or holds something that cannot be meant."""


_ACCOUNT = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?:[a-z0-9]([-.a-z0-9]*[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class ViewerSettings:
    """Who may see snapshots on the second listener, and where it listens."""

    audience: str
    """What its tokens must be for."""
    user: str
    """As the API server names a ServiceAccount: system:serviceaccount:<namespace>:<name>."""
    address: str
    """The pod's own."""
    port: int


@dataclass(frozen=True, slots=True)
class Settings:
    """What one worker process is told from outside."""

    shard: str
    """Name of the IngestShard, of the Lease and of the worker's Deployment."""
    namespace: str
    holder: str
    """Name of the pod: the holder of the Lease."""
    recordings: Path
    recordings_max_bytes: int | None
    """The oldest recordings are deleted beyond it; None: when the volume is full."""
    state: Path
    metrics_address: str
    metrics_port: int
    """0: any free port (tests)."""
    snapshot_port: int
    """On the loopback address only: `kubectl port-forward` is the access control."""
    viewer: ViewerSettings | None
    """None: there is no second listener."""
    tick_s: float
    status_writes_per_s: float
    """An apply costs the API server 3–7 ms of CPU: a worker whose 200 cameras all fall or return
    takes 3–7 % of a core for some ten seconds, after a burst of a hundred writes."""
    lease_s: float
    """How long the operator believes in the worker without a renewal."""
    kubeconfig: Path | None
    """Used only where there is no service account, that is outside a cluster."""

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Settings:
        """Read the environment; SettingsInvalid names the variable that is wrong."""
        shard = _required(environment, SHARD)
        kubeconfig = environment.get(KUBECONFIG, "")
        return cls(
            shard=shard,
            namespace=_required(environment, NAMESPACE),
            holder=environment.get(POD_NAME) or shard,
            recordings=Path(environment.get(RECORDINGS) or "/recordings"),
            recordings_max_bytes=int(_number(environment, RECORDINGS_MAX_BYTES, 0, 0, 2**60))
            or None,
            state=Path(environment.get(STATE) or "/state"),
            metrics_address=environment.get(METRICS_ADDRESS) or "0.0.0.0",
            metrics_port=int(_number(environment, METRICS_PORT, 9090, 0, 65535)),
            snapshot_port=int(_number(environment, SNAPSHOT_PORT, 9091, 0, 65535)),
            viewer=_viewer(environment),
            tick_s=_number(environment, TICK_MS, 100, 10, 1000) / 1000,
            status_writes_per_s=_number(environment, STATUS_WRITES_PER_S, 10, 0.1, 1000),
            lease_s=_number(environment, LEASE_SECONDS, 40, 2, 600),
            kubeconfig=Path(kubeconfig) if kubeconfig else None,
        )


def _viewer(environment: Mapping[str, str]) -> ViewerSettings | None:
    """The second listener; half of its settings is a mistake and must not pass for none."""
    if not (environment.get(SNAPSHOT_VIEWER_AUDIENCE) or environment.get(SNAPSHOT_VIEWER_ACCOUNT)):
        return None
    account = _required(environment, SNAPSHOT_VIEWER_ACCOUNT)
    if _ACCOUNT.fullmatch(account) is None:
        raise SettingsInvalid(f"{SNAPSHOT_VIEWER_ACCOUNT} must be namespace:name: {account!r}")
    return ViewerSettings(
        audience=_required(environment, SNAPSHOT_VIEWER_AUDIENCE),
        user=f"system:serviceaccount:{account}",
        address=_required(environment, POD_IP),
        port=int(_number(environment, SNAPSHOT_VIEWER_PORT, 9092, 0, 65535)),
    )


def _required(environment: Mapping[str, str], name: str) -> str:
    value = environment.get(name, "")
    if not value:
        raise SettingsInvalid(f"{name} is not set")
    return value


def _number(
    environment: Mapping[str, str], name: str, default: float, least: float, most: float
) -> float:
    text = environment.get(name, "")
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        raise SettingsInvalid(f"{name} is not a number: {text!r}") from None
    if not least <= value <= most:
        raise SettingsInvalid(f"{name} must be between {least:g} and {most:g}: {text!r}")
    return value
