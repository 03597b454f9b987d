# SPDX-License-Identifier: Apache-2.0
"""Plans the writes and deletions for one shard: create, repair and retire its objects. Pure.

`namespace_plan` calls it for every shard that has cameras or objects. It compares the desired with
the stored objects, so all that was deleted or changed by hand comes back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from camfleet_api.ingest_shard import IngestShardSpec
from camfleet_api.names import MANAGED_BY, MANAGED_BY_LABEL, SHARD_LABEL
from camfleet_api.policy import Placement
from camfleet_operator.observed import Meta, Other, Shard
from camfleet_operator.plan import desired
from camfleet_operator.plan.actions import Action, Apply, Delete, Phase
from camfleet_operator.plan.compare import covers
from camfleet_operator.plan.snapshot import Snapshot, Worker
from camfleet_operator.plan.worklist import acknowledged, shard_spec
from camfleet_operator.resources import (
    DEPLOYMENTS,
    LEASES,
    ROLE_BINDINGS,
    ROLES,
    SERVICE_ACCOUNTS,
    SHARDS,
    Resource,
)
from camfleet_operator.settings import Settings


@dataclass(frozen=True, slots=True)
class ShardView:
    """One shard and the objects that its worker needs."""

    name: str
    worker: Worker
    snapshot: Snapshot
    settings: Settings

    @property
    def namespace(self) -> str:
        return self.snapshot.namespace

    @property
    def live(self) -> Shard | None:
        return self.snapshot.shards.get(self.name)

    @property
    def root(self) -> Other | None:
        return self.snapshot.deployments.get(self.name)


def keep(
    view: ShardView, spec: IngestShardSpec, placement: tuple[str, Placement] | None
) -> list[Action]:
    """Actions for a shard that has cameras. `placement` is None when no Site has it any more: the
    Deployment is then left as it is, for cameras that keep running."""
    root = view.root
    if root is not None and root.meta.deleting:
        return []  # It is created again when it is gone.
    if root is None:
        # Its uid must be known first: it owns the rest, and its pod needs some of that.
        return _deployment(view, Phase.ROOT, placement, replicas=0)
    return [
        *_children(view, root.meta.uid, spec),
        *_deployment(view, Phase.PODS, placement, replicas=1),
    ]


def retire(view: ShardView) -> list[Action]:
    """Actions for a shard without cameras: empty it, wait for the worker, then remove the root,
    and the garbage collector removes the rest. Without a root we remove the rest ourselves."""
    root, live = view.root, view.live
    if root is None:
        return _leftovers(view)
    if root.meta.deleting:
        return []
    if view.worker is Worker.ALIVE and live is not None and not live.meta.deleting:
        empty = shard_spec(())
        if live.spec != empty:
            return _children(view, root.meta.uid, empty)
        if not acknowledged(live):
            return []
    return [_delete(DEPLOYMENTS, view, root.meta, "no camera is left for it")]


def _deployment(
    view: ShardView, phase: Phase, placement: tuple[str, Placement] | None, replicas: int
) -> list[Action]:
    if placement is None:
        return []
    body = desired.deployment(view.namespace, view.name, *placement, view.settings, replicas)
    return _apply(view, DEPLOYMENTS, phase, body, view.root)


def _children(view: ShardView, owner: str, spec: IngestShardSpec) -> list[Action]:
    snapshot, namespace, name = view.snapshot, view.namespace, view.name
    granted = _granted(view, spec)
    lease = desired.lease(namespace, name, owner, view.settings.worker.lease_seconds)
    role = desired.role(namespace, name, owner, granted)
    account = desired.service_account(namespace, name, owner)
    return [
        *_apply(view, SERVICE_ACCOUNTS, Phase.RIGHTS, account, snapshot.service_accounts.get(name)),
        *_apply(view, ROLES, Phase.RIGHTS, role, snapshot.roles.get(name)),
        *_binding(view, desired.role_binding(namespace, name, owner)),
        *_apply(view, LEASES, Phase.RIGHTS, lease, snapshot.leases.get(name)),
        *_work(view, owner, spec),
    ]


def _granted(view: ShardView, spec: IngestShardSpec) -> desired.Granted:
    """The objects in the Role. A camera stays granted until the worker has acknowledged a list
    without it."""
    granted = desired.granted_for(spec)
    live, role = view.live, view.snapshot.roles.get(view.name)
    settled = live is not None and live.spec == spec and acknowledged(live)
    return granted if role is None or settled else granted.with_all_of(role.body)


def _binding(view: ShardView, body: Mapping[str, Any]) -> list[Action]:
    """roleRef cannot be changed, so a binding that points elsewhere is removed first."""
    live = view.snapshot.role_bindings.get(view.name)
    if live is not None and live.body.get("roleRef") != body["roleRef"]:
        return [
            Delete(
                Phase.RIGHTS,
                ROLE_BINDINGS,
                view.namespace,
                view.name,
                live.meta.uid,
                "its roleRef was changed",
                view.name,
            )
        ]
    return _apply(view, ROLE_BINDINGS, Phase.RIGHTS, body, live)


def _work(view: ShardView, owner: str, spec: IngestShardSpec) -> list[Action]:
    body = desired.ingest_shard(view.namespace, view.name, owner, spec)
    live = view.live
    if live is not None and live.meta.deleting:
        return []
    if (
        live is not None
        and live.spec == spec
        and owner in live.meta.owners
        and covers(live.meta.labels, body["metadata"]["labels"])
    ):
        return []
    because = "missing" if live is None else "differs"
    pace = view.settings.shard_interval_seconds
    return [
        Apply(
            Phase.WORK,
            SHARDS,
            view.namespace,
            view.name,
            body,
            because,
            shard=view.name,
            every_s=pace,
        )
    ]


def _apply(
    view: ShardView, resource: Resource, phase: Phase, body: Mapping[str, Any], live: Other | None
) -> list[Action]:
    if live is not None and (live.meta.deleting or covers(live.body, body)):
        return []
    because = "missing" if live is None else "differs"
    return [Apply(phase, resource, view.namespace, view.name, body, because, shard=view.name)]


def _leftovers(view: ShardView) -> list[Action]:
    """Objects with the shard's name and our label, but without a root to be collected with."""
    snapshot, name = view.snapshot, view.name
    others: Iterable[tuple[Resource, Mapping[str, Other] | Mapping[str, Shard]]] = (
        (SHARDS, snapshot.shards),
        (ROLE_BINDINGS, snapshot.role_bindings),
        (ROLES, snapshot.roles),
        (LEASES, snapshot.leases),
        (SERVICE_ACCOUNTS, snapshot.service_accounts),
    )
    return [
        _delete(resource, view, objects[name].meta, "left over from a shard that is gone")
        for resource, objects in others
        if name in objects and _is_ours(objects[name].meta, name)
    ]


def _is_ours(meta: Meta, shard: str) -> bool:
    return (
        not meta.deleting
        and meta.labels.get(MANAGED_BY_LABEL) == MANAGED_BY
        and meta.labels.get(SHARD_LABEL) == shard
    )


def _delete(resource: Resource, view: ShardView, meta: Meta, because: str) -> Delete:
    return Delete(Phase.REMOVAL, resource, view.namespace, meta.name, meta.uid, because, view.name)
