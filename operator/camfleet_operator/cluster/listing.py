# SPDX-License-Identifier: Apache-2.0
"""Finds changes that the watches missed: compares paged LISTs with the store.

`app` calls it at start (the store is synced when every kind was listed once) and then every ten
minutes. A watch that relists after 410 Gone never reports deletions in between; this does. A
difference is checked again a little later, because its watch event may be on the way. One that
remains is drift: it is repaired and counted, and shows a bug.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from camfleet_operator.cluster.api import Api
from camfleet_operator.metrics import RELISTS, STORE_DRIFT
from camfleet_operator.observed import Raw
from camfleet_operator.resources import CUSTOM, WATCHED, Resource
from camfleet_operator.store import Change, Key, Store, is_wanted

log = logging.getLogger(__name__)

PAGE = 500
ON_THE_WAY_S = 5.0

OnChange = Callable[[Change], None]


async def all_crds_established(api: Api, timeout_s: float) -> bool:
    """Whether every kind of ours is served. The API server lists a kind in its discovery document
    exactly when its CRD is Established, and reading that needs no right on CRDs."""
    found = await api.request("GET", CUSTOM[0].root, timeout_s=timeout_s)
    served = {resource["name"] for resource in found.get("resources", ())}
    return all(resource.plural in served for resource in CUSTOM)


class Listing:
    """Fills the store at start and repairs it afterwards."""

    def __init__(
        self,
        api: Api,
        store: Store,
        on_change: OnChange,
        timeout_s: float,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._api = api
        self._store = store
        self._on_change = on_change
        self._timeout_s = timeout_s
        self._sleep = sleep

    async def fill(self) -> None:
        """List every kind into the store."""
        for resource in WATCHED:
            objects, _ = await self._list(resource)
            for raw in objects.values():
                self._pass_on(self._store.put(resource, raw))

    async def mend(self) -> int:
        """Compare every kind with the store and repair; the number of repairs."""
        return sum([await self._mend(resource) for resource in WATCHED])

    async def _mend(self, resource: Resource) -> int:
        objects, version = await self._list(resource)
        suspects = self._suspects(resource, objects, version)
        if not suspects:
            return 0
        await self._sleep(ON_THE_WAY_S)
        held = self._store.versions(resource)
        repairs = 0
        for key, seen in suspects.items():
            if held.get(key) == seen:
                repairs += self._repair(resource, key, objects.get(key), seen)
        return repairs

    def _suspects(
        self, resource: Resource, objects: dict[Key, Raw], version: int
    ) -> dict[Key, tuple[str, int] | None]:
        """The objects on which store and listing differ."""
        held = self._store.versions(resource)
        older = {key: held.get(key) for key, raw in objects.items() if _newer(raw, held.get(key))}
        # An object that is newer than the listing changed after it.
        gone = {
            key: seen for key, seen in held.items() if key not in objects and seen[1] <= version
        }
        return {**older, **gone}

    def _repair(
        self, resource: Resource, key: Key, raw: Raw | None, seen: tuple[str, int] | None
    ) -> int:
        if raw is not None:
            change = self._store.put(resource, raw)
        elif seen is not None:
            meta = {"namespace": key[0], "name": key[1], "uid": seen[0]}
            change = self._store.forget(resource, meta)
        else:
            change = None
        if change is None:
            return 0
        STORE_DRIFT.labels(resource.plural).inc()
        log.warning(
            "a watch missed this; repaired by listing",
            extra={"kind": resource.kind, "namespace": key[0], "object": key[1]},
        )
        self._pass_on(change)
        return 1

    async def _list(self, resource: Resource) -> tuple[dict[Key, Raw], int]:
        """All objects of a kind, page by page from one consistent list, and its version."""
        objects: dict[Key, Raw] = {}
        query = {"limit": str(PAGE)}
        if resource.selector:
            query["labelSelector"] = resource.selector
        while True:
            page = await self._api.request(
                "GET", resource.path(), query=query, timeout_s=self._timeout_s
            )
            for item in page.get("items", ()):
                if is_wanted(resource, item):
                    objects[_key(item)] = item
            token = page["metadata"].get("continue")
            if not token:
                RELISTS.labels(resource.plural).inc()
                return objects, int(page["metadata"]["resourceVersion"])
            query["continue"] = token

    def _pass_on(self, change: Change | None) -> None:
        if change is not None:
            self._on_change(change)


def _key(raw: dict[str, Any]) -> Key:
    return raw["metadata"].get("namespace", ""), raw["metadata"]["name"]


def _newer(raw: Raw, seen: tuple[str, int] | None) -> bool:
    return seen is None or int(raw["metadata"]["resourceVersion"]) > seen[1]
