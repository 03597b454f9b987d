# SPDX-License-Identifier: Apache-2.0
"""Pages that are read and nothing else: what the cluster asks, and what a viewer of snapshots may
ask.

The app serves /metrics, /healthz and /readyz by it, and snapshots behind a gate where a viewer is
declared. The answer comes from the main loop, so an answer at all shows that this loop runs;
/healthz also asks for the media loop.
"""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus

from camfleet_worker.endpoints.http_server import READING, Answer, Answering, Request

Page = Callable[[], Answer]


class Progress:
    """Whether a counter still moves: a thread that is alive may hang all the same."""

    def __init__(self, count: Callable[[], int], patience_s: float = 10.0) -> None:
        self._count = count
        self._patience_s = patience_s
        self._last = -1
        self._moved_at = float("-inf")

    def stalled(self, now: float) -> bool:
        """True when it has not moved for longer than the patience. `now` is monotonic."""
        count = self._count()
        if count != self._last:
            self._last, self._moved_at = count, now
        return now - self._moved_at > self._patience_s


def pages_only(find: Callable[[str], Page | None]) -> Answering:
    """Answer with the page that `find` has for a path: 404 where it has None, and 405 to every
    method that is not for reading."""

    async def answer(request: Request) -> Answer:
        if request.method not in READING:
            return Answer(HTTPStatus.METHOD_NOT_ALLOWED)
        page = find(request.path)
        return page() if page is not None else Answer(HTTPStatus.NOT_FOUND)

    return answer
