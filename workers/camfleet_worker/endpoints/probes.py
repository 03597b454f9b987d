# SPDX-License-Identifier: Apache-2.0
"""GET a page and nothing else: what the cluster asks, and what a viewer of snapshots may ask.

The app makes one for /metrics, /healthz and /readyz, and one with a gate before it where a viewer
is declared. The answer comes from the main loop, so an answer at all shows that it lives; /healthz
also asks for the media loop.
"""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus

from camfleet_worker.endpoints.http_server import READING, Answer, Gate, HttpServer, Request

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


class ProbeServer(HttpServer):
    """Serves pages by path, to be read and nothing else."""

    def __init__(
        self,
        find: Callable[[str], Page | None],
        gate: Gate | None = None,
        most_open: int | None = None,
    ) -> None:
        """`find` answers with the page at a path, None where there is none; `gate` and `most_open`
        as HttpServer has them."""
        super().__init__(self._page, gate, most_open)
        self._find = find

    async def _page(self, request: Request) -> Answer:
        page = self._find(request.path)
        if request.method not in READING:
            return Answer(HTTPStatus.METHOD_NOT_ALLOWED)
        if page is None:
            return Answer(HTTPStatus.NOT_FOUND)
        return page()
