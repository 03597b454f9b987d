# SPDX-License-Identifier: Apache-2.0
"""Decides the work list of each shard, and where each camera is meanwhile. Pure.

Two rules decide here. *A mistake in Git stops no stream*: a running camera whose references were
deleted keeps the entry in its shard. *One worker at a time*: a camera that leaves a shard enters
another only when the first worker has acknowledged, or is gone. `login_order` decides which of
several workers tries an account first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from camfleet_api.conditions import Reason
from camfleet_api.ingest_shard import IngestShardSpec, Policy
from camfleet_operator.observed import Shard
from camfleet_operator.plan.compare import fingerprint
from camfleet_operator.plan.login_order import with_login_order
from camfleet_operator.plan.packing import PlacementRequest, pack
from camfleet_operator.plan.resolve import Entry, Resolution, placement_key
from camfleet_operator.plan.snapshot import Snapshot, Worker


@dataclass(frozen=True, slots=True)
class CameraAssignment:
    """The shard of one camera, or why it has none."""

    resolution: Resolution
    shard: str | None
    """The shard that has it, or still has to acknowledge its removal."""
    entered: bool
    """Whether `shard` shall list it."""
    waits_for: Reason | None
    """Why no shard lists it: Paused, NoCapacity or Pending; None when it is assigned."""


@dataclass(frozen=True, slots=True)
class WorkLists:
    """Every camera's assignment by name, and every shard's entries by shard."""

    assignments: Mapping[str, CameraAssignment]
    entries: Mapping[str, tuple[Entry, ...]]
    moves: int


def work_lists(
    resolutions: Mapping[str, Resolution],
    snapshot: Snapshot,
    workers: Mapping[str, Worker],
    capacity: int,
    shards_per_placement: int,
) -> WorkLists:
    """Decide for every camera of the namespace."""
    listed = _listed(snapshot.shards.values())
    wanted = {name: _wanted(one, listed) for name, one in resolutions.items()}
    runners = {name: entry for name, entry in wanted.items() if entry is not None}
    packing = pack(
        (_placement_request(resolutions[name], entry) for name, entry in runners.items()),
        _present(resolutions.values(), listed),
        capacity,
        shards_per_placement,
    )
    assignments: dict[str, CameraAssignment] = {}
    entries: dict[str, list[Entry]] = {}
    moves = 0
    for name, resolution in resolutions.items():
        uid = resolution.camera.meta.uid
        target = packing.shard_of.get(uid) if name in runners else None
        holder = _holder(resolution, listed, snapshot, workers)
        moves += target is not None and holder is not None and target != holder
        if target is not None and holder in (None, target):
            entries.setdefault(target, []).append(runners[name])
            assignments[name] = CameraAssignment(resolution, target, True, None)
        else:
            reason = _waits_for(resolution, target)
            assignments[name] = CameraAssignment(resolution, holder, False, reason)

    def still_held(name: str) -> bool:
        assignment = assignments.get(name)
        return assignment is not None and assignment.shard is not None and not assignment.entered

    return WorkLists(assignments, with_login_order(entries, listed, still_held), moves)


def shard_spec(entries: Iterable[Entry]) -> IngestShardSpec:
    """The work list as it is written: policies once each, cameras by name, and their hash."""
    lines = tuple(entries)
    distinct: dict[str, Policy] = {fingerprint(one.policy.to_wire()): one.policy for one in lines}
    order = sorted(distinct)
    index = {key: number for number, key in enumerate(order)}
    cameras = [
        one.camera.model_copy(update={"policy": index[fingerprint(one.policy.to_wire())]})
        for one in lines
    ]
    policies = [distinct[key] for key in order]
    digest = fingerprint([[one.to_wire() for one in policies], [one.to_wire() for one in cameras]])
    return IngestShardSpec(hash=digest, policies=policies, cameras=cameras)


def acknowledged(shard: Shard) -> bool:
    """Whether the worker runs exactly the list in the shard's spec."""
    return shard.spec is not None and shard.observed_hash == shard.spec.hash


def _listed(shards: Iterable[Shard]) -> dict[str, tuple[str, Entry]]:
    """By uid, the shard that lists a camera now, and its entry there."""
    listed: dict[str, tuple[str, Entry]] = {}
    for shard in sorted(shards, key=lambda one: one.meta.name):
        if shard.spec is None or shard.meta.deleting:
            continue
        for camera in shard.spec.cameras:
            if camera.policy < len(shard.spec.policies):
                entry = Entry(camera, shard.spec.policies[camera.policy])
                listed.setdefault(camera.uid, (shard.meta.name, entry))
    return listed


def _wanted(one: Resolution, listed: Mapping[str, tuple[str, Entry]]) -> Entry | None:
    """The entry that a camera shall run with: resolved now, or kept, or none."""
    if one.paused:
        return None
    if one.refusal is None:
        return one.entry
    present = listed.get(one.camera.meta.uid)
    return None if one.refusal.own_fault or present is None else present[1]


def _placement_request(one: Resolution, entry: Entry) -> PlacementRequest:
    kept = one.refusal is not None
    placement = None if kept or one.placement is None else placement_key(one.placement)
    return PlacementRequest(entry.uid, entry.camera.site, entry.camera.device, placement)


def _present(
    resolutions: Iterable[Resolution], listed: Mapping[str, tuple[str, Entry]]
) -> dict[str, str]:
    """The shard of each camera: from its list, else from its status (it may be deleted)."""
    present = {}
    for one in resolutions:
        uid, shard = one.camera.meta.uid, one.camera.status.shard
        if uid in listed:
            present[uid] = listed[uid][0]
        elif shard:
            present[uid] = shard
    return present


def _holder(
    one: Resolution,
    listed: Mapping[str, tuple[str, Entry]],
    snapshot: Snapshot,
    workers: Mapping[str, Worker],
) -> str | None:
    """The shard whose worker may be running the camera: the shard lists it, or its removal is not
    acknowledged yet. A worker that is not alive runs none."""
    uid = one.camera.meta.uid
    name = listed[uid][0] if uid in listed else one.camera.status.shard
    if name is None or workers.get(name, Worker.ABSENT) is not Worker.ALIVE:
        return None
    if uid in listed:
        return name
    shard = snapshot.shards.get(name)
    # A missing shard is no removal: its worker goes on with the list that it has.
    return None if shard is not None and acknowledged(shard) else name


def _waits_for(one: Resolution, target: str | None) -> Reason | None:
    if one.paused:
        return Reason.PAUSED
    if one.refusal is not None or target is not None:
        return Reason.PENDING
    return Reason.NO_CAPACITY
