# SPDX-License-Identifier: Apache-2.0
"""When each watch last said anything: events and bookmarks.

kopf swallows bookmarks, and answers its own liveness probe with 200 while a watch is dead. So its
HTTP session is ours (kopf's documented AiohttpSession) with a response class that notes each chunk
of a watch. The API server sends a bookmark about every minute on a watch that is otherwise silent
(Kubernetes API concepts, "Watch bookmarks"), so silence means a dead watch.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

import aiohttp

from camfleet_operator.metrics import WATCH_AGE


class WatchHealth:
    """The age of the last sign of life of every watch. Noted in kopf's thread, read in ours."""

    def __init__(
        self, kinds: Iterable[str], monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._monotonic = monotonic
        self._heard_at = dict.fromkeys(kinds, monotonic())

    def heard(self, kind: str) -> None:
        """A watch of the kind has said something."""
        if kind in self._heard_at:
            self._heard_at[kind] = self._monotonic()

    def ages_s(self) -> dict[str, float]:
        """Seconds since each watch last said something (since start, if never)."""
        now = self._monotonic()
        ages = {kind: now - at for kind, at in self._heard_at.items()}
        for kind, age in ages.items():
            WATCH_AGE.labels(kind).set(age)
        return ages

    def stale(self, limit_s: float) -> list[str]:
        """Kinds whose watch has been silent for longer than the limit."""
        return sorted(kind for kind, age in self.ages_s().items() if age > limit_s)


def listening_response(health: WatchHealth) -> type[aiohttp.ClientResponse]:
    """A response class that tells `health` about every chunk of a watch."""

    class ListeningResponse(aiohttp.ClientResponse):
        async def start(self, connection: Any) -> aiohttp.ClientResponse:
            await super().start(connection)
            if self.url.query.get("watch") == "true":
                kind = self.url.path.rsplit("/", 1)[-1]
                self.content = _Content(self.content, lambda: health.heard(kind))  # type: ignore[assignment]
            return self

    return ListeningResponse


class _Content:
    """A response's body that calls `heard` for each chunk, and is the body otherwise."""

    def __init__(self, body: aiohttp.StreamReader, heard: Callable[[], None]) -> None:
        self._body = body
        self._heard = heard

    async def iter_chunked(self, size: int) -> AsyncIterator[bytes]:
        async for chunk in self._body.iter_chunked(size):
            self._heard()
            yield chunk

    def __getattr__(self, name: str) -> Any:
        return getattr(self._body, name)
