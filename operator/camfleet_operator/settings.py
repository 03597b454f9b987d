# SPDX-License-Identifier: Apache-2.0
"""The operator's settings: the environment, read once by `__main__` into a frozen object.

Called by `__main__` and by tests. Nothing else in this package reads the environment. A wrong value
stops the process at start, with the name of the variable and what it takes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from camfleet_api.names import MAX_CAMERAS_PER_SHARD


class SettingsError(ValueError):
    """An environment variable is missing or cannot be understood."""


@dataclass(frozen=True, slots=True)
class SnapshotViewer:
    """The web page that may see snapshots on a second listener of the workers."""

    audience: str
    account: str
    """Its ServiceAccount, namespace:name."""
    namespaces: frozenset[str]
    """Whose workers listen for it. The chart gives those of no other namespace the right to review
    its tokens, and guards the listener of no other by a NetworkPolicy."""
    port: int = 9092


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """What every worker's Deployment has in common."""

    image: str
    image_pull_policy: str = "IfNotPresent"
    image_pull_secrets: tuple[str, ...] = ()
    resources: Mapping[str, Any] = field(
        default_factory=lambda: {
            "requests": {"cpu": "100m", "memory": "256Mi"},
            "limits": {"memory": "1Gi"},
        }
    )
    env: Mapping[str, str] = field(default_factory=dict)
    tolerations: tuple[Mapping[str, Any], ...] = ()
    priority_class_name: str = ""
    fs_group: int = 65532
    lease_seconds: int = 40
    """How long a worker's Lease lives without renewal; workers renew every 10 s."""
    start_grace_seconds: float = 120.0
    """How long a new worker may take to its first renewal before it counts as lost."""
    viewer: SnapshotViewer | None = None


@dataclass(frozen=True, slots=True)
class ElectionSettings:
    """Timing of the leader's Lease. Python's loops stall longer than Go's, hence 30/20/4."""

    lease_name: str = "camfleet-operator"
    lease_seconds: float = 30.0
    renew_deadline_seconds: float = 20.0
    retry_seconds: float = 4.0


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that the environment configures."""

    namespace: str
    service_account: str
    identity: str
    worker: WorkerSettings
    election: ElectionSettings = ElectionSettings()
    http_port: int = 8081
    http_host: str = ""
    log_level: str = "INFO"
    cameras_per_shard: int = MAX_CAMERAS_PER_SHARD
    shards_per_placement: int = 50
    writes_per_second: float = 100.0
    writes_burst: int = 200
    request_timeout_seconds: float = 10.0
    resync_seconds: float = 600.0
    stale_watch_seconds: float = 180.0
    site_status_interval_seconds: float = 2.0
    shard_interval_seconds: float = 1.0
    event_hold_seconds: float = 65.0
    """A little more than the minute within which a site's devices count as fallen together."""


def settings_from_env(env: Mapping[str, str]) -> Settings:
    """The settings that an environment describes. Raises SettingsError."""
    read = _Reader(env)
    worker = WorkerSettings(
        image=read.text("CAMFLEET_WORKER_IMAGE"),
        image_pull_policy=read.choice(
            "CAMFLEET_WORKER_IMAGE_PULL_POLICY", ("IfNotPresent", "Always", "Never")
        ),
        image_pull_secrets=read.words("CAMFLEET_WORKER_IMAGE_PULL_SECRETS"),
        resources=read.document("CAMFLEET_WORKER_RESOURCES", dict, _default_resources()),
        env=read.document("CAMFLEET_WORKER_ENV", dict, {}),
        tolerations=tuple(read.document("CAMFLEET_WORKER_TOLERATIONS", list, [])),
        priority_class_name=read.text("CAMFLEET_WORKER_PRIORITY_CLASS", ""),
        fs_group=read.whole("CAMFLEET_WORKER_FS_GROUP", 65532, 1, 2**31 - 1),
        lease_seconds=read.whole("CAMFLEET_WORKER_LEASE_SECONDS", 40, 2, 600),
        start_grace_seconds=read.number("CAMFLEET_WORKER_START_GRACE_SECONDS", 120, 1, 3600),
        viewer=_viewer(read),
    )
    election = ElectionSettings(
        lease_name=read.text("CAMFLEET_LEASE_NAME", "camfleet-operator"),
        lease_seconds=read.number("CAMFLEET_ELECTION_LEASE_SECONDS", 30, 2, 600),
        renew_deadline_seconds=read.number("CAMFLEET_ELECTION_RENEW_SECONDS", 20, 1, 600),
        retry_seconds=read.number("CAMFLEET_ELECTION_RETRY_SECONDS", 4, 0.1, 60),
    )
    if not election.retry_seconds < election.renew_deadline_seconds < election.lease_seconds:
        raise SettingsError(
            "CAMFLEET_ELECTION_RETRY_SECONDS < CAMFLEET_ELECTION_RENEW_SECONDS < "
            "CAMFLEET_ELECTION_LEASE_SECONDS must hold, or two leaders could act at once"
        )
    return Settings(
        namespace=read.text("CAMFLEET_NAMESPACE"),
        service_account=read.text("CAMFLEET_SERVICE_ACCOUNT"),
        identity=read.text("POD_NAME"),
        worker=worker,
        election=election,
        http_port=read.whole("CAMFLEET_HTTP_PORT", 8081, 0, 65535),
        http_host=read.text("CAMFLEET_HTTP_HOST", ""),
        log_level=read.choice("CAMFLEET_LOG_LEVEL", ("INFO", "DEBUG", "WARNING", "ERROR")),
        cameras_per_shard=read.whole(
            "CAMFLEET_CAMERAS_PER_SHARD", MAX_CAMERAS_PER_SHARD, 1, MAX_CAMERAS_PER_SHARD
        ),
        shards_per_placement=read.whole("CAMFLEET_SHARDS_PER_PLACEMENT", 50, 1, 1000),
        writes_per_second=read.number("CAMFLEET_WRITES_PER_SECOND", 100, 1, 10000),
        writes_burst=read.whole("CAMFLEET_WRITES_BURST", 200, 1, 10000),
        request_timeout_seconds=read.number("CAMFLEET_REQUEST_TIMEOUT_SECONDS", 10, 1, 120),
        resync_seconds=read.number("CAMFLEET_RESYNC_SECONDS", 600, 1, 86400),
        event_hold_seconds=read.number("CAMFLEET_EVENT_HOLD_SECONDS", 65, 0, 600),
        stale_watch_seconds=read.number("CAMFLEET_STALE_WATCH_SECONDS", 180, 90, 3600),
    )


def _viewer(read: _Reader) -> SnapshotViewer | None:
    """Off without namespaces; with some, the other variables must be set too."""
    namespaces = read.words("CAMFLEET_SNAPSHOT_VIEWER_NAMESPACES")
    if not namespaces:
        return None
    return SnapshotViewer(
        audience=read.text("CAMFLEET_SNAPSHOT_VIEWER_AUDIENCE"),
        account=read.text("CAMFLEET_SNAPSHOT_VIEWER_ACCOUNT"),
        namespaces=frozenset(namespaces),
        port=read.whole("CAMFLEET_SNAPSHOT_VIEWER_PORT", 9092, 1, 65535),
    )


def _default_resources() -> Mapping[str, Any]:
    return WorkerSettings(image="").resources


class _Reader:
    """Reads one variable at a time; every refusal names the variable."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env

    def text(self, name: str, default: str | None = None) -> str:
        value = self._env.get(name, "").strip()
        if value:
            return value
        if default is None:
            raise SettingsError(f"{name} must be set")
        return default

    def choice(self, name: str, choices: tuple[str, ...]) -> str:
        value = self.text(name, choices[0])
        if value not in choices:
            raise SettingsError(f"{name} must be one of {', '.join(choices)}, not {value!r}")
        return value

    def words(self, name: str) -> tuple[str, ...]:
        return tuple(word for word in re.split(r"[\s,]+", self.text(name, "")) if word)

    def whole(self, name: str, default: int, least: int, greatest: int) -> int:
        number = self.number(name, default, least, greatest)
        if number != int(number):
            raise SettingsError(f"{name} must be a whole number, not {number}")
        return int(number)

    def number(self, name: str, default: float, least: float, greatest: float) -> float:
        text = self.text(name, str(default))
        try:
            number = float(text)
        except ValueError:
            raise SettingsError(f"{name} must be a number, not {text!r}") from None
        if not least <= number <= greatest:
            raise SettingsError(f"{name} must lie between {least} and {greatest}, not {text}")
        return number

    def document(self, name: str, shape: type, default: Any) -> Any:
        text = self.text(name, "")
        if not text:
            return default
        try:
            value = json.loads(text)
        except ValueError:
            raise SettingsError(f"{name} must be JSON") from None
        if not isinstance(value, shape):
            raise SettingsError(f"{name} must be a JSON {'object' if shape is dict else 'list'}")
        return value
