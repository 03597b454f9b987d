# SPDX-License-Identifier: Apache-2.0
"""The worker's Lease: the operator's only sign that the worker lives.

Camera statuses are written on transitions alone, so a status without writes means nothing. Where
the Lease could not be renewed for so long that the operator may have written WorkerLost, the
statuses are read again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from camfleet_worker.base.clock import WallClock
from camfleet_worker.cluster.errors import ClusterError

log = logging.getLogger(__name__)

RENEWALS_PER_LEASE = 4
RETRIES_PER_LEASE = 20
LOST_AFTER = 0.75
"""The share of the Lease's duration after which statuses are read again. It is earlier than the
operator's limit, because reading them once too often costs little."""


class LeaseDoor(Protocol):
    """What the heartbeat needs of the cluster."""

    async def renew_lease(self, name: str, holder: str, now: datetime) -> datetime | None:
        """Write that the holder lives; when it was renewed before."""


class Heartbeat:
    """Renews one Lease for ever."""

    def __init__(
        self,
        cluster: LeaseDoor,
        lease: str,
        holder: str,
        lease_s: float,
        clock: WallClock,
        on_back: Callable[[], None],
    ) -> None:
        self._cluster = cluster
        self._lease = lease
        self._holder = holder
        self._lease_s = lease_s
        self._clock = clock
        self._on_back = on_back

    async def run(self) -> None:
        """Renew; trouble is met with sooner tries."""
        while True:
            now = self._clock()
            try:
                before = await self._cluster.renew_lease(self._lease, self._holder, now)
            except ClusterError as error:
                log.warning("lease not renewed", extra={"cause": str(error)})
                await asyncio.sleep(self._lease_s / RETRIES_PER_LEASE)
                continue
            if before is not None and (now - before).total_seconds() > LOST_AFTER * self._lease_s:
                log.warning("lease had run out, statuses are read again")
                self._on_back()
            await asyncio.sleep(self._lease_s / RENEWALS_PER_LEASE)
