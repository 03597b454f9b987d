# SPDX-License-Identifier: Apache-2.0
"""The operator's settings: the environment, read once by `__main__` into a frozen object.

Called by `__main__` and by tests. Nothing else in this package reads the environment. A wrong value
stops the process at start, with the name of the variable and what it takes. SETTINGS.md beside this
file is generated from the declarations.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from camfleet_api.names import MAX_CAMERAS_PER_SHARD
from camfleet_base.environment import (
    SettingsError,
    Variable,
    choice,
    json_list,
    json_object,
    number,
    service_account,
    text,
    whole,
    words,
)

NAMESPACE = text("CAMFLEET_NAMESPACE", "Namespace of the operator and of its Lease.")
SERVICE_ACCOUNT = text(
    "CAMFLEET_SERVICE_ACCOUNT",
    "The operator's ServiceAccount: a namespace is enrolled where a RoleBinding names it.",
)
POD_NAME = text("POD_NAME", "Name of the pod: the identity in the leader's Lease.")
KUBECONFIG = text(
    "KUBECONFIG", "A kubeconfig; none: the pod's own account, as inside a cluster.", "", "a path"
)
LOG_LEVEL = choice(
    "CAMFLEET_LOG_LEVEL",
    "Least level of the operator's own log lines.",
    ("INFO", "DEBUG", "WARNING", "ERROR"),
)
HTTP_HOST = text("CAMFLEET_HTTP_HOST", "Address of probes and metrics; none: every address.", "")
HTTP_PORT = whole(
    "CAMFLEET_HTTP_PORT", "Port of probes and metrics; 0: any free one.", 0, 65535, 8081
)

CAMERAS_PER_SHARD = whole(
    "CAMFLEET_CAMERAS_PER_SHARD",
    "How many cameras a worker gets.",
    1,
    MAX_CAMERAS_PER_SHARD,
    MAX_CAMERAS_PER_SHARD,
)
SHARDS_PER_PLACEMENT = whole(
    "CAMFLEET_SHARDS_PER_PLACEMENT",
    "How many workers a placement of a namespace may have; cameras beyond are NoCapacity.",
    1,
    1000,
    50,
)
WRITES_PER_SECOND = number(
    "CAMFLEET_WRITES_PER_SECOND", "Writes to the API server, on average.", 1, 10000, 100
)
WRITES_BURST = whole("CAMFLEET_WRITES_BURST", "Writes to the API server at once.", 1, 10000, 200)
REQUEST_TIMEOUT_SECONDS = number(
    "CAMFLEET_REQUEST_TIMEOUT_SECONDS", "Deadline of a request to the API server.", 1, 120, 10
)
RESYNC_SECONDS = number(
    "CAMFLEET_RESYNC_SECONDS",
    "How often every kind is listed and compared with the store, and every namespace planned.",
    1,
    86400,
    600,
)
STALE_WATCH_SECONDS = number(
    "CAMFLEET_STALE_WATCH_SECONDS",
    "A watch that receives nothing for so long is dead, and the process ends. "
    "Bookmarks come about every 60 s.",
    90,
    3600,
    180,
)
EVENT_HOLD_SECONDS = number(
    "CAMFLEET_EVENT_HOLD_SECONDS",
    "How long transitions are held before their Event: a little more than the minute within which "
    "a site's devices count as fallen together.",
    0,
    600,
    65,
)

LEASE_NAME = text("CAMFLEET_LEASE_NAME", "Name of the leader's Lease.", "camfleet-operator")
ELECTION_LEASE_SECONDS = number(
    "CAMFLEET_ELECTION_LEASE_SECONDS",
    "A Lease that is not renewed for so long may be taken by another replica.",
    2,
    600,
    30,
)
ELECTION_RENEW_SECONDS = number(
    "CAMFLEET_ELECTION_RENEW_SECONDS",
    "A leader that could not renew for so long writes no more and ends.",
    1,
    600,
    20,
)
ELECTION_RETRY_SECONDS = number(
    "CAMFLEET_ELECTION_RETRY_SECONDS", "How often the Lease is renewed or tried.", 0.1, 60, 4
)

WORKER_IMAGE = text("CAMFLEET_WORKER_IMAGE", "Image of the workers.")
WORKER_IMAGE_PULL_POLICY = choice(
    "CAMFLEET_WORKER_IMAGE_PULL_POLICY",
    "Pull policy of the workers' image.",
    ("IfNotPresent", "Always", "Never"),
)
WORKER_IMAGE_PULL_SECRETS = words(
    "CAMFLEET_WORKER_IMAGE_PULL_SECRETS", "Secrets to pull the workers' image with."
)
WORKER_RESOURCES = json_object(
    "CAMFLEET_WORKER_RESOURCES",
    "Requests and limits of a worker's container.",
    {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "1Gi"}},
)
WORKER_ENV = json_object(
    "CAMFLEET_WORKER_ENV", "More environment variables of the workers, by name.", {}
)
WORKER_TOLERATIONS = json_list("CAMFLEET_WORKER_TOLERATIONS", "Tolerations of the workers' pods.")
WORKER_PRIORITY_CLASS = text(
    "CAMFLEET_WORKER_PRIORITY_CLASS", "PriorityClass of the workers' pods.", ""
)
WORKER_FS_GROUP = whole(
    "CAMFLEET_WORKER_FS_GROUP",
    "Group that owns the files of the recording volume.",
    1,
    2**31 - 1,
    65532,
)
WORKER_LEASE_SECONDS = whole(
    "CAMFLEET_WORKER_LEASE_SECONDS",
    "A worker whose Lease is not renewed for so long is lost. Workers renew every 10 s.",
    2,
    600,
    40,
)
WORKER_START_GRACE_SECONDS = number(
    "CAMFLEET_WORKER_START_GRACE_SECONDS",
    "How long a new worker may take to its first renewal before it counts as lost.",
    1,
    3600,
    120,
)

VIEWER_NAMESPACES = words(
    "CAMFLEET_SNAPSHOT_VIEWER_NAMESPACES",
    "Namespaces whose workers serve snapshots to a viewer; with any, the next two must be set.",
)
VIEWER_AUDIENCE = text(
    "CAMFLEET_SNAPSHOT_VIEWER_AUDIENCE", "Audience that the viewer's tokens must have.", ""
)
VIEWER_ACCOUNT = service_account(
    "CAMFLEET_SNAPSHOT_VIEWER_ACCOUNT", "ServiceAccount of the viewer.", ""
)
VIEWER_PORT = whole(
    "CAMFLEET_SNAPSHOT_VIEWER_PORT", "Port of the listener for the viewer.", 1, 65535, 9092
)

VARIABLES: tuple[Variable[Any], ...] = (
    NAMESPACE,
    SERVICE_ACCOUNT,
    POD_NAME,
    KUBECONFIG,
    LOG_LEVEL,
    HTTP_HOST,
    HTTP_PORT,
    CAMERAS_PER_SHARD,
    SHARDS_PER_PLACEMENT,
    WRITES_PER_SECOND,
    WRITES_BURST,
    REQUEST_TIMEOUT_SECONDS,
    RESYNC_SECONDS,
    STALE_WATCH_SECONDS,
    EVENT_HOLD_SECONDS,
    LEASE_NAME,
    ELECTION_LEASE_SECONDS,
    ELECTION_RENEW_SECONDS,
    ELECTION_RETRY_SECONDS,
    WORKER_IMAGE,
    WORKER_IMAGE_PULL_POLICY,
    WORKER_IMAGE_PULL_SECRETS,
    WORKER_RESOURCES,
    WORKER_ENV,
    WORKER_TOLERATIONS,
    WORKER_PRIORITY_CLASS,
    WORKER_FS_GROUP,
    WORKER_LEASE_SECONDS,
    WORKER_START_GRACE_SECONDS,
    VIEWER_NAMESPACES,
    VIEWER_AUDIENCE,
    VIEWER_ACCOUNT,
    VIEWER_PORT,
)
"""All settings, in the order of the reference."""


@dataclass(frozen=True, slots=True)
class SnapshotViewer:
    """The web page that may see snapshots on a second listener of the workers."""

    audience: str
    account: str
    """Its ServiceAccount, namespace:name."""
    namespaces: frozenset[str]
    """The namespaces whose workers listen for it. The chart gives only these workers the right to
    review its tokens, and has a NetworkPolicy only for their listeners."""
    port: int = VIEWER_PORT.default_value


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """The settings that every worker's Deployment has in common."""

    image: str
    image_pull_policy: str = WORKER_IMAGE_PULL_POLICY.default_value
    image_pull_secrets: tuple[str, ...] = ()
    resources: Mapping[str, Any] = field(default_factory=lambda: WORKER_RESOURCES.default_value)
    env: Mapping[str, str] = field(default_factory=dict)
    tolerations: tuple[Mapping[str, Any], ...] = ()
    priority_class_name: str = ""
    fs_group: int = WORKER_FS_GROUP.default_value
    lease_seconds: int = WORKER_LEASE_SECONDS.default_value
    start_grace_seconds: float = WORKER_START_GRACE_SECONDS.default_value
    viewer: SnapshotViewer | None = None


@dataclass(frozen=True, slots=True)
class ElectionSettings:
    """Timing of the leader's Lease. Python's loops stall longer than Go's, hence 30/20/4."""

    lease_name: str = LEASE_NAME.default_value
    lease_seconds: float = ELECTION_LEASE_SECONDS.default_value
    renew_deadline_seconds: float = ELECTION_RENEW_SECONDS.default_value
    retry_seconds: float = ELECTION_RETRY_SECONDS.default_value


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that the environment configures, and two periods that only tests change."""

    namespace: str
    service_account: str
    identity: str
    worker: WorkerSettings
    election: ElectionSettings = ElectionSettings()
    http_port: int = HTTP_PORT.default_value
    http_host: str = HTTP_HOST.default_value
    log_level: str = LOG_LEVEL.default_value
    kubeconfig: str = KUBECONFIG.default_value
    cameras_per_shard: int = CAMERAS_PER_SHARD.default_value
    shards_per_placement: int = SHARDS_PER_PLACEMENT.default_value
    writes_per_second: float = WRITES_PER_SECOND.default_value
    writes_burst: int = WRITES_BURST.default_value
    request_timeout_seconds: float = REQUEST_TIMEOUT_SECONDS.default_value
    resync_seconds: float = RESYNC_SECONDS.default_value
    stale_watch_seconds: float = STALE_WATCH_SECONDS.default_value
    event_hold_seconds: float = EVENT_HOLD_SECONDS.default_value
    site_status_interval_seconds: float = 2.0
    shard_interval_seconds: float = 1.0


def settings_from_env(env: Mapping[str, str]) -> Settings:
    """The settings that an environment describes. Raises SettingsError."""
    return Settings(
        namespace=NAMESPACE.read(env),
        service_account=SERVICE_ACCOUNT.read(env),
        identity=POD_NAME.read(env),
        worker=_worker(env),
        election=_election(env),
        http_port=HTTP_PORT.read(env),
        http_host=HTTP_HOST.read(env),
        log_level=LOG_LEVEL.read(env),
        kubeconfig=KUBECONFIG.read(env),
        cameras_per_shard=CAMERAS_PER_SHARD.read(env),
        shards_per_placement=SHARDS_PER_PLACEMENT.read(env),
        writes_per_second=WRITES_PER_SECOND.read(env),
        writes_burst=WRITES_BURST.read(env),
        request_timeout_seconds=REQUEST_TIMEOUT_SECONDS.read(env),
        resync_seconds=RESYNC_SECONDS.read(env),
        stale_watch_seconds=STALE_WATCH_SECONDS.read(env),
        event_hold_seconds=EVENT_HOLD_SECONDS.read(env),
    )


def _worker(env: Mapping[str, str]) -> WorkerSettings:
    return WorkerSettings(
        image=WORKER_IMAGE.read(env),
        image_pull_policy=WORKER_IMAGE_PULL_POLICY.read(env),
        image_pull_secrets=WORKER_IMAGE_PULL_SECRETS.read(env),
        resources=WORKER_RESOURCES.read(env),
        env=WORKER_ENV.read(env),
        tolerations=tuple(WORKER_TOLERATIONS.read(env)),
        priority_class_name=WORKER_PRIORITY_CLASS.read(env),
        fs_group=WORKER_FS_GROUP.read(env),
        lease_seconds=WORKER_LEASE_SECONDS.read(env),
        start_grace_seconds=WORKER_START_GRACE_SECONDS.read(env),
        viewer=_viewer(env),
    )


def _election(env: Mapping[str, str]) -> ElectionSettings:
    election = ElectionSettings(
        lease_name=LEASE_NAME.read(env),
        lease_seconds=ELECTION_LEASE_SECONDS.read(env),
        renew_deadline_seconds=ELECTION_RENEW_SECONDS.read(env),
        retry_seconds=ELECTION_RETRY_SECONDS.read(env),
    )
    if not election.retry_seconds < election.renew_deadline_seconds < election.lease_seconds:
        raise SettingsError(
            ELECTION_RENEW_SECONDS.name,
            f"is {election.renew_deadline_seconds:g}",
            f"more than {ELECTION_RETRY_SECONDS.name} and less than {ELECTION_LEASE_SECONDS.name}, "
            "or two leaders could write at once",
        )
    return election


def _viewer(env: Mapping[str, str]) -> SnapshotViewer | None:
    """The viewer, None without namespaces; with some, audience and account must be set too."""
    namespaces = VIEWER_NAMESPACES.read(env)
    if not namespaces:
        return None
    return SnapshotViewer(
        audience=VIEWER_AUDIENCE.demand(env),
        account=VIEWER_ACCOUNT.demand(env),
        namespaces=frozenset(namespaces),
        port=VIEWER_PORT.read(env),
    )
