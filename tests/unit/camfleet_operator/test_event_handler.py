# SPDX-License-Identifier: Apache-2.0
"""Which namespaces a change in the cluster enqueues, how urgently, and what it never does."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from camfleet_operator.event_handler import EventHandler
from camfleet_operator.queue import NamespaceQueue, Priority
from camfleet_operator.resources import CAMERAS, LEASES, NAMESPACES, PROFILES, Resource
from camfleet_operator.store import Change, Store
from fleet_objects import camera, profile

OURS = {"app.kubernetes.io/managed-by": "camfleet-operator"}
BATCH_S = 0.25


class Enqueued(NamespaceQueue):
    """A queue that notes what is enqueued."""

    def __init__(self) -> None:
        super().__init__()
        self.keys: list[tuple[str, Priority, float]] = []

    def enqueue(self, key: str, priority: Priority, in_s: float = 0.0) -> None:
        self.keys.append((key, priority, in_s))


class Cluster:
    """A handler with all that it works on, and objects for it."""

    def __init__(self) -> None:
        self.queue = Enqueued()
        self.store = Store(lease_seconds=40)
        self.recorded: list[Change] = []
        self.handler = EventHandler(
            self.store, self.queue, self.recorded.append, lambda namespace: BATCH_S
        )

    def answer(self, resource: Resource, raw: dict[str, Any], version: int, **meta: Any) -> None:
        stored = {"uid": raw["metadata"]["name"], "resourceVersion": str(version), **meta}
        body = {**raw, "metadata": {**raw["metadata"], **stored}}
        self.handler.on_answer(resource, body)

    def forget_so_far(self) -> None:
        self.queue.keys.clear()
        self.recorded.clear()


@pytest.fixture
async def cluster() -> Cluster:
    return Cluster()


async def test_a_declared_camera_has_its_namespace_planned_after_the_batch_period(
    cluster: Cluster,
) -> None:
    cluster.answer(CAMERAS, camera("ns", "cam0"), 1)
    assert cluster.queue.keys == [("ns", Priority.SPEC, BATCH_S)]


async def test_a_status_is_less_urgent_than_a_changed_spec(cluster: Cluster) -> None:
    cluster.answer(CAMERAS, camera("ns", "cam0"), 1, generation=1)
    cluster.forget_so_far()
    cluster.answer(CAMERAS, camera("ns", "cam0"), 2, generation=1)
    cluster.answer(CAMERAS, camera("ns", "cam0"), 3, generation=2)
    assert [priority for _, priority, _ in cluster.queue.keys] == [Priority.STATUS, Priority.SPEC]


async def test_a_camera_that_is_being_deleted_is_urgent(cluster: Cluster) -> None:
    cluster.answer(CAMERAS, camera("ns", "cam0"), 1)
    cluster.forget_so_far()
    cluster.answer(CAMERAS, camera("ns", "cam0"), 2, deletionTimestamp="2026-01-01T00:00:00Z")
    assert cluster.queue.keys == [("ns", Priority.SPEC, BATCH_S)]


async def test_a_namespace_is_planned_at_once_by_its_own_name(cluster: Cluster) -> None:
    cluster.answer(NAMESPACES, {"metadata": {"name": "ns"}}, 1)
    assert cluster.queue.keys == [("ns", Priority.SPEC, 0.0)]


async def test_a_profile_has_every_namespace_planned_that_holds_anything(cluster: Cluster) -> None:
    cluster.answer(CAMERAS, camera("north", "cam0"), 1)
    cluster.answer(CAMERAS, camera("south", "cam0"), 1)
    cluster.forget_so_far()
    cluster.answer(PROFILES, profile(), 2)
    assert {(key, priority) for key, priority, _ in cluster.queue.keys} == {
        ("north", Priority.SPEC),
        ("south", Priority.SPEC),
    }


async def test_a_version_that_the_store_has_enqueues_and_records_nothing(cluster: Cluster) -> None:
    cluster.answer(CAMERAS, camera("ns", "cam0"), 5)
    cluster.forget_so_far()
    cluster.answer(CAMERAS, camera("ns", "cam0"), 5)
    assert (cluster.queue.keys, cluster.recorded) == ([], [])


async def test_a_lease_renewed_in_time_is_recorded_and_enqueues_nothing(cluster: Cluster) -> None:
    def renewal(second: int) -> dict[str, Any]:
        meta = {"name": "s", "namespace": "ns", "labels": OURS}
        return {"metadata": meta, "spec": {"renewTime": f"2026-01-01T00:00:{second:02}Z"}}

    cluster.answer(LEASES, renewal(0), 1)
    cluster.forget_so_far()
    cluster.answer(LEASES, renewal(10), 2)
    assert cluster.queue.keys == []
    assert [change.name for change in cluster.recorded] == ["s"]


async def test_watch_events_of_another_thread_are_handled_in_their_order(cluster: Cluster) -> None:
    raw = camera("ns", "cam0")
    raw["metadata"] |= {"uid": "u1", "resourceVersion": "1"}

    def in_another_thread() -> None:
        cluster.handler.on_watch_event(CAMERAS, False, raw)
        cluster.handler.on_watch_event(CAMERAS, True, raw)

    await asyncio.to_thread(in_another_thread)
    await asyncio.sleep(0)
    assert [change.after is None for change in cluster.recorded] == [False, True]
    assert cluster.store.get(CAMERAS, "ns", "cam0") is None
