# SPDX-License-Identifier: Apache-2.0
"""The safety net under the watches: what a watch missed is found by a LIST, what is on its way is
not called drift."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from camfleet_operator.cluster.listing import Listing, all_crds_established
from camfleet_operator.resources import CAMERAS, CUSTOM
from camfleet_operator.store import Change, Store
from fleet_objects import camera


class Cluster:
    """Lists cameras, two a page, as they were when the first page was asked for."""

    def __init__(self) -> None:
        self.cameras: dict[str, dict[str, Any]] = {}
        self.version = 0

    def create(self, name: str) -> dict[str, Any]:
        self.version += 1
        raw = camera("ns", name)
        raw["metadata"] |= {"uid": f"uid-{name}", "resourceVersion": str(self.version)}
        self.cameras[name] = raw
        return raw

    def delete(self, name: str) -> None:
        self.version += 1
        del self.cameras[name]

    async def request(self, method: str, path: str, **rest: Any) -> dict[str, Any]:
        query: Mapping[str, str] = rest.get("query") or {}
        metadata: dict[str, Any] = {"resourceVersion": str(max(self.version, 1))}
        if path != CAMERAS.path():
            return {"metadata": metadata, "items": []}
        began = int(query.get("continue", "0"))
        items = sorted(self.cameras.values(), key=lambda one: str(one["metadata"]["name"]))
        if began + 2 < len(items):
            metadata["continue"] = str(began + 2)
        return {"metadata": metadata, "items": items[began : began + 2]}


@pytest.fixture
def world() -> tuple[Cluster, Store, list[Change], Listing]:
    cluster, store, heard = Cluster(), Store(40), list[Change]()

    async def nothing_arrives(_: float) -> None:
        return

    return cluster, store, heard, Listing(cluster, store, heard.append, 5, nothing_arrives)


World = tuple[Cluster, Store, list[Change], Listing]


async def test_the_first_listing_brings_everything_page_by_page(world: World) -> None:
    cluster, store, heard, listing = world
    for number in range(5):
        cluster.create(f"cam{number}")
    await listing.fill()
    assert len(store.snapshot("ns").cameras) == 5
    assert len(heard) == 5


async def test_a_deletion_that_the_watches_missed_is_found(world: World) -> None:
    cluster, store, heard, listing = world
    for number in range(3):
        cluster.create(f"cam{number}")
    await listing.fill()
    cluster.delete("cam1")
    heard.clear()
    assert await listing.mend() == 1
    assert sorted(store.snapshot("ns").cameras) == ["cam0", "cam2"]
    assert [(change.name, change.after) for change in heard] == [("cam1", None)]


async def test_an_addition_that_the_watches_missed_is_found(world: World) -> None:
    cluster, store, _, listing = world
    cluster.create("cam0")
    assert await listing.mend() == 1
    assert list(store.snapshot("ns").cameras) == ["cam0"]


async def test_nothing_is_repaired_where_nothing_differs(world: World) -> None:
    cluster, _, heard, listing = world
    cluster.create("cam0")
    await listing.fill()
    heard.clear()
    assert await listing.mend() == 0
    assert heard == []


async def test_an_object_made_after_the_listing_does_not_count_as_deleted(world: World) -> None:
    cluster, store, _, listing = world
    newer = camera("ns", "late")
    newer["metadata"] |= {"uid": "late", "resourceVersion": "99"}
    cluster.create("cam0")
    await listing.fill()
    store.put(CAMERAS, newer)
    assert await listing.mend() == 0
    assert "late" in store.snapshot("ns").cameras


async def test_news_that_arrives_while_we_wait_is_no_drift() -> None:
    cluster, store = Cluster(), Store(40)
    late = cluster.create("cam0")

    async def the_watch_delivers(_: float) -> None:
        store.put(CAMERAS, late)

    listing = Listing(cluster, store, lambda _: None, 5, the_watch_delivers)
    assert await listing.mend() == 0


@pytest.mark.parametrize("missing", [0, 1])
async def test_kopf_waits_until_every_kind_is_served(missing: int) -> None:
    class Discovery:
        async def request(self, method: str, path: str, **_: Any) -> dict[str, Any]:
            kinds = CUSTOM[: len(CUSTOM) - missing]
            return {"resources": [{"name": kind.plural} for kind in kinds]}

    assert await all_crds_established(Discovery(), 5) is (missing == 0)
