# SPDX-License-Identifier: Apache-2.0
"""Handles each change in the cluster: stores it, records it, enqueues the namespaces it concerns.

Three parts call it: `event_source` with watch events, `cluster.listing` with repairs after a LIST,
`reconcile` with the answers to our own writes. It plans nothing and asks the API server nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from camfleet_operator.observed import Raw
from camfleet_operator.queue import NamespaceQueue, Priority
from camfleet_operator.resources import CAMERAS, NAMESPACES, SITES, Resource
from camfleet_operator.store import Change, Store


class EventHandler:
    """Handles every change of the cluster, in the main loop."""

    def __init__(
        self,
        store: Store,
        queue: NamespaceQueue,
        record: Callable[[Change], None],
        batch_s: Callable[[str], float],
    ) -> None:
        """`record` gets every change, for Kubernetes Events. `batch_s` is how long the changes of
        a namespace are gathered before it is planned."""
        self._store = store
        self._queue = queue
        self._record = record
        self._batch_s = batch_s
        self._loop = asyncio.get_running_loop()

    def on_watch_event(self, resource: Resource, deleted: bool, raw: Raw) -> None:
        """An event of a watch. Called in any thread; handled in the main loop, in order."""
        self._loop.call_soon_threadsafe(self._handle, resource, deleted, raw)

    def on_answer(self, resource: Resource, answer: Mapping[str, Any]) -> None:
        """The object in the API server's answer to a write of ours, before the watch has it."""
        self._handle(resource, False, answer)

    def on_change(self, change: Change) -> None:
        """Handle a change that is in the store already."""
        self._record(change)
        if not change.matters:
            return
        if change.resource is NAMESPACES:
            self._queue.enqueue(change.name, Priority.SPEC)
        elif change.resource.namespaced:
            batch_s = self._batch_s(change.namespace)
            self._queue.enqueue(change.namespace, _priority(change), batch_s)
        else:
            self.enqueue_all(Priority.SPEC)

    def enqueue_all(self, priority: Priority) -> None:
        """Enqueue every namespace that has objects."""
        for namespace in self._store.namespaces():
            self._queue.enqueue(namespace, priority)

    def _handle(self, resource: Resource, deleted: bool, raw: Raw) -> None:
        change = self._store.remove(resource, raw) if deleted else self._store.put(resource, raw)
        if change is not None:
            self.on_change(change)


def _priority(change: Change) -> Priority:
    """The priority of a change: a worker's report comes after declarations of people."""
    before, after = change.before, change.after
    if change.resource in (CAMERAS, SITES) and before is not None and after is not None:
        same = before.meta.generation == after.meta.generation
        return Priority.STATUS if same and not after.meta.deleting else Priority.SPEC
    return Priority.SPEC
