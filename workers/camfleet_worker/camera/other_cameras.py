# SPDX-License-Identifier: Apache-2.0
"""Reads Cameras of other workers, for supervisors that must not log in before those.

The shard names such a Camera, and the Role allows the worker to read it. All channels of a recorder
that wait for one Camera share one request.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from camfleet_api.camera import CameraStatus
from camfleet_worker.cluster.errors import ClusterError

log = logging.getLogger(__name__)

FRESH_S = 5.0
"""An answer is used for all requests within this time."""

ReadCamera = Callable[[str], Awaitable[dict[str, Any] | None]]


class OtherCameras:
    """Reads Cameras by name."""

    def __init__(self, read: ReadCamera) -> None:
        self._read = read
        self._answers: dict[str, tuple[float, asyncio.Task[CameraStatus | None]]] = {}

    async def status(self, name: str) -> CameraStatus | None:
        """That Camera's status; None without such a Camera or without an API server."""
        now = asyncio.get_running_loop().time()
        at, answer = self._answers.get(name, (float("-inf"), None))
        if answer is None or now - at > FRESH_S:
            answer = asyncio.create_task(self._ask(name), name=f"read camera {name}")
            self._answers[name] = (now, answer)
        return await asyncio.shield(answer)

    async def _ask(self, name: str) -> CameraStatus | None:
        try:
            found = await self._read(name)
        except ClusterError as error:
            log.warning("camera not read", extra={"camera": name, "cause": str(error)})
            return None
        return None if found is None else CameraStatus.read(found.get("status") or {})
