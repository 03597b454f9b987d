# SPDX-License-Identifier: Apache-2.0
"""The whole plan of a namespace. Pure: `(snapshot, now, settings) -> Plan`.

`reconcile` calls it for every key of the queue. Planning twice gives the same plan; carrying a plan
out and planning again gives an empty one.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime

from camfleet_api.conditions import REASONS, Effect
from camfleet_api.names import (
    MANAGED_BY,
    MANAGED_BY_LABEL,
    OPERATOR_MANAGER,
    RUNTIME_MANAGER,
    SHARD_LABEL,
)
from camfleet_api.policy import Placement
from camfleet_operator.observed import Camera, Meta
from camfleet_operator.plan.actions import Action, Apply, NamespaceFigures, Phase, Plan
from camfleet_operator.plan.camera_status import (
    StatusPatch,
    operator_status,
    ready_of,
    runtime_status,
)
from camfleet_operator.plan.packing import placement_of
from camfleet_operator.plan.resolve import Resolution, placement_key, resolve_all, site_refusal
from camfleet_operator.plan.shard_objects import ShardView, keep, retire
from camfleet_operator.plan.site_incident import is_in_incident
from camfleet_operator.plan.site_status import site_status
from camfleet_operator.plan.snapshot import Snapshot, Worker, is_enrolled, worker_state
from camfleet_operator.plan.worklist import WorkLists, shard_spec, work_lists
from camfleet_operator.resources import CAMERAS, SITES
from camfleet_operator.settings import Settings

ARRIVAL_S = 5.0


def plan_namespace(snapshot: Snapshot, now: datetime, settings: Settings) -> Plan:
    """Everything to do for the namespace now."""
    if not snapshot.exists or snapshot.terminating:
        # A write now would only delay the namespace's end, or be refused.
        return Plan()
    enrolled = is_enrolled(snapshot, settings)
    states = {name: worker_state(snapshot, name, now, settings) for name in _shard_names(snapshot)}
    workers = {name: worker for name, (worker, _) in states.items()}
    lists = work_lists(
        resolve_all(snapshot, enrolled),
        snapshot,
        workers,
        settings.cameras_per_shard,
        settings.shards_per_placement,
    )
    actions = [
        *(_shards(snapshot, lists, workers, settings) if enrolled else ()),
        *_camera_statuses(lists, workers, now),
        *_site_statuses(snapshot, enrolled, now, settings),
    ]
    return Plan(
        tuple(sorted(actions, key=lambda one: one.phase)),
        _recheck_s(
            (
                *(left for _, left in states.values()),
                *(_arrives(one.resolution, now) for one in lists.assignments.values()),
            )
        ),
        _figures(snapshot, lists),
        lists.moves,
    )


def _shard_names(snapshot: Snapshot) -> set[str]:
    """Every shard that exists, or of which an object is left."""
    collections = (
        snapshot.shards,
        snapshot.deployments,
        snapshot.service_accounts,
        snapshot.roles,
        snapshot.leases,
        {name: one for name, one in snapshot.role_bindings.items() if _is_shards(one.meta)},
    )
    return {
        name for objects in collections for name, one in objects.items() if _is_shards(one.meta)
    }


def _is_shards(meta: Meta) -> bool:
    return (
        meta.labels.get(MANAGED_BY_LABEL) == MANAGED_BY
        and meta.labels.get(SHARD_LABEL) == meta.name
    )


def _shards(
    snapshot: Snapshot, lists: WorkLists, workers: Mapping[str, Worker], settings: Settings
) -> list[Action]:
    placements = _placements(snapshot)
    actions: list[Action] = []
    for name in sorted({*lists.entries, *_shard_names(snapshot)}):
        view = ShardView(name, workers.get(name, Worker.ABSENT), snapshot, settings)
        if name in lists.entries:
            placement = placements.get(placement_of(name) or "")
            actions += keep(view, shard_spec(lists.entries[name]), placement)
        else:
            actions += retire(view)
    return actions


def _placements(snapshot: Snapshot) -> dict[str, tuple[str, Placement]]:
    known = (site.spec.placement for site in snapshot.sites.values() if site.spec)
    return {(key := placement_key(one)): (key, one) for one in known}


def _camera_statuses(
    lists: WorkLists,
    workers: Mapping[str, Worker],
    now: datetime,
) -> Iterable[Action]:
    for assignment in lists.assignments.values():
        if _arrives(assignment.resolution, now) > 0:
            continue
        camera = assignment.resolution.camera
        if patch := operator_status(assignment, now):
            yield _status_apply(camera, patch, Phase.STATUS, OPERATOR_MANAGER)
        worker = workers.get(assignment.shard or "", Worker.ABSENT)
        if patch := runtime_status(assignment, worker, now):
            yield _status_apply(camera, patch, Phase.RUNTIME_STATUS, RUNTIME_MANAGER)


def _arrives(resolution: Resolution, now: datetime) -> float:
    """Seconds for which a new Camera's status does not yet report that another object is missing.

    `kubectl apply` of a folder sends cameras before the site that they refer to: each would report
    SiteNotFound, with an Event, and be accepted a moment later.
    """
    refusal, camera = resolution.refusal, resolution.camera
    if refusal is None or camera.status.conditions:
        return 0.0
    if not REASONS[refusal.reason].has(Effect.MAY_ARRIVE):
        return 0.0
    return ARRIVAL_S - (now - camera.meta.created).total_seconds()


def _status_apply(camera: Camera, patch: StatusPatch, phase: Phase, manager: str) -> Apply:
    meta = camera.meta
    return Apply(
        phase,
        CAMERAS,
        meta.namespace,
        meta.name,
        patch.body,
        patch.because,
        subresource="status",
        uid=meta.uid,
        manager=manager,
    )


def _site_statuses(
    snapshot: Snapshot, enrolled: bool, now: datetime, settings: Settings
) -> Iterable[Action]:
    members: dict[str, list[Camera]] = defaultdict(list)
    for camera in snapshot.cameras.values():
        if camera.spec is not None and not camera.meta.deleting:
            members[camera.spec.site_ref].append(camera)
    for name, site in sorted(snapshot.sites.items()):
        if site.meta.deleting:
            continue
        refusal = site_refusal(site, snapshot, enrolled)
        if patch := site_status(site, members[name], refusal, now):
            yield Apply(
                Phase.STATUS,
                SITES,
                site.meta.namespace,
                name,
                patch.body,
                patch.because,
                subresource="status",
                uid=site.meta.uid,
                every_s=settings.site_status_interval_seconds,
            )


def _recheck_s(left_s: Iterable[float | None]) -> float | None:
    return min((left for left in left_s if left is not None and left > 0), default=None)


def _figures(snapshot: Snapshot, lists: WorkLists) -> NamespaceFigures:
    ready = Counter(ready_of(camera) for camera in snapshot.cameras.values())
    held = {shard: len(lines) for shard, lines in lists.entries.items()}
    incidents = sum(is_in_incident(one.status.conditions) for one in snapshot.sites.values())
    return NamespaceFigures(dict(ready), held, incidents)
