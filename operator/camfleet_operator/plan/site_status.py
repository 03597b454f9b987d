# SPDX-License-Identifier: Apache-2.0
"""The status of a Site: its own errors and the state of its cameras. Pure.

`site_incident` decides whether its cameras failed together; here that becomes a condition.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from camfleet_api.conditions import (
    REASONS,
    Condition,
    ConditionType,
    Reason,
    merge_transition,
)
from camfleet_api.names import API_VERSION
from camfleet_api.site import CameraCounts, NotReadyCamera, SiteSpec, SiteStatus
from camfleet_operator.observed import Camera, Site
from camfleet_operator.plan.camera_status import StatusPatch, condition, ready_of
from camfleet_operator.plan.resolve import Refusal
from camfleet_operator.plan.site_incident import site_reach

MAX_NOT_READY = 20
ONE_BY_ONE = (
    "No device of the site answers; whether the site failed or each of them cannot be told. "
    "Check the site's power and line first."
)
"""The message where fewer than three devices failed, or not together."""


def site_status(
    site: Site, cameras: Sequence[Camera], refusal: Refusal | None, now: datetime
) -> StatusPatch | None:
    """The Site's status; None when the stored one is the same."""
    wanted = _status(site, cameras, refusal, now)
    if wanted == site.status.model_copy(update={"conditions": _ordered(site.status, wanted)}):
        return None
    body = {
        "apiVersion": API_VERSION,
        "kind": "Site",
        "metadata": {"name": site.meta.name, "namespace": site.meta.namespace},
        "status": wanted.to_wire(),
    }
    return StatusPatch(body, f"{wanted.ready} ready")


def _status(
    site: Site, cameras: Sequence[Camera], refusal: Refusal | None, now: datetime
) -> SiteStatus:
    not_ready = [
        NotReadyCamera(name=camera.meta.name, reason=ready_of(camera)[1])
        for camera in sorted(cameras, key=lambda one: one.meta.name)
        if ready_of(camera)[0] != "True"
    ]
    total, ready = len(cameras), len(cameras) - len(not_ready)
    stored = {one.type: one for one in site.status.conditions}
    conditions = [
        *_accepted(site, refusal, now),
        _cameras_ready(site, total, ready, now),
        _reachable(site, cameras, stored.get(ConditionType.REACHABLE), now),
        _covered(site, cameras, now),
    ]
    return SiteStatus(
        observed_generation=site.meta.generation,
        conditions=[merge_transition(one, stored.get(one.type)) for one in conditions],
        cameras=CameraCounts(total=total, ready=ready),
        ready=f"{ready}/{total}",
        not_ready=not_ready[:MAX_NOT_READY],
    )


def _accepted(site: Site, refusal: Refusal | None, now: datetime) -> list[Condition]:
    generation, kind = site.meta.generation, ConditionType
    if refusal is None:
        return [condition(kind.ACCEPTED, "True", Reason.ACCEPTED, now, generation)]
    return [
        condition(kind.ACCEPTED, "False", refusal.reason, now, generation, refusal.message),
        condition(kind.STALLED, "True", refusal.reason, now, generation),
    ]


def _cameras_ready(site: Site, total: int, ready: int, now: datetime) -> Condition:
    if total == 0:
        status, reason = "False", Reason.NO_CAMERAS
    elif ready == total:
        status, reason = "True", Reason.ALL_READY
    else:
        status, reason = "False", Reason.SOME_NOT_READY if ready else Reason.NONE_READY
    return condition(ConditionType.CAMERAS_READY, status, reason, now, site.meta.generation)


def _reachable(
    site: Site, cameras: Sequence[Camera], stored: Condition | None, now: datetime
) -> Condition:
    """The condition; its message has no number, which would cost a write at each change."""
    reach = site_reach(stored, cameras, site.spec.network if site.spec else None)
    kind, generation = ConditionType.REACHABLE, site.meta.generation
    if reach.incident_since is not None:
        # The time at which the incident began, by the workers' clocks, not when we detected it.
        began = reach.incident_since
        return condition(kind, "False", Reason.SITE_UNREACHABLE, began, generation)
    if reach.answers:
        return condition(kind, "True", Reason.REACHABLE, now, generation)
    message = ONE_BY_ONE if reach.known else None
    return condition(kind, "Unknown", Reason.PENDING, now, generation, message)


def _covered(site: Site, cameras: Sequence[Camera], now: datetime) -> Condition:
    gaps = _gaps(site.spec, cameras) if site.spec else ()
    generation, kind = site.meta.generation, ConditionType.COVERED
    if not gaps:
        return condition(kind, "True", Reason.COVERAGE_MET, now, generation)
    fact = "Fewer cameras are declared than required: " + ", ".join(gaps) + "."
    message = f"{fact} {REASONS[Reason.COVERAGE_GAP].next_action}"
    return condition(kind, "False", Reason.COVERAGE_GAP, now, generation, message[:512])


def _gaps(spec: SiteSpec, cameras: Sequence[Camera]) -> tuple[str, ...]:
    declared = Counter(camera.spec.zone for camera in cameras if camera.spec)
    return tuple(
        f"{need.zone.value} has {declared[need.zone]} of {need.cameras}"
        for need in spec.coverage
        if declared[need.zone] < need.cameras
    )


def _ordered(stored: SiteStatus, wanted: SiteStatus) -> list[Condition]:
    """The stored conditions in our order: the API server keeps that of the first write."""
    rank = {one.type: number for number, one in enumerate(wanted.conditions)}
    return sorted(stored.conditions, key=lambda one: rank.get(one.type, len(rank)))
