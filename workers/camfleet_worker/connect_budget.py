# SPDX-License-Identifier: Apache-2.0
"""How fast connects may be made: a site that gets its line back returns in an orderly way.

Each connect, ONVIF or RTSP, passes the bucket of its site and then the worker's.
"""

from __future__ import annotations

from camfleet_worker.token_bucket import TokenBucket

WORKER_PER_S = 25.0
"""Handshakes cost CPU that running streams need; 200 cameras are back in eight seconds."""


class ConnectBudget:
    """The buckets of all sites of a worker."""

    def __init__(self, worker_per_s: float = WORKER_PER_S) -> None:
        self._worker = TokenBucket(worker_per_s, worker_per_s)
        self._sites: dict[tuple[str, int], TokenBucket] = {}

    async def take(self, site: str, per_s: int) -> None:
        """Wait until one more connect to this site may be made."""
        key = (site, per_s)
        if key not in self._sites:
            self._sites[key] = TokenBucket(per_s, per_s)
        await self._sites[key].take()
        await self._worker.take()
