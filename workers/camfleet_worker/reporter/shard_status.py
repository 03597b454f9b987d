# SPDX-License-Identifier: Apache-2.0
"""Writes the status of this worker's IngestShard: the acknowledgement, and which recordings were
deleted early.

The shard follower says which list runs; the app runs `run`. Nobody else writes that status: every
write is the whole of it, because server-side apply takes away what its manager leaves out.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from pydantic import ValidationError

from camfleet_api.ingest_shard import DeletedEarly, IngestShardStatus
from camfleet_worker.base.backoff import Backoff
from camfleet_worker.cluster.errors import ClusterError
from camfleet_worker.reporter.deleted_early import deleted_early

log = logging.getLogger(__name__)

ACKNOWLEDGEMENTS = 10
"""How often one acknowledgement is tried; the next change of the shard brings another."""
LOOK_S = 20.0
"""How often what was deleted is compared with what is reported; in memory, and mostly equal."""
REPORT_EVERY_S = 600.0
"""Deletions are reported at most this often, also after a report that failed."""


class StatusWriter(Protocol):
    """The API server, as far as this status goes."""

    async def apply_shard_status(self, name: str, status: dict[str, Any]) -> object:
        """Write the shard's status; ClusterError where that fails."""


class ShardStatus:
    """The status of one shard: what is reported, and when it is written again."""

    def __init__(
        self,
        name: str,
        writer: StatusWriter,
        seen: Callable[[], Sequence[DeletedEarly]],
        now: Callable[[], datetime],
    ) -> None:
        """`seen`: what this process has deleted early."""
        self._name = name
        self._writer = writer
        self._seen = seen
        self._now = now
        self._hash = ""
        self._reported: list[DeletedEarly] | None = None
        """What is reported of deletions; None until the shard was seen, for an earlier process may
        have reported what this one does not know."""
        self._writing = asyncio.Lock()

    async def runs(self, hash_: str, stored: Mapping[str, Any]) -> None:
        """The list with this hash runs, and this is the status that the API server shows: what it
        does not say yet is written. The operator may then take back rights of removed cameras."""
        if self._reported is None:
            self._reported = _reported(stored)
        self._hash = hash_
        if stored.get("observedHash") != hash_:
            await self._acknowledge()

    async def run(self) -> None:
        """Report deletions as they become known, for ever."""
        while True:
            await asyncio.sleep(LOOK_S)
            if await self._report():
                await asyncio.sleep(REPORT_EVERY_S - LOOK_S)

    async def _acknowledge(self) -> None:
        backoff = Backoff(first_s=0.5, most_s=5.0)
        for _ in range(ACKNOWLEDGEMENTS):
            try:
                await self._write()
            except ClusterError as error:
                log.warning("shard not acknowledged", extra={"cause": str(error)})
                await asyncio.sleep(backoff.next_s())
            else:
                return

    async def _report(self) -> bool:
        """Whether there was anything to write."""
        if self._reported is None:
            return False
        wanted = deleted_early(self._reported, self._seen(), self._now())
        if wanted == self._reported:
            return False
        try:
            await self._write(wanted)
        except ClusterError as error:
            log.warning("early deletions not reported", extra={"cause": str(error)})
        return True

    async def _write(self, wanted: list[DeletedEarly] | None = None) -> None:
        """The whole status, with `wanted` or with what is reported already. One write at a time,
        put together when its turn has come: else a later one would carry an older half."""
        async with self._writing:
            entries = (self._reported or []) if wanted is None else wanted
            status = IngestShardStatus(observed_hash=self._hash, deleted_early=entries)
            await self._writer.apply_shard_status(self._name, status.to_wire())
            self._reported = entries


def _reported(stored: Mapping[str, Any]) -> list[DeletedEarly]:
    """What an earlier process reported; nothing where it cannot be read."""
    try:
        return IngestShardStatus.read(stored).deleted_early
    except ValidationError as error:
        log.warning("status of the shard cannot be read", extra={"cause": type(error).__name__})
        return []
