# SPDX-License-Identifier: Apache-2.0
"""Keeps the objects of the cluster as last received from watches, listings and answers to writes.

Called in the main loop only. It decides only whether a change may change a plan, and sends nothing
to the API server. An older version of an object never replaces a newer one, and a late answer does
not bring back a deleted object.
"""

from __future__ import annotations

import time
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from camfleet_api.names import MANAGED_BY, MANAGED_BY_LABEL, TENANT_CLUSTER_ROLE
from camfleet_operator.metrics import STORE_OBJECTS
from camfleet_operator.observed import (
    Camera,
    Declared,
    Other,
    Raw,
    Shard,
    Site,
    observe_camera,
    observe_other,
    observe_profile,
    observe_shard,
    observe_site,
    observe_system,
)
from camfleet_operator.plan.snapshot import Snapshot
from camfleet_operator.resources import (
    CAMERAS,
    DEPLOYMENTS,
    LEASES,
    NAMESPACES,
    PROFILES,
    ROLE_BINDINGS,
    ROLES,
    SERVICE_ACCOUNTS,
    SHARDS,
    SITES,
    SYSTEMS,
    WATCHED,
    Resource,
)

Seen = Camera | Site | Shard | Other | Declared[Any]
Key = tuple[str, str]

_OBSERVERS: Mapping[Resource, Callable[[Raw], Seen]] = {
    CAMERAS: observe_camera,
    SITES: observe_site,
    PROFILES: observe_profile,
    SYSTEMS: observe_system,
    SHARDS: observe_shard,
}
REMEMBERED_DELETIONS = 20_000


@dataclass(frozen=True, slots=True)
class Change:
    """One object before and after a change; None where it did not or does not exist."""

    resource: Resource
    namespace: str
    name: str
    before: Seen | None
    after: Seen | None
    matters: bool
    """False for a change that changes no plan, such as a Lease renewed in time."""


class Store:
    """Objects by kind, namespace and name."""

    def __init__(
        self, lease_seconds: float, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._objects: dict[Resource, dict[str, dict[str, Seen]]] = {
            resource: defaultdict(dict) for resource in WATCHED
        }
        self._deleted: OrderedDict[str, None] = OrderedDict()
        self._renewed_at: dict[Key, float] = {}
        self._lease_seconds = lease_seconds
        self._monotonic = monotonic

    def put(self, resource: Resource, raw: Raw) -> Change | None:
        """Store an object as the API server has it; None if the store has that version or a newer
        one."""
        if not is_wanted(resource, raw):
            return self.forget(resource, raw["metadata"])
        after = _OBSERVERS.get(resource, observe_other)(raw)
        meta = after.meta
        if meta.uid in self._deleted:
            return None
        objects_of = self._objects[resource][meta.namespace]
        before = objects_of.get(meta.name)
        if before is not None and _version(before) >= _version(after):
            return None
        objects_of[meta.name] = after
        matters = self._matters(resource, before, after)
        self._count(resource)
        return Change(resource, meta.namespace, meta.name, before, after, matters)

    def remove(self, resource: Resource, raw: Raw) -> Change | None:
        """Remove an object that was deleted, or is no longer ours; None if it was not held."""
        if is_wanted(resource, raw):
            self._remember_deletion(raw["metadata"]["uid"])
        return self.forget(resource, raw["metadata"])

    def forget(self, resource: Resource, metadata: Raw) -> Change | None:
        """Drop exactly this object, if it is held."""
        namespace, name = metadata.get("namespace", ""), metadata["name"]
        before = self._objects[resource][namespace].get(name)
        if before is None or before.meta.uid != metadata["uid"]:
            return None
        del self._objects[resource][namespace][name]
        if resource is LEASES:
            self._renewed_at.pop((namespace, name), None)
        self._count(resource)
        return Change(resource, namespace, name, before, None, matters=True)

    def get(self, resource: Resource, namespace: str, name: str) -> Seen | None:
        """One object; None if it is not held."""
        return self._objects[resource][namespace].get(name)

    def versions(self, resource: Resource) -> dict[Key, tuple[str, int]]:
        """UID and resourceVersion of every object held of a kind."""
        return {
            (namespace, name): (seen.meta.uid, _version(seen))
            for namespace, objects_of in self._objects[resource].items()
            for name, seen in objects_of.items()
        }

    def namespaces(self) -> set[str]:
        """The namespaces that have objects of ours."""
        kinds: Iterable[Resource] = (CAMERAS, SITES, SHARDS, DEPLOYMENTS)
        return {
            namespace
            for kind in kinds
            for namespace, objects_of in self._objects[kind].items()
            if objects_of
        }

    def snapshot(self, namespace: str) -> Snapshot:
        """All objects that a plan of the namespace needs."""
        now = self._monotonic()
        itself = self._objects[NAMESPACES][""].get(namespace)
        return Snapshot(
            namespace,
            exists=itself is not None,
            terminating=itself is not None and itself.meta.deleting,
            silence_s={
                name: now - at for (home, name), at in self._renewed_at.items() if home == namespace
            },
            **{
                field: cast(Any, dict(self._objects[resource][home]))
                for field, resource, home in _collections(namespace)
            },
        )

    def _matters(self, resource: Resource, before: Seen | None, after: Seen) -> bool:
        if resource is not LEASES:
            return True
        old = _renewal(before) if before else None
        new = _renewal(after)
        if new is None or new == old:
            return True
        key = (after.meta.namespace, after.meta.name)
        now = self._monotonic()
        last = self._renewed_at.get(key)
        self._renewed_at[key] = now
        return last is None or now - last >= self._lease_seconds

    def _remember_deletion(self, uid: str) -> None:
        self._deleted[uid] = None
        if len(self._deleted) > REMEMBERED_DELETIONS:
            self._deleted.popitem(last=False)

    def _count(self, resource: Resource) -> None:
        total = sum(len(objects_of) for objects_of in self._objects[resource].values())
        STORE_OBJECTS.labels(resource.plural).set(total)


def _collections(namespace: str) -> Iterator[tuple[str, Resource, str]]:
    yield from (
        ("cameras", CAMERAS, namespace),
        ("sites", SITES, namespace),
        ("profiles", PROFILES, ""),
        ("systems", SYSTEMS, ""),
        ("shards", SHARDS, namespace),
        ("deployments", DEPLOYMENTS, namespace),
        ("service_accounts", SERVICE_ACCOUNTS, namespace),
        ("roles", ROLES, namespace),
        ("role_bindings", ROLE_BINDINGS, namespace),
        ("leases", LEASES, namespace),
    )


def is_wanted(resource: Resource, raw: Raw) -> bool:
    """Whether a plan reads the object: of RoleBindings only ours and those that enrol."""
    labels = raw["metadata"].get("labels") or {}
    ours = labels.get(MANAGED_BY_LABEL) == MANAGED_BY
    if resource is ROLE_BINDINGS:
        return ours or (raw.get("roleRef") or {}).get("name") == TENANT_CLUSTER_ROLE
    return ours or not resource.selector


def _version(seen: Seen) -> int:
    """resourceVersions of one kind are ordered (Kubernetes API concepts, "Resource versions")."""
    return int(seen.meta.resource_version)


def _renewal(seen: Seen) -> str | None:
    if not isinstance(seen, Other):
        return None
    renewed = (seen.body.get("spec") or {}).get("renewTime")
    return str(renewed) if renewed else None
