# SPDX-License-Identifier: Apache-2.0
"""Everything that the environment configures, read once at start.

The operator writes these variables into the worker's Deployment; `app` passes the result on.
Nothing else in the package reads the environment. SETTINGS.md beside this file is generated from
the declarations.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from camfleet_base.environment import (
    Variable,
    number,
    service_account,
    text,
    whole,
)

SHARD = text("CAMFLEET_SHARD", "Name of the IngestShard, of the Lease and of the Deployment.")
NAMESPACE = text("CAMFLEET_NAMESPACE", "Namespace of the worker and of its cameras.")
POD_NAME = text("POD_NAME", "Name of the pod: the holder of the Lease; none: the shard's name.", "")
POD_IP = text("POD_IP", "Address of the pod, on which the viewer's listener is.", "")
KUBECONFIG = text(
    "KUBECONFIG", "A kubeconfig, used where there is no service account: outside a cluster.", ""
)
RECORDINGS = text(
    "CAMFLEET_RECORDINGS", "Where the recording volume is mounted.", "/recordings", "a path"
)
RECORDINGS_MAX_BYTES = whole(
    "CAMFLEET_RECORDINGS_MAX_BYTES",
    "The oldest recordings are deleted beyond it; 0: when the volume is full.",
    0,
    2**60,
    0,
)
STATE = text(
    "CAMFLEET_STATE",
    "Folder of what must survive the container, in memory of the pod.",
    "/state",
    "a path",
)
LEASE_SECONDS = number(
    "CAMFLEET_LEASE_SECONDS",
    "How long the operator believes in the worker without a renewal.",
    2,
    600,
    40,
)
STATUS_WRITES_PER_S = number(
    "CAMFLEET_STATUS_WRITES_PER_S",
    "Status writes a second, on average, after a burst of ten seconds' worth.",
    0.1,
    1000,
    10,
)
TICK_MS = number(
    "CAMFLEET_TICK_MS",
    "How often, in milliseconds, the media loop hands on what was received.",
    10,
    1000,
    100,
)
METRICS_ADDRESS = text(
    "CAMFLEET_METRICS_ADDRESS", "Address of probes and metrics.", "0.0.0.0", "an IP address"
)
METRICS_PORT = whole(
    "CAMFLEET_METRICS_PORT", "Port of probes and metrics; 0: any free one.", 0, 65535, 9090
)
SNAPSHOT_PORT = whole(
    "CAMFLEET_SNAPSHOT_PORT",
    "Port of snapshots and journals on the loopback address, for `kubectl port-forward`.",
    0,
    65535,
    9091,
)
SNAPSHOT_VIEWER_AUDIENCE = text(
    "CAMFLEET_SNAPSHOT_VIEWER_AUDIENCE",
    "Audience of the viewer's tokens; with it or the next, all of the viewer's must be set.",
    "",
)
SNAPSHOT_VIEWER_ACCOUNT = service_account(
    "CAMFLEET_SNAPSHOT_VIEWER_ACCOUNT", "ServiceAccount of the viewer.", ""
)
SNAPSHOT_VIEWER_PORT = whole(
    "CAMFLEET_SNAPSHOT_VIEWER_PORT", "Port of the viewer's listener.", 0, 65535, 9092
)

VARIABLES: tuple[Variable[Any], ...] = (
    SHARD,
    NAMESPACE,
    POD_NAME,
    POD_IP,
    KUBECONFIG,
    RECORDINGS,
    RECORDINGS_MAX_BYTES,
    STATE,
    LEASE_SECONDS,
    STATUS_WRITES_PER_S,
    TICK_MS,
    METRICS_ADDRESS,
    METRICS_PORT,
    SNAPSHOT_PORT,
    SNAPSHOT_VIEWER_AUDIENCE,
    SNAPSHOT_VIEWER_ACCOUNT,
    SNAPSHOT_VIEWER_PORT,
)
"""All of them, in the order of the reference."""


@dataclass(frozen=True, slots=True)
class ViewerSettings:
    """The viewer that may see snapshots on the second listener, and where that listens."""

    audience: str
    """What its tokens must be for."""
    user: str
    """As the API server names a ServiceAccount: system:serviceaccount:<namespace>:<name>."""
    address: str
    """The pod's own."""
    port: int


@dataclass(frozen=True, slots=True)
class Settings:
    """What configures one worker process."""

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
        """Read the environment. Raises SettingsError."""
        shard = SHARD.read(environment)
        kubeconfig = KUBECONFIG.read(environment)
        return cls(
            shard=shard,
            namespace=NAMESPACE.read(environment),
            holder=POD_NAME.read(environment) or shard,
            recordings=Path(RECORDINGS.read(environment)),
            recordings_max_bytes=RECORDINGS_MAX_BYTES.read(environment) or None,
            state=Path(STATE.read(environment)),
            metrics_address=METRICS_ADDRESS.read(environment),
            metrics_port=METRICS_PORT.read(environment),
            snapshot_port=SNAPSHOT_PORT.read(environment),
            viewer=_viewer(environment),
            tick_s=TICK_MS.read(environment) / 1000,
            status_writes_per_s=STATUS_WRITES_PER_S.read(environment),
            lease_s=LEASE_SECONDS.read(environment),
            kubeconfig=Path(kubeconfig) if kubeconfig else None,
        )


def _viewer(environment: Mapping[str, str]) -> ViewerSettings | None:
    """The second listener; half of its settings is a mistake and must not pass for none."""
    named = SNAPSHOT_VIEWER_AUDIENCE.read(environment) or SNAPSHOT_VIEWER_ACCOUNT.read(environment)
    if not named:
        return None
    return ViewerSettings(
        audience=SNAPSHOT_VIEWER_AUDIENCE.demand(environment),
        user=f"system:serviceaccount:{SNAPSHOT_VIEWER_ACCOUNT.demand(environment)}",
        address=POD_IP.demand(environment),
        port=SNAPSHOT_VIEWER_PORT.read(environment),
    )
