# SPDX-License-Identifier: Apache-2.0
"""Following one object by its name: list, then watch, for ever.

Kubernetes API concepts, "Efficient detection of changes": a list gives the resource version to
watch from; 410 Gone means listing again. list and watch with fieldSelector metadata.name=X are
what a Role with resourceNames [X] allows. The client's own Watch is not used: each one makes
another ApiClient with another TLS context, and deserialises into models.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from camfleet_worker.base.backoff import Backoff
from camfleet_worker.cluster.connection import REQUEST_TIMEOUT_S
from camfleet_worker.cluster.errors import ClusterError, Trouble, cluster_errors, of_status

log = logging.getLogger(__name__)

KubernetesObject = dict[str, Any]
ListCall = Callable[..., Awaitable[Any]]
"""A list_… method in its `_without_preload_content` form, bound to everything but the options."""

SERVER_TIMEOUT_S = 300
SILENCE_S = 90.0
"""A watch silent for so long is asked for anew from where it was: load balancers and NAT drop idle
connections without a word. It is no trouble: the API server sends bookmarks about once a minute,
but none for a kind of which nothing changes anywhere."""


class ObjectWatch:
    """One object, by name. `objects()` yields it at every change and None while it is absent."""

    def __init__(self, list_call: ListCall, name: str, what: str) -> None:
        self._list_call = list_call
        self._name = name
        self._what = what
        self._version = ""

    async def objects(self) -> AsyncIterator[KubernetesObject | None]:
        """Never ends and never raises ClusterError: trouble is logged and tried again.

        403 is met with patience as well: the operator writes the Role just before the shard, and
        RBAC in the API server follows within moments.
        """
        backoff = Backoff(first_s=0.5, most_s=30.0)
        while True:
            try:
                async for found in self._list_and_watch():
                    backoff.reset()
                    yield found
            except ClusterError as error:
                if error.trouble is not Trouble.EXPIRED:
                    log.warning("watch broke", extra={"what": self._what, "cause": str(error)})
                delay_s = backoff.next_s()
                await asyncio.sleep(max(delay_s, error.retry_after_s or 0.0))

    async def _list_and_watch(self) -> AsyncIterator[KubernetesObject | None]:
        yield await self._list()
        while True:
            async for event, found in self._watch():
                if event == "DELETED":
                    yield None
                elif event in ("ADDED", "MODIFIED"):
                    yield found

    async def _list(self) -> KubernetesObject | None:
        with cluster_errors(f"list {self._what}"):
            async with asyncio.timeout(REQUEST_TIMEOUT_S):
                response = await self._list_call(field_selector=self._selector)
                try:
                    _check(response, f"list {self._what}")
                    answer = await response.json()
                finally:
                    response.release()
        self._version = answer["metadata"]["resourceVersion"]
        items = answer.get("items") or []
        return items[0] if items else None

    async def _watch(self) -> AsyncIterator[tuple[str, KubernetesObject]]:
        """One watch request, from the last resource version until the server ends it."""
        with cluster_errors(f"watch {self._what}"):
            async with asyncio.timeout(REQUEST_TIMEOUT_S):
                response = await self._list_call(
                    field_selector=self._selector,
                    watch=True,
                    allow_watch_bookmarks=True,
                    resource_version=self._version,
                    timeout_seconds=SERVER_TIMEOUT_S,
                    _request_timeout=SERVER_TIMEOUT_S + 30.0,
                )
            try:
                _check(response, f"watch {self._what}")
                while line := await _line_or_silence(response):
                    event = _event(line, self._what)
                    found: KubernetesObject = event["object"]
                    if event["type"] == "ERROR":
                        raise of_status(int(found.get("code", 0)), f"watch {self._what}")
                    self._version = found["metadata"]["resourceVersion"]
                    yield event["type"], found
            finally:
                response.close()

    @property
    def _selector(self) -> str:
        return f"metadata.name={self._name}"


async def _line_or_silence(response: Any) -> bytes:
    """The next line of a watch; empty at its end and after a silence."""
    try:
        line: bytes = await asyncio.wait_for(response.content.readline(), SILENCE_S)
    except TimeoutError:
        return b""
    return line


def _event(line: bytes, what: str) -> KubernetesObject:
    """One line of a watch; a connection that breaks within a line gives half of one."""
    try:
        event: KubernetesObject = json.loads(line)
    except ValueError:
        raise ClusterError(Trouble.UNAVAILABLE, f"watch {what}: half an event") from None
    return event


def _check(response: Any, what: str) -> None:
    if response.status != 200:
        raise of_status(response.status, what, response.headers.get("Retry-After"))
