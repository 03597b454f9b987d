# SPDX-License-Identifier: Apache-2.0
"""Limits how fast connects are made, when a whole site returns after its line was cut.

Each connect, ONVIF or RTSP, needs the budget of its site and of the worker. The cameras of a site
are served in the order in which they came, and sites in turn: a site with two cameras does not
wait for one with a hundred. A camera that stops waiting spends nothing.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field

from camfleet_base.token_bucket import TokenBucket

WORKER_PER_S = 25.0
"""Handshakes cost CPU that running streams need; 200 cameras return in eight seconds."""
_SLACK_S = 1e-6
"""A timer may run early, by the resolution of its clock."""
BURST = 1
"""No second has more connects than the budget allows, not even the first after a pause."""


@dataclass
class _Site:
    bucket: TokenBucket
    waiting: deque[asyncio.Future[None]] = field(default_factory=deque)

    def next_at(self) -> float | None:
        """When its next connect may be made; None where no camera of the site waits."""
        while self.waiting and self.waiting[0].done():
            self.waiting.popleft()
        return self.bucket.next_at if self.waiting else None


class ConnectBudget:
    """The connects of all sites of a worker."""

    def __init__(self, worker_per_s: float = WORKER_PER_S) -> None:
        self._worker = TokenBucket(worker_per_s, BURST)
        self._sites: dict[str, _Site] = {}
        """The sites in the order of their turns: the one served last is at the end."""
        self._timer: asyncio.TimerHandle | None = None

    async def take(self, site: str, per_s: int) -> None:
        """Wait until one more connect to this site may be made."""
        waiting = self._sites.setdefault(site, _Site(TokenBucket(per_s, BURST)))
        waiting.bucket.change_rate(per_s, BURST)
        place = asyncio.get_running_loop().create_future()
        waiting.waiting.append(place)
        self._serve()
        await place

    def _serve(self) -> None:
        """Admit every connect that is due, and set a timer for the next one."""
        loop = asyncio.get_running_loop()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while (turn := self._next_turn()) is not None:
            at, name = turn
            if at > loop.time() + _SLACK_S:
                self._timer = loop.call_at(at, self._serve)
                return
            site = self._sites.pop(name)
            self._sites[name] = site
            site.bucket.reserve(loop.time())
            self._worker.reserve(loop.time())
            site.waiting.popleft().set_result(None)

    def _next_turn(self) -> tuple[float, str] | None:
        """The earliest time that a site and the worker both allow; of several sites, the one that
        was served longest ago."""
        now = asyncio.get_running_loop().time()
        earliest = max(now, self._worker.next_at)
        times = (
            (max(at, earliest), name)
            for name, site in self._sites.items()
            if (at := site.next_at()) is not None
        )
        return min(times, key=lambda turn: turn[0], default=None)
