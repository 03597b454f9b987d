# SPDX-License-Identifier: Apache-2.0
"""Follows this worker's IngestShard and has the fleet run it.

The app runs one. Every shard that the API server shows is taken over, kept for the next process of
this pod, and acknowledged; where the API server does not answer soon after the start, the copy that
the last process kept is run. It takes a shard that vanishes for no instruction: cameras stop when
their entries are removed, or at SIGTERM.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any, Protocol

from pydantic import ValidationError

from camfleet_api.ingest_shard import IngestShardSpec, secrets_of_shard

log = logging.getLogger(__name__)

PATIENCE_S = 5.0
"""How long the API server may take before the copy of the last shard is run."""


class ShardSource(Protocol):
    """The API server, as far as the shard goes."""

    def shard(self, name: str) -> AsyncIterator[dict[str, Any] | None]:
        """The IngestShard at every change; None while there is none."""


class Acknowledger(Protocol):
    """What writes the shard's status."""

    async def runs(self, hash_: str, stored: Mapping[str, Any]) -> None:
        """The list with this hash runs; the API server shows this status."""


class SecretFollower(Protocol):
    """What follows Secrets by name."""

    def want(self, names: Iterable[str]) -> None:
        """Follow exactly these Secrets."""


class ShardRunner(Protocol):
    """What runs the cameras of a shard."""

    async def apply(self, spec: IngestShardSpec) -> None:
        """Run these cameras and no others; IndexError where an entry names no policy."""


class ShardCache(Protocol):
    """The copy that outlives the process."""

    def shard(self) -> IngestShardSpec | None:
        """The shard that the last process ran."""

    def keep_shard(self, spec: IngestShardSpec) -> None:
        """Keep it for the next process."""

    def retain_statuses(self, uids: Iterable[str]) -> None:
        """Forget the statuses of all other cameras."""


class ShardFollower:
    """The way from an IngestShard to the fleet."""

    def __init__(
        self,
        name: str,
        source: ShardSource,
        status: Acknowledger,
        secrets: SecretFollower,
        runner: ShardRunner,
        cache: ShardCache,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._name = name
        self._source = source
        self._status = status
        self._secrets = secrets
        self._runner = runner
        self._cache = cache
        self._patience_s = patience_s
        self._spec: IngestShardSpec | None = None
        self._answered = asyncio.Event()
        self._taking_over = asyncio.Lock()

    @property
    def ready(self) -> bool:
        """Whether a shard runs, whether from the API server or from the copy."""
        return self._spec is not None

    async def run(self) -> None:
        """Follow the shard until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow(), name="shard")
            tasks.create_task(self._run_copy(), name="shard copy")

    async def _follow(self) -> None:
        async for found in self._source.shard(self._name):
            if found is None:
                log.warning("shard is absent, cameras go on", extra={"shard": self._name})
                continue
            try:
                spec = IngestShardSpec.read(found["spec"])
                async with self._taking_over:
                    if spec != self._spec:
                        await self._take_over(spec)
            except (ValidationError, IndexError) as error:
                log.error("shard cannot be read", extra={"cause": type(error).__name__})
                continue
            self._answered.set()
            await self._status.runs(spec.hash, found.get("status") or {})

    async def _run_copy(self) -> None:
        """Run the last shard where the API server does not answer soon after the start."""
        try:
            async with asyncio.timeout(self._patience_s):
                await self._answered.wait()
        except TimeoutError:
            async with self._taking_over:
                copy = self._cache.shard()
                if copy is not None and self._spec is None:
                    log.warning("no answer from the API server, running the last shard")
                    await self._take_over(copy)

    async def _take_over(self, spec: IngestShardSpec) -> None:
        self._secrets.want(secrets_of_shard(spec))
        await self._runner.apply(spec)
        self._spec = spec
        self._cache.keep_shard(spec)
        self._cache.retain_statuses(camera.uid for camera in spec.cameras)
