# SPDX-License-Identifier: Apache-2.0
"""Which Kubernetes Events are posted: causes, not their symptoms.

`event_recorder` feeds it every change of the store, on the leader, and posts what `due` returns. It
knows the time only as an argument and posts nothing itself.

Transitions of a camera's Ready are held for a little longer than the minute within which a site's
devices count as fallen together. What the Site's condition Reachable then explains has no Event for
each camera: the incident has one Event at its beginning and one at its end. Of the rest, the
channels of one recorder share one Event, and so do many devices of one site. Cameras that are
still away five minutes after their site came back get their Event after all. Recordings that were
deleted early are beside all that, in `deletion_events`.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from camfleet_api.conditions import REASONS, Condition, ConditionType, Reason, condition_of
from camfleet_api.device_address import DeviceAddress
from camfleet_operator.deletion_events import DeletionEvents
from camfleet_operator.observed import Camera, Meta, Site
from camfleet_operator.occurrence import Occurrence, SiteKey
from camfleet_operator.plan.site_incident import EXPLAINED, is_in_incident
from camfleet_operator.resources import SITES
from camfleet_operator.store import Change, Store

SINGLY = 5
"""So many devices of one site have an Event each; more share one."""
AFTERMATH_S = 300.0
"""How long cameras may take to come back after their site did."""
RUN = 4
"""Transitions of a site share an Event while less than a fourth of the hold lies between them."""


@dataclass(frozen=True, slots=True)
class Transition:
    """A change of the status of a Camera's Ready."""

    meta: Meta
    site: str
    device: DeviceAddress
    """As declared, before the site's network maps it: people know it by this address."""
    ready: Condition
    was: str
    """The reason of its Ready before."""

    @property
    def fell(self) -> bool:
        return self.ready.status != "True"

    @property
    def where(self) -> SiteKey:
        return self.meta.namespace, self.site


@dataclass(frozen=True, slots=True)
class _Held:
    transition: Transition
    due_s: float


class EventAggregator:
    """Transitions whose Events are not due yet, and the Events that are."""

    def __init__(self, hold_s: float, find_site: Callable[[SiteKey], Site | None]) -> None:
        """`find_site`: the Site as the store has it now."""
        self._hold_s = hold_s
        self._find_site = find_site
        self._deletions = DeletionEvents(hold_s, find_site)
        self._held: dict[SiteKey, list[_Held]] = {}
        self._explained: dict[str, _Held] = {}
        """By uid: falls that an incident explains; they have an Event only if no return follows its
        end."""
        self._incidents: list[Occurrence] = []

    def note(self, change: Change, now_s: float) -> None:
        """Take in one change of the store."""
        self._deletions.note(change, now_s)
        if isinstance(change.before, Site) or isinstance(change.after, Site):
            self._note_site(change, now_s)
        elif change.after is None:
            self._forget(change)
        elif (one := transition(change)) is not None:
            self._note_transition(one, now_s)

    def due(self, now_s: float) -> list[Occurrence]:
        """The Events to post now."""
        occurrences, self._incidents = self._incidents, []
        for where in sorted(self._held):
            occurrences += aggregate([one.transition for one in self._take_run(where, now_s)])
        away = [uid for uid, held in self._explained.items() if held.due_s <= now_s]
        occurrences += aggregate([self._explained.pop(uid).transition for uid in away])
        return occurrences + self._deletions.due(now_s)

    def _in_incident(self, where: SiteKey) -> bool:
        """Whether the stored Site says that it is unreachable as a whole."""
        site = self._find_site(where)
        return site is not None and is_in_incident(site.status.conditions)

    def _note_transition(self, one: Transition, now_s: float) -> None:
        stands = self._in_incident(one.where)
        if one.fell and stands and one.ready.reason in EXPLAINED:
            self._explained[one.meta.uid] = _Held(one, math.inf)
            return
        explained = self._explained.pop(one.meta.uid, None) is not None
        if not one.fell and (explained or (stands and one.was in EXPLAINED)):
            return
        self._held.setdefault(one.where, []).append(_Held(one, now_s + self._hold_s))

    def _take_run(self, where: SiteKey, now_s: float) -> list[_Held]:
        """The site's first transitions that belong together, once the last of them was held for
        long enough. What follows them without a pause is not waited for without end."""
        held = self._held[where]
        run = held[:1]
        for one in held[1:]:
            if one.due_s - run[-1].due_s > self._hold_s / RUN:
                break
            run.append(one)
        if run[-1].due_s > now_s:
            if run[0].due_s + self._hold_s > now_s:
                return []
            run = [one for one in run if one.due_s <= now_s]
        self._keep(where, held[len(run) :])
        return run

    def _note_site(self, change: Change, now_s: float) -> None:
        where = (change.namespace, change.name)
        before, after = change.before, change.after
        stood = isinstance(before, Site) and is_in_incident(before.status.conditions)
        stands = isinstance(after, Site) and is_in_incident(after.status.conditions)
        if isinstance(after, Site) and stands and not stood:
            self._explain_held(where)
            self._put_off(where, math.inf)
            self._incidents.append(_site_fell(after))
        elif stood and not stands:
            self._put_off(where, now_s + AFTERMATH_S)
            if isinstance(after, Site) and _is_reachable(after):
                self._incidents.append(_site_returned(after))

    def _explain_held(self, where: SiteKey) -> None:
        """An incident explains the falls that are still held, and their returns."""
        rest = []
        for held in self._held.get(where, ()):
            one = held.transition
            if one.fell and one.ready.reason in EXPLAINED:
                self._explained[one.meta.uid] = held
            elif one.fell or self._explained.pop(one.meta.uid, None) is None:
                rest.append(held)
        self._keep(where, rest)

    def _put_off(self, where: SiteKey, due_s: float) -> None:
        for uid, held in self._explained.items():
            if held.transition.where == where:
                self._explained[uid] = replace(held, due_s=due_s)

    def _keep(self, where: SiteKey, held: list[_Held]) -> None:
        if held:
            self._held[where] = held
        else:
            self._held.pop(where, None)

    def _forget(self, change: Change) -> None:
        """A Camera that is deleted has no more Events."""
        if not isinstance(change.before, Camera):
            return
        uid = change.before.meta.uid
        self._explained.pop(uid, None)
        for where, held in list(self._held.items()):
            self._keep(where, [one for one in held if one.transition.meta.uid != uid])


def stored_site(store: Store, where: SiteKey) -> Site | None:
    """The Site as it is stored; None where there is none."""
    site = store.get(SITES, *where)
    return site if isinstance(site, Site) else None


def transition(change: Change) -> Transition | None:
    """The transition a change is, if it is one; not knowing yet is none."""
    after = change.after
    if not isinstance(after, Camera) or after.spec is None:
        return None
    new = _condition(after, ConditionType.READY)
    old = _condition(change.before, ConditionType.READY)
    if new is None or new.reason == Reason.PENDING or (old and old.status == new.status):
        return None
    spec = after.spec
    device = DeviceAddress(spec.host, spec.ports.onvif)
    return Transition(after.meta, spec.site_ref, device, new, old.reason if old else "")


def aggregate(transitions: Sequence[Transition]) -> Iterator[Occurrence]:
    """The Events for these transitions: few devices one by one, many by Site."""
    by_site: dict[tuple[str, str, bool], dict[str, Transition]] = defaultdict(dict)
    for one in transitions:
        by_site[*one.where, not one.fell][one.meta.uid] = one  # The last transition of each camera.
    for _, cameras in sorted(by_site.items()):
        devices: dict[DeviceAddress, list[Transition]] = defaultdict(list)
        for one in cameras.values():
            devices[one.device].append(one)
        if len(devices) > SINGLY:
            yield _site_event(list(cameras.values()))
        else:
            yield from (
                _device_event(group) if len(group) > 1 else _camera_event(group[0])
                for group in devices.values()
            )


def _camera_event(one: Transition) -> Occurrence:
    return Occurrence(
        one.meta.namespace,
        "Camera",
        one.meta.name,
        one.meta.uid,
        one.ready.reason,
        one.ready.message if one.fell else "The camera is Ready.",
        one.fell,
    )


def _device_event(group: Sequence[Transition]) -> Occurrence:
    """Channels of one recorder: one cause, and one thing to do."""
    device = str(group[0].device)
    return _group_event(group, "Device", f"channels of {device}", device)


def _site_event(group: Sequence[Transition]) -> Occurrence:
    return _group_event(group, "Cameras", "cameras of the site")


def _group_event(
    group: Sequence[Transition], subject: str, members: str, device: str = ""
) -> Occurrence:
    """One Event on the Site for all of a group; `subject` begins its reason."""
    one = group[0]
    return Occurrence(
        one.meta.namespace,
        "Site",
        one.site,
        "",
        f"{subject}NotReady" if one.fell else f"{subject}Ready",
        f"{len(group)} {members} {_became(group)}",
        one.fell,
        device,
    )


def _became(group: Sequence[Transition]) -> str:
    if not group[0].fell:
        return "became Ready."
    reasons = sorted({one.ready.reason for one in group})
    action = REASONS[Reason(reasons[0])].next_action if len(reasons) == 1 else ""
    return f"are no longer Ready: {', '.join(reasons)}. {action}".strip()


def _site_fell(site: Site) -> Occurrence:
    row = REASONS[Reason.SITE_UNREACHABLE]
    counts = site.status.cameras
    total, ready = (counts.total, counts.ready) if counts else (0, 0)
    fact = f"{total - ready} of {total} cameras are not Ready, and most of them fell together."
    return _of_site(site, Reason.SITE_UNREACHABLE, f"{fact} {row.next_action}", warning=True)


def _site_returned(site: Site) -> Occurrence:
    message = "The site answers again; its cameras come back one after the other."
    return _of_site(site, Reason.REACHABLE, message, warning=False)


def _of_site(site: Site, reason: Reason, message: str, *, warning: bool) -> Occurrence:
    meta = site.meta
    return Occurrence(meta.namespace, "Site", meta.name, meta.uid, reason, message, warning)


def _is_reachable(site: Site) -> bool:
    return (one := _condition(site, ConditionType.REACHABLE)) is not None and one.status == "True"


def _condition(seen: object, kind: ConditionType) -> Condition | None:
    if not isinstance(seen, Camera | Site):
        return None
    return condition_of(seen.status.conditions, kind)
