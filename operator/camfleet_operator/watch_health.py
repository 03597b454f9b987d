# SPDX-License-Identifier: Apache-2.0
"""Notes when each watch last received something: an event or a bookmark.

kopf drops bookmarks, and answers its own liveness probe with 200 while a watch is dead. So its
HTTP session is ours (kopf's documented AiohttpSession) with a response class that notes each chunk
of a watch. The API server sends a bookmark about every minute on a watch without events
(Kubernetes API concepts, "Watch bookmarks"), so a watch that receives nothing for longer is dead.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

import aiohttp

from camfleet_operator.metrics import WATCH_AGE


class WatchHealth:
    """When every watch last received something. kopf's thread writes it, the main thread reads."""

    def __init__(
        self, kinds: Iterable[str], monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._monotonic = monotonic
        self._received_at = dict.fromkeys(kinds, monotonic())

    def received(self, kind: str) -> None:
        """Note that the watch of a kind received something."""
        if kind in self._received_at:
            self._received_at[kind] = self._monotonic()

    def ages_s(self) -> dict[str, float]:
        """Seconds since each watch last received something (since start, if never)."""
        now = self._monotonic()
        ages = {kind: now - at for kind, at in self._received_at.items()}
        for kind, age in ages.items():
            WATCH_AGE.labels(kind).set(age)
        return ages

    def stale(self, limit_s: float) -> list[str]:
        """Kinds whose watch received nothing for longer than the limit."""
        return sorted(kind for kind, age in self.ages_s().items() if age > limit_s)


def watch_response(health: WatchHealth) -> type[aiohttp.ClientResponse]:
    """A response class that notes in `health` every chunk of a watch."""

    class WatchResponse(aiohttp.ClientResponse):
        async def start(self, connection: Any) -> aiohttp.ClientResponse:
            await super().start(connection)
            if self.url.query.get("watch") == "true":
                kind = self.url.path.rsplit("/", 1)[-1]
                self.content = _Content(self.content, lambda: health.received(kind))  # type: ignore[assignment]
            return self

    return WatchResponse


class _Content:
    """A response's body that calls `on_chunk` for each chunk, and is the body otherwise."""

    def __init__(self, body: aiohttp.StreamReader, on_chunk: Callable[[], None]) -> None:
        self._body = body
        self._on_chunk = on_chunk

    async def iter_chunked(self, size: int) -> AsyncIterator[bytes]:
        async for chunk in self._body.iter_chunked(size):
            self._on_chunk()
            yield chunk

    def __getattr__(self, name: str) -> Any:
        return getattr(self._body, name)
