# SPDX-License-Identifier: Apache-2.0
"""Leader election on a Lease (Kubernetes: coordination.k8s.io/v1), with fencing.

Called by `app` in the main loop. Times are measured by the monotonic clock of this process, never
by the other's timestamps; each request has a deadline; writes carry the resourceVersion that was
read, so two candidates cannot both win. When the Lease cannot be renewed in time the caller must
end the process: `may_write` already answers False by then, also after a stop of the whole process
that this process did not notice.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from camfleet_operator.cluster.api import Api
from camfleet_operator.errors import ApiError, Conflict, LeadershipLost, NotFound
from camfleet_operator.metrics import LEADER
from camfleet_operator.resources import LEASES
from camfleet_operator.settings import ElectionSettings

log = logging.getLogger(__name__)

Sleep = Callable[[float], Awaitable[None]]


class Election:
    """One candidate."""

    def __init__(
        self,
        api: Api,
        namespace: str,
        identity: str,
        settings: ElectionSettings,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._api = api
        self._collection = LEASES.path(namespace)
        self._path = LEASES.path(namespace, settings.lease_name)
        self._identity = identity
        self._settings = settings
        self._monotonic = monotonic
        self._sleep = sleep
        self._seen: tuple[str, float] = ("", 0.0)
        """The Lease's resourceVersion when it last changed, and when we saw that."""
        self._renewed_at: float | None = None

    def may_write(self) -> bool:
        """Whether this process is certainly the leader."""
        return (
            self._renewed_at is not None
            and self._monotonic() - self._renewed_at < self._settings.renew_deadline_seconds
        )

    async def acquire(self) -> None:
        """Return when this process leads."""
        while not await self._try():
            await self._sleep(self._settings.retry_seconds * (1 + random.random() / 5))
        LEADER.set(1)
        log.info("leading", extra={"identity": self._identity})

    async def hold(self) -> None:
        """Renew for ever. Raises LeadershipLost."""
        while True:
            await self._sleep(self._settings.retry_seconds)
            if not await self._try() and not self.may_write():
                LEADER.set(0)
                raise LeadershipLost("the Lease was not renewed in time")

    async def release(self) -> None:
        """Give the Lease up at once, so that the next leader need not wait."""
        if not self.may_write():
            return
        self._renewed_at = None
        LEADER.set(0)
        try:
            lease = await self._get()
            if lease is not None and _holder(lease) == self._identity:
                await self._put(lease, holder="")
        except ApiError as error:
            log.warning("the Lease runs out by itself", extra={"cause": str(error)})

    async def _try(self) -> bool:
        """One attempt to take or renew. Counts from before the request, for the safe side."""
        began = self._monotonic()
        try:
            lease = await self._get()
            if lease is None:
                await self._create()
            elif self._may_take(lease):
                await self._put(lease, holder=self._identity)
            else:
                self._lose_if_taken(lease)
                return False
        except Conflict:
            return False  # Another candidate was faster.
        except ApiError as error:
            log.warning("no answer about the Lease", extra={"cause": str(error)})
            return False
        self._renewed_at = began
        return True

    def _may_take(self, lease: dict[str, Any]) -> bool:
        """Ours, released, or unchanged for the whole of its duration by our own clock."""
        version, now = lease["metadata"]["resourceVersion"], self._monotonic()
        if version != self._seen[0]:
            self._seen = (version, now)
        expired = now - self._seen[1] >= self._settings.lease_seconds
        return _holder(lease) in ("", self._identity) or expired

    def _lose_if_taken(self, lease: dict[str, Any]) -> None:
        if self._renewed_at is not None:
            LEADER.set(0)
            raise LeadershipLost(f"the Lease is held by {_holder(lease)}")

    async def _get(self) -> dict[str, Any] | None:
        try:
            return await self._api.request("GET", self._path, timeout_s=self._timeout_s)
        except NotFound:
            return None

    async def _create(self) -> None:
        body = {
            "apiVersion": LEASES.api_version,
            "kind": LEASES.kind,
            "metadata": {"name": self._settings.lease_name},
            "spec": self._spec(self._identity, transitions=0),
        }
        await self._api.request("POST", self._collection, body=body, timeout_s=self._timeout_s)

    async def _put(self, lease: dict[str, Any], holder: str) -> None:
        transitions = int(lease.get("spec", {}).get("leaseTransitions") or 0)
        if holder and holder != _holder(lease):
            transitions += 1
        body = {**lease, "spec": self._spec(holder, transitions)}
        await self._api.request("PUT", self._path, body=body, timeout_s=self._timeout_s)

    def _spec(self, holder: str, transitions: int) -> dict[str, Any]:
        now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        return {
            "holderIdentity": holder,
            "leaseDurationSeconds": max(1, round(self._settings.lease_seconds)),
            "renewTime": now,
            "leaseTransitions": transitions,
        }

    @property
    def _timeout_s(self) -> float:
        """Short enough for a second try before the renewal deadline."""
        return self._settings.renew_deadline_seconds / 3


def _holder(lease: dict[str, Any]) -> str:
    return str((lease.get("spec") or {}).get("holderIdentity") or "")
