# SPDX-License-Identifier: Apache-2.0
"""Takes a namespace from the queue, plans it, and carries the plan out.

It runs on the leader only, in the main loop; planning runs in a thread so that the Lease is renewed
in time. It decides nothing: the plan decides what to write, the queue when to try again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

from camfleet_operator.cluster.apply import Writer
from camfleet_operator.errors import ApiError, Conflict, NotLeading
from camfleet_operator.metrics import MOVES, RECONCILE_SECONDS, RECONCILES, FleetCollector
from camfleet_operator.pace import BatchPeriods, WritePace
from camfleet_operator.plan.actions import Action, Apply, Plan
from camfleet_operator.plan.namespace_plan import plan_namespace
from camfleet_operator.queue import NamespaceQueue, Priority
from camfleet_operator.resources import Resource
from camfleet_operator.settings import Settings
from camfleet_operator.store import Store

log = logging.getLogger(__name__)

CONTROLLER = "namespace"
NAMESPACES_AT_ONCE = 4
WRITES_AT_ONCE = 16
AFTER_CONFLICT_S = 0.2
AFTER_DUE_S = 0.05
"""A recheck comes this much after the moment that it waits for, never just before."""

OnAnswer = Callable[[Resource, Mapping[str, Any]], None]


def utc_now() -> datetime:
    """The time now in whole seconds, as a condition has it."""
    return datetime.now(UTC).replace(microsecond=0)


class Reconciler:
    """Carries out plans, a few namespaces at a time."""

    def __init__(
        self,
        store: Store,
        queue: NamespaceQueue,
        writer: Writer,
        figures: FleetCollector,
        settings: Settings,
        batches: BatchPeriods,
        on_answer: OnAnswer,
    ) -> None:
        self._store = store
        self._queue = queue
        self._writer = writer
        self._figures = figures
        self._settings = settings
        self._batches = batches
        self._on_answer = on_answer
        self._pace = WritePace()

    async def run(self) -> None:
        """Work for ever."""
        async with asyncio.TaskGroup() as group:
            for _ in range(NAMESPACES_AT_ONCE):
                group.create_task(self._work())

    async def _work(self) -> None:
        while True:
            namespace = await self._queue.get()
            result = await self._reconcile(namespace)
            RECONCILES.labels(CONTROLLER, result).inc()
            self._queue.done(namespace, failed=result == "error")

    async def _reconcile(self, namespace: str) -> str:
        """Plan and write once; returns the result for the metric. The queue retries failures."""
        try:
            with RECONCILE_SECONDS.labels(CONTROLLER).time():
                failures = await self._round(namespace)
        except NotLeading:
            return "not_leading"
        except Exception:
            # A bug of ours must cost one namespace its updates, not the fleet its operator.
            log.exception("planning failed", extra={"namespace": namespace})
            return "error"
        for error in failures[:3]:
            log.warning("a write failed", extra={"namespace": namespace, "cause": str(error)})
        return "error" if failures else "success"

    async def _round(self, namespace: str) -> list[ApiError]:
        snapshot = self._store.snapshot(namespace)
        began = time.monotonic()
        plan = await asyncio.to_thread(plan_namespace, snapshot, utc_now(), self._settings)
        self._batches.planned(namespace, time.monotonic() - began)
        self._record(namespace, plan)
        failures = await self._carry_out(namespace, plan.actions)
        if plan.recheck_s is not None:
            self._queue.enqueue(namespace, Priority.STATUS, plan.recheck_s + AFTER_DUE_S)
        return failures

    def _record(self, namespace: str, plan: Plan) -> None:
        self._figures.record(namespace, plan.figures)
        MOVES.inc(plan.moves)
        if plan.actions:
            log.info(
                "plan",
                extra={
                    "namespace": namespace,
                    "actions": len(plan.actions),
                    "first_actions": [_summary(action) for action in plan.actions[:4]],
                },
            )

    async def _carry_out(self, namespace: str, actions: Iterable[Action]) -> list[ApiError]:
        """Carry out phase by phase; a shard that failed in one is left out of the next."""
        failures: list[ApiError] = []
        broken: set[str] = set()
        limit = asyncio.Semaphore(WRITES_AT_ONCE)
        for _, phase in groupby(actions, key=lambda action: action.phase):
            chosen = [action for action in phase if not action.shard or action.shard not in broken]
            due = [action for action in chosen if self._is_due(namespace, action)]
            outcomes = await asyncio.gather(*(self._act(namespace, one, limit) for one in due))
            for action, error in zip(due, outcomes, strict=True):
                if error is not None:
                    failures.append(error)
                    broken.add(action.shard)
        return failures

    def _is_due(self, namespace: str, action: Action) -> bool:
        """Whether an action with a pace may be carried out now; if not, its namespace is enqueued
        for the time when it may."""
        if not isinstance(action, Apply) or not action.every_s:
            return True
        key = (action.resource, action.namespace, action.name)
        wait_s = self._pace.wait_s(key, action.every_s)
        if wait_s > 0:
            self._queue.enqueue(namespace, Priority.STATUS, wait_s)
        return wait_s == 0

    async def _act(
        self, namespace: str, action: Action, limit: asyncio.Semaphore
    ) -> ApiError | None:
        async with limit:
            try:
                if isinstance(action, Apply):
                    answer = await self._writer.apply(action)
                    if answer is not None:
                        self._on_answer(action.resource, answer)
                else:
                    await self._writer.delete(action)
            except Conflict:
                # Another client wrote in between; the watch event of that write is on the way.
                self._queue.enqueue(namespace, Priority.STATUS, AFTER_CONFLICT_S)
            except ApiError as error:
                return error
        return None


def _summary(action: Action) -> str:
    verb = "apply" if isinstance(action, Apply) else "delete"
    what = f"{action.resource.kind}/{action.name}"
    return f"{verb} {what}: {action.because}"
