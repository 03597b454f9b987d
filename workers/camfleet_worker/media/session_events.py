# SPDX-License-Identifier: Apache-2.0
"""Makes the media loop's events of a session, on its own thread, awaitable for a supervisor."""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar

from camfleet_worker.base.errors import IngestError
from camfleet_worker.media_types.access_unit import VideoFormat

T = TypeVar("T")


class SessionEvents:
    """A stream listener whose events are futures of the loop it was made in."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._key_frame: asyncio.Future[VideoFormat] = self._loop.create_future()
        self._ended: asyncio.Future[IngestError] = self._loop.create_future()

    def first_key_frame(self, video_format: VideoFormat) -> None:
        """Called by the media loop."""
        self._loop.call_soon_threadsafe(_settle, self._key_frame, video_format)

    def ended(self, error: IngestError) -> None:
        """Called by the media loop."""
        self._loop.call_soon_threadsafe(_settle, self._ended, error)

    async def first_key_frame_or_end(self) -> VideoFormat | None:
        """The format of the first key frame; None for a session that ended without one."""
        either: set[asyncio.Future[Any]] = {self._key_frame, self._ended}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        return self._key_frame.result() if self._key_frame.done() else None

    async def ends_within(self, seconds: float) -> bool:
        """True as soon as the session has ended, False when it still goes on after that time."""
        done, _ = await asyncio.wait({self._ended}, timeout=seconds)
        return bool(done)

    async def end(self) -> IngestError:
        """Why the session ended."""
        return await asyncio.shield(self._ended)


def _settle(future: asyncio.Future[T], value: T) -> None:
    if not future.done():
        future.set_result(value)
