# SPDX-License-Identifier: Apache-2.0
"""The worker that `make prove-kills` kills: the worker's parts in a process of its own.

Standard input has one line of JSON (folder, volume and cameras); it says `ready` when all cameras
are Ready, and ends in order when its input does.
"""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import dataclass
from pathlib import Path

from camfleet_worker.record.housekeeping import VolumeSettings

from .proving_ground import ProvenWorker, policy

SEGMENT_S = 10


@dataclass(frozen=True)
class DistantCamera:
    """A camera of another process; `uid` is that of its object, the same for every worker."""

    name: str
    uid: str
    host: str
    onvif_port: int
    rtsp_port: int


async def _record(folder: Path, volume: Path, cameras: list[DistantCamera]) -> None:
    async with ProvenWorker(folder, VolumeSettings(volume)) as worker:
        for camera in cameras:
            worker.objects.adopt(camera.name, camera.uid)
        await worker.take((policy("", SEGMENT_S), cameras))
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.read)


def main() -> None:
    """Record until standard input ends."""
    told = json.loads(sys.stdin.readline())
    cameras = [DistantCamera(**camera) for camera in told["cameras"]]
    asyncio.run(_record(Path(told["folder"]), Path(told["volume"]), cameras))


if __name__ == "__main__":
    main()
