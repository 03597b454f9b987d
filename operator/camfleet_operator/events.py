# SPDX-License-Identifier: Apache-2.0
"""Kubernetes Events, on transitions of a Camera's Ready only.

Fed by every change of the store, on the leader. Transitions are gathered for two seconds: a few of
a site become an Event each, many become one Event on their Site, because a site that loses its
line is one incident. The same object gets the same reason at most once in five minutes. An Event
that cannot be posted is logged and dropped: conditions hold the truth.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from camfleet_api.conditions import Condition, ConditionType, Reason
from camfleet_api.names import API_VERSION, OPERATOR_MANAGER
from camfleet_operator.cluster.apply import Writer
from camfleet_operator.errors import ApiError
from camfleet_operator.metrics import EVENTS_POSTED
from camfleet_operator.observed import Camera, Meta
from camfleet_operator.store import Change

log = logging.getLogger(__name__)

GATHER_S = 2.0
SINGLY = 5
"""So many transitions of one site in one go are told one by one; more are told together."""
SAME_AGAIN_S = 300.0


@dataclass(frozen=True, slots=True)
class Transition:
    """A Camera whose Ready changed its status."""

    meta: Meta
    site: str
    ready: Condition


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One Event to post."""

    namespace: str
    kind: str
    name: str
    uid: str
    reason: str
    message: str
    warning: bool


def transition(change: Change) -> Transition | None:
    """The transition a change is, if it is one. The first report of a Camera is none, unless good;
    not knowing yet is none either."""
    after = change.after
    if not isinstance(after, Camera) or after.spec is None:
        return None
    new = _ready(after)
    old = _ready(change.before) if isinstance(change.before, Camera) else None
    if new is None or new.reason == Reason.PENDING or (old and old.status == new.status):
        return None
    return Transition(after.meta, after.spec.site_ref, new)


def gather(transitions: Sequence[Transition]) -> Iterator[Occurrence]:
    """The Events that say what happened: few singly, many by Site."""
    by_site: dict[tuple[str, str, str], list[Transition]] = defaultdict(list)
    for one in transitions:
        by_site[one.meta.namespace, one.site, one.ready.status].append(one)
    for (namespace, site, status), group in sorted(by_site.items()):
        if len(group) <= SINGLY:
            yield from (_singly(one) for one in group)
        else:
            yield _together(namespace, site, status, group)


def _singly(one: Transition) -> Occurrence:
    good = one.ready.status == "True"
    message = "The camera is Ready." if good else one.ready.message
    return Occurrence(
        one.meta.namespace,
        "Camera",
        one.meta.name,
        one.meta.uid,
        one.ready.reason,
        message,
        not good,
    )


def _together(namespace: str, site: str, status: str, group: Sequence[Transition]) -> Occurrence:
    good = status == "True"
    reasons = sorted({one.ready.reason for one in group})
    became = "became Ready" if good else f"are no longer Ready: {', '.join(reasons)}"
    message = f"{len(group)} cameras of the site {became}."
    reason = "CamerasReady" if good else "CamerasNotReady"
    return Occurrence(namespace, "Site", site, "", reason, message, not good)


class EventRecorder:
    """Gathers transitions and posts Events."""

    def __init__(
        self,
        writer: Writer,
        identity: str,
        may_post: Callable[[str], bool],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._writer = writer
        self._may_post = may_post
        self._identity = identity
        self._monotonic = monotonic
        self._pending: list[Transition] = []
        self._told: dict[tuple[str, str, str, str], float] = {}

    def note(self, change: Change) -> None:
        """Remember a change if it is a transition."""
        if (one := transition(change)) is not None:
            self._pending.append(one)

    async def run(self) -> None:
        """Post what was gathered, for ever."""
        while True:
            await asyncio.sleep(GATHER_S)
            await self.flush()

    async def flush(self) -> None:
        """Post what was gathered so far."""
        pending, self._pending = self._pending, []
        for one in gather(pending):
            if self._may_post(one.namespace) and self._is_news(one):
                await self._post(one)

    def _is_news(self, one: Occurrence) -> bool:
        now = self._monotonic()
        self._told = {key: at for key, at in self._told.items() if now - at < SAME_AGAIN_S}
        key = (one.namespace, one.kind, one.name, one.reason)
        return self._told.setdefault(key, now) == now

    async def _post(self, one: Occurrence) -> None:
        try:
            await self._writer.post_event(one.namespace, event_body(one, self._identity))
        except ApiError as error:
            fields = {"namespace": one.namespace, "name": one.name, "error": str(error)}
            log.warning("an Event was dropped", extra={"fields": fields})
        else:
            EVENTS_POSTED.inc()


def event_body(one: Occurrence, identity: str) -> dict[str, Any]:
    """The Event as core/v1 takes it."""
    now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    involved = {
        "apiVersion": API_VERSION,
        "kind": one.kind,
        "namespace": one.namespace,
        "name": one.name,
    }
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"generateName": f"{one.name[:200]}.", "namespace": one.namespace},
        "involvedObject": involved | ({"uid": one.uid} if one.uid else {}),
        "reason": one.reason,
        "message": one.message[:1024],
        "type": "Warning" if one.warning else "Normal",
        "count": 1,
        "firstTimestamp": now,
        "lastTimestamp": now,
        "source": {"component": OPERATOR_MANAGER},
        "reportingComponent": OPERATOR_MANAGER,
        "reportingInstance": identity[:128],
    }


def _ready(camera: Camera) -> Condition | None:
    return next((one for one in camera.status.conditions if one.type == ConditionType.READY), None)
