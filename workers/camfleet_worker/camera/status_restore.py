# SPDX-License-Identifier: Apache-2.0
"""Restores learnt paths and spent logins that former workers wrote to the statuses of cameras.

Each supervisor calls it once before it connects. The sixteen channels of a recorder use one
account, and each status has a ledger entry: all are read before any channel logs in.
"""

from __future__ import annotations

import asyncio
import logging

from camfleet_api.camera import CameraStatus
from camfleet_worker.camera.assignment import Assignment
from camfleet_worker.camera.assignment_index import AssignmentIndex
from camfleet_worker.camera.state_cache import StateCache
from camfleet_worker.camera.status_mapping import recalled_refusal
from camfleet_worker.cluster.errors import ClusterError
from camfleet_worker.login.attempts import AttemptLedger
from camfleet_worker.reporter.reporter import Reporter

log = logging.getLogger(__name__)

API_PATIENCE_S = 5.0
"""After this time the state cache is used: cameras do not wait for an API server."""


class StatusRestore:
    """Reads statuses from the API server, or from the state cache where that does not answer."""

    def __init__(
        self,
        reporter: Reporter,
        cache: StateCache,
        ledger: AttemptLedger,
        index: AssignmentIndex,
    ) -> None:
        self._reporter = reporter
        self._cache = cache
        self._ledger = ledger
        self._index = index
        self._restored: set[str] = set()

    async def restore_status(self, assignment: Assignment) -> CameraStatus | None:
        """The camera's last status, after the ledger has all attempts spent at its device."""
        siblings = self._index.at_device(assignment.device)
        new = [sibling for sibling in siblings if sibling.uid not in self._restored]
        await asyncio.gather(*(self._restore(sibling.uid) for sibling in new))
        return await self._status(assignment.uid)

    async def _restore(self, uid: str) -> None:
        status = await self._status(uid)
        if uid in self._restored:
            return
        self._restored.add(uid)
        if status is not None and status.attempts is not None:
            self._ledger.restore(status.attempts, recalled_refusal(status.conditions))

    async def _status(self, uid: str) -> CameraStatus | None:
        try:
            async with asyncio.timeout(API_PATIENCE_S):
                return await self._reporter.present(uid)
        except (ClusterError, TimeoutError) as error:
            log.warning("status not read, going by the copy", extra={"cause": str(error)})
            return self._cache.status(uid)
