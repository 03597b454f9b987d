# SPDX-License-Identifier: Apache-2.0
"""Posts the Kubernetes Events that `event_aggregation` makes of changes.

It runs on the leader and gets every change of the store. The same Event about the same object is
posted at most once in five minutes. An Event that cannot be posted is logged and dropped, because
conditions have the complete state.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from camfleet_api.names import API_VERSION, OPERATOR_MANAGER
from camfleet_operator.cluster.apply import Writer
from camfleet_operator.errors import ApiError
from camfleet_operator.event_aggregation import EventAggregator
from camfleet_operator.metrics import EVENTS_POSTED
from camfleet_operator.occurrence import Occurrence
from camfleet_operator.plan.snapshot import is_enrolled
from camfleet_operator.settings import Settings
from camfleet_operator.store import Change, Store

log = logging.getLogger(__name__)

LOOK_EVERY_S = 2.0
SAME_AGAIN_S = 300.0


class EventRecorder:
    """Posts Events."""

    def __init__(
        self,
        writer: Writer,
        aggregator: EventAggregator,
        identity: str,
        may_post: Callable[[str], bool],
        leading: Callable[[], bool],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._writer = writer
        self._aggregator = aggregator
        self._may_post = may_post
        self._leading = leading
        self._identity = identity
        self._monotonic = monotonic
        self._posted_at: dict[tuple[str, str, str, str, str], float] = {}

    def note(self, change: Change) -> None:
        """Note a change of the store. Only the leader does so: another replica posts nothing."""
        if self._leading():
            self._aggregator.note(change, self._monotonic())

    async def run(self) -> None:
        """Post what is due, for ever."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            await self.post_due()

    async def post_due(self) -> None:
        """Post what is due now."""
        for one in self._aggregator.due(self._monotonic()):
            if self._may_post(one.namespace) and self._is_news(one):
                await self._post(one)

    def _is_news(self, one: Occurrence) -> bool:
        now = self._monotonic()
        self._posted_at = {
            key: at for key, at in self._posted_at.items() if now - at < SAME_AGAIN_S
        }
        key = (one.namespace, one.kind, one.name, one.reason, one.device)
        return self._posted_at.setdefault(key, now) == now

    async def _post(self, one: Occurrence) -> None:
        try:
            await self._writer.post_event(one.namespace, event_body(one, self._identity))
        except ApiError as error:
            log.warning(
                "an Event was dropped",
                extra={
                    "namespace": one.namespace,
                    "kind": one.kind,
                    "object": one.name,
                    "cause": str(error),
                },
            )
        else:
            EVENTS_POSTED.inc()


def may_post(store: Store, settings: Settings, namespace: str) -> bool:
    """Whether the operator has the right to write there, and the namespace is not being deleted."""
    snapshot = store.snapshot(namespace)
    return not snapshot.terminating and is_enrolled(snapshot, settings)


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
