# SPDX-License-Identifier: Apache-2.0
"""A province that lives in memory: planning is pure, so thousands of histories can be tried."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import fleet_objects
from camfleet_api.camera import CameraStatus
from camfleet_api.conditions import Condition, merge_transition
from camfleet_operator.plan.actions import Apply, Delete, Plan
from camfleet_operator.plan.namespace_plan import plan_namespace
from camfleet_operator.resources import (
    DEPLOYMENTS,
    LEASES,
    SERVICE_ACCOUNTS,
    SHARDS,
    WATCHED,
    Resource,
)
from camfleet_operator.settings import Settings, WorkerSettings
from camfleet_operator.store import Change, Store

Raw = dict[str, Any]
START = datetime(2026, 1, 1, tzinfo=UTC)
NAMESPACE = "phu-yen"


class Province:
    """One namespace behind the real store, with what the API server adds to objects: uid, version,
    generation, owner collection. It is the place where plans are carried out, and nothing more."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.now = START
        self.camera_age = timedelta(minutes=1)
        """How old a camera is when it is declared: what it refers to has had time to arrive."""
        self.listener: Callable[[Change], None] = lambda change: None
        """Hears every change of the store."""
        self._numbers = itertools.count(1)
        self._objects: dict[tuple[str, str, str], Raw] = {}
        self.store = Store(settings.worker.lease_seconds, lambda: self.now.timestamp())
        self.declare(
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
            fleet_objects.enrolment(NAMESPACE),
            fleet_objects.profile(),
            fleet_objects.system(),
        )

    def declare(self, *objects: Raw) -> None:
        """kubectl apply."""
        for raw in objects:
            self._put(_resource(raw["kind"]), copy.deepcopy(raw))

    def edit(self, kind: str, name: str, **spec: Any) -> None:
        """Change fields of a spec."""
        raw = copy.deepcopy(self.get(kind, name))
        raw["spec"] |= spec
        self._put(_resource(kind), raw)

    def get(self, kind: str, name: str) -> Raw:
        """The object as stored; KeyError if there is none."""
        namespace = NAMESPACE if _resource(kind).namespaced else ""
        return self._objects[kind, namespace, name]

    def names(self, kind: str) -> list[str]:
        """Names of all objects of a kind."""
        return sorted(name for other, _, name in self._objects if other == kind)

    def delete(self, kind: str, name: str) -> None:
        """kubectl delete, with the garbage collector's work done at once."""
        raw = self.get(kind, name)
        del self._objects[kind, raw["metadata"].get("namespace", ""), name]
        self.store.remove(_resource(kind), raw)
        for key, other in list(self._objects.items()):
            owners = other["metadata"].get("ownerReferences") or ()
            if key in self._objects and any(o["uid"] == raw["metadata"]["uid"] for o in owners):
                self.delete(key[0], key[2])

    def plan(self) -> Plan:
        """What the operator would do now."""
        return plan_namespace(self.store.snapshot(NAMESPACE), self.now, self.settings)

    def round(self) -> Plan:
        """Plan once and carry the plan out."""
        plan = self.plan()
        for action in plan.actions:
            if isinstance(action, Delete):
                self.delete(action.resource.kind, action.name)
            else:
                self._apply(action)
        return plan

    def done(self) -> None:
        """Plan until nothing is left to do; a plan that never ends is a bug."""
        for _ in range(12):
            if not self.round().actions:
                return
        raise AssertionError(f"does not settle: {self.plan().actions[:5]}")

    def worker_lives(self, shard: str) -> None:
        """What a worker does on its own: renew its Lease and acknowledge its list."""
        lease = copy.deepcopy(self.get(LEASES.kind, shard))
        lease["spec"]["renewTime"] = self.now.isoformat()
        self._put(LEASES, lease)
        live = copy.deepcopy(self.get(SHARDS.kind, shard))
        live["status"] = {"observedHash": live["spec"]["hash"]}
        self._put(SHARDS, live)

    def workers_live(self) -> None:
        """Every worker is alive and runs its list, until nothing changes any more."""
        for _ in range(6):
            self.done()
            for shard in self.names(SHARDS.kind):
                if shard in self.names(LEASES.kind):
                    self.worker_lives(shard)
            if not self.plan().actions:
                return
        raise AssertionError(f"does not come to rest: {self.plan().actions[:5]}")

    def report(self, camera: str, *conditions: tuple[str, str, str]) -> None:
        """A worker's report: (type, status, reason) of each of its conditions."""
        before = {one.type: one for one in self.status(camera).conditions}
        raw = copy.deepcopy(self.get("Camera", camera))
        status = raw.setdefault("status", {})
        kept = [c for c in status.get("conditions", []) if c["type"] in ("Accepted", "Assigned")]
        said = [
            Condition(type=t, status=s, reason=r, last_transition_time=self.now)
            for t, s, r in conditions
        ]
        status["conditions"] = kept + [
            merge_transition(one, before.get(one.type)).to_wire() for one in said
        ]
        self._put(_resource("Camera"), raw)

    def pass_time(self, seconds: float) -> None:
        """Let time go by."""
        self.now += timedelta(seconds=seconds)

    def status(self, camera: str) -> CameraStatus:
        """A Camera's status."""
        return CameraStatus.read(self.get("Camera", camera).get("status") or {})

    def condition(self, camera: str, kind: str) -> tuple[str, str]:
        """Status and reason of one condition; ("", "") if absent."""
        for one in self.status(camera).conditions:
            if one.type == kind:
                return one.status, one.reason
        return "", ""

    def listed(self) -> dict[str, list[str]]:
        """The cameras that each shard lists."""
        return {
            shard: [one["name"] for one in self.get("IngestShard", shard)["spec"]["cameras"]]
            for shard in self.names("IngestShard")
        }

    def _apply(self, action: Apply) -> None:
        namespace = action.namespace if action.resource.namespaced else ""
        key = (action.resource.kind, namespace, action.name)
        present = self._objects.get(key)
        body = copy.deepcopy(dict(action.body))
        if action.subresource:
            assert present is not None
            assert action.uid == present["metadata"]["uid"]
            raw = copy.deepcopy(present)
            raw["status"] = _merged_status(raw.get("status") or {}, body["status"], action.manager)
        else:
            raw = body
            if action.resource is DEPLOYMENTS and body["spec"]["replicas"]:
                # Kubernetes refuses a pod without it, with a Warning.
                assert (SERVICE_ACCOUNTS.kind, namespace, action.name) in self._objects
            # Kubernetes: RBAC, a binding's roleRef cannot be changed.
            assert present is None or present.get("roleRef") == body.get("roleRef")
            if present is not None and "status" in present:
                raw["status"] = present["status"]
            if present is not None and action.resource is LEASES:
                raw["spec"] = {**present["spec"], **body["spec"]}
        self._put(action.resource, raw)

    def _put(self, resource: Resource, raw: Raw) -> None:
        meta = raw["metadata"]
        key = (resource.kind, meta.get("namespace", ""), meta["name"])
        present = self._objects.get(key)
        number = next(self._numbers)
        old = present["metadata"] if present else {}
        changed = present is None or present.get("spec") != raw.get("spec")
        meta["uid"] = old.get("uid", f"uid-{number}")
        meta["resourceVersion"] = str(number)
        meta["generation"] = old.get("generation", 0) + int(changed)
        created = self.now - (self.camera_age if resource.kind == "Camera" else timedelta())
        meta.setdefault("creationTimestamp", old.get("creationTimestamp", created.isoformat()))
        self._objects[key] = raw
        change = self.store.put(resource, raw)
        if change is not None:
            self.listener(change)


def _merged_status(present: Raw, applied: Raw, manager: str) -> Raw:
    """Server-side apply as far as these tests need it: a manager's conditions are replaced."""
    operators = ("Accepted", "Assigned", "Stalled")
    mine = manager == "camfleet-operator"
    if "cameras" in applied:
        return applied
    others = [c for c in present.get("conditions", []) if (c["type"] in operators) != mine]
    merged = {**present, **applied, "conditions": others + applied["conditions"]}
    # What a manager no longer applies is taken away.
    for key in ("shard",) if mine else ("device", "learned", "attempts"):
        if key not in applied:
            merged.pop(key, None)
    return merged


def _resource(kind: str) -> Resource:
    return next(resource for resource in WATCHED if resource.kind == kind)


def settings(**changes: Any) -> Settings:
    """The operator's settings for a test."""
    return Settings(
        namespace=fleet_objects.OPERATOR_NAMESPACE,
        service_account=fleet_objects.OPERATOR_ACCOUNT,
        identity="test",
        worker=WorkerSettings(image="worker:test"),
        **changes,
    )


@pytest.fixture
def province() -> Province:
    """A namespace that is enrolled, with profile `tp` and MonitoringSystem `vms`."""
    return Province(settings())
