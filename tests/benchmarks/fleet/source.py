# SPDX-License-Identifier: Apache-2.0
"""The cameras of a measurement as one process, steered by lines of JSON.

Started by `source_process.py` inside the source's network namespace. The first line of standard
input lists the cameras; each later line is a command, each line of standard output its answer. It
ends when its input does, so it never outlives who started it.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping
from typing import Any

from camera_simulator import Counters, Simulator, Verdict
from camera_simulator.clips import Clip, load_clip
from camera_simulator.footage import Recipe, prepare
from camera_simulator.settings import settings_from

CLIP = Recipe(
    "fleet-h264", "h264", 320, 240, gop=10, bitrate_kbps=50, seconds=12,
    crop=(0, 0, 768, 576), fps=5,
)  # fmt: skip
"""Hundreds of cameras have to fit on one core: real footage, five small pictures a second."""
TICK_S = 0.1
_LINE_BYTES = 2**24


def clip_of_the_fleet(name: str) -> Clip:
    """The same for every stream, whatever its name."""
    return load_clip(prepare(CLIP))


async def serve() -> None:
    """Answer commands until there are no more."""
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader(limit=_LINE_BYTES)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    async with Simulator(clip_of_the_fleet, TICK_S) as simulator:
        for settings in json.loads(await lines.readline()):
            await simulator.add(settings_from(settings))
        _say({})
        while line := await lines.readline():
            _say(await _obeyed(simulator, json.loads(line)))


async def _obeyed(simulator: Simulator, command: Mapping[str, Any]) -> dict[str, Any]:
    if command["do"] == "change":
        for name, changes in command["cameras"].items():
            await simulator.cameras[name].change(**changes)
        return {}
    return {name: _counted(camera.counters) for name, camera in simulator.cameras.items()}


def _counted(counters: Counters) -> dict[str, int]:
    """What the measurements ask of one camera."""
    locked = sum(n for one, n in counters.attempts.items() if one.verdict is Verdict.LOCKED)
    return {
        "frames_sent": counters.frames_sent,
        "frames_dropped": counters.frames_dropped,
        "sessions": counters.sessions,
        "sessions_open": counters.sessions_open,
        "refused": counters.refused(),
        "locked": locked,
        "onvif_requests": sum(counters.onvif_requests.values()),
    }


def _say(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(serve())
