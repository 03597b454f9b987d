# SPDX-License-Identifier: Apache-2.0
"""The input of a plan for one namespace: frozen values, taken from the store in one step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from camfleet_api.names import TENANT_CLUSTER_ROLE
from camfleet_operator.observed import Camera, Other, Profile, Shard, Site, System
from camfleet_operator.settings import Settings


class Worker(Enum):
    """The state of a shard's worker."""

    ABSENT = "absent"
    """The worker has no Deployment: nothing runs."""
    STARTING = "starting"
    """The worker has never renewed its Lease, and still may."""
    ALIVE = "alive"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One namespace and the cluster-scoped objects it may refer to, all by name."""

    namespace: str
    exists: bool = True
    terminating: bool = False
    cameras: Mapping[str, Camera] = field(default_factory=dict)
    sites: Mapping[str, Site] = field(default_factory=dict)
    profiles: Mapping[str, Profile] = field(default_factory=dict)
    systems: Mapping[str, System] = field(default_factory=dict)
    shards: Mapping[str, Shard] = field(default_factory=dict)
    deployments: Mapping[str, Other] = field(default_factory=dict)
    service_accounts: Mapping[str, Other] = field(default_factory=dict)
    roles: Mapping[str, Other] = field(default_factory=dict)
    role_bindings: Mapping[str, Other] = field(default_factory=dict)
    leases: Mapping[str, Other] = field(default_factory=dict)
    silence_s: Mapping[str, float] = field(default_factory=dict)
    """By Lease, the seconds since we saw a renewal arrive, by our own clock. Comparing renewTime
    with our clock would call workers dead where a node's clock is wrong."""


def is_enrolled(snapshot: Snapshot, settings: Settings) -> bool:
    """Whether the namespace gives this operator the tenant role."""
    return any(
        _grants(binding, settings)
        for binding in snapshot.role_bindings.values()
        if not binding.meta.deleting
    )


def _grants(binding: Other, settings: Settings) -> bool:
    role = binding.body.get("roleRef") or {}
    return (
        role.get("kind") == "ClusterRole"
        and role.get("name") == TENANT_CLUSTER_ROLE
        and any(
            subject.get("kind") == "ServiceAccount"
            and subject.get("name") == settings.service_account
            and subject.get("namespace") == settings.namespace
            for subject in binding.body.get("subjects") or ()
        )
    )


def worker_state(
    snapshot: Snapshot, shard: str, now: datetime, settings: Settings
) -> tuple[Worker, float | None]:
    """The state of a shard's worker, and in how many seconds the passing of time alone changes
    it."""
    deployment = snapshot.deployments.get(shard)
    if deployment is None:
        return Worker.ABSENT, None
    lease = snapshot.leases.get(shard)
    if lease is not None and (lease.body.get("spec") or {}).get("renewTime"):
        left = settings.worker.lease_seconds - snapshot.silence_s.get(shard, 0.0)
        return (Worker.ALIVE, left) if left > 0 else (Worker.LOST, None)
    # A Lease deleted by hand comes back without a renewal; its worker gets the start time again.
    began = max(deployment.meta.created, lease.meta.created if lease else deployment.meta.created)
    left = settings.worker.start_grace_seconds - (now - began).total_seconds()
    return (Worker.STARTING, left) if left > 0 or lease is None else (Worker.LOST, None)
