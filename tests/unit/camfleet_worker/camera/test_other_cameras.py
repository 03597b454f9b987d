# SPDX-License-Identifier: Apache-2.0
"""How often another worker's Camera is read, in virtual time."""

from __future__ import annotations

import asyncio
from typing import Any

from camfleet_worker.camera.other_cameras import FRESH_S, OtherCameras
from camfleet_worker.cluster.errors import ClusterError, Trouble
from virtual_time import run_virtual


class Reads:
    """Cameras that have no status yet; away: no API server answers."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.away = False

    async def __call__(self, name: str) -> dict[str, Any] | None:
        self.names.append(name)
        await asyncio.sleep(0.1)
        if self.away:
            raise ClusterError(Trouble.UNAVAILABLE, "no answer")
        return {"status": {}} if name == "lobby" else None


def test_all_channels_that_wait_for_one_camera_share_a_request_for_a_while() -> None:
    reads = Reads()

    async def main() -> None:
        cameras = OtherCameras(reads)
        await asyncio.gather(*(cameras.status("lobby") for _ in range(16)))
        assert reads.names == ["lobby"]
        await asyncio.sleep(FRESH_S + 0.1)
        await cameras.status("lobby")
        assert reads.names == ["lobby"] * 2

    run_virtual(main())


def test_a_channel_that_stops_waiting_does_not_cancel_the_request_of_others() -> None:
    reads = Reads()

    async def main() -> None:
        cameras = OtherCameras(reads)
        leaving = asyncio.create_task(cameras.status("lobby"))
        staying = asyncio.create_task(cameras.status("lobby"))
        await asyncio.sleep(0.05)
        leaving.cancel()
        assert await staying is not None

    run_virtual(main())


def test_there_is_no_status_without_the_camera_or_without_an_api_server() -> None:
    reads = Reads()

    async def main() -> None:
        cameras = OtherCameras(reads)
        assert await cameras.status("unknown") is None
        reads.away = True
        assert await cameras.status("lobby") is None

    run_virtual(main())
