# SPDX-License-Identifier: Apache-2.0
"""The cameras and the monitoring system of a measurement: one process on the first core.

Told on its command line how many cameras play which clip and where they relay to; its first line
on standard output says where they are. For each line on standard input it answers with what it
has sent, taken and used so far, and it ends when its input does.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from camera_simulator import CameraSettings, Simulator
from camera_simulator.clips import Clip, load_clip
from camera_simulator.footage import Recipe, prepare, prepared_clip
from camera_simulator.rtsp.player import TICK_S
from vms import RtmpServer
from vms.authority import Authority

from .draining_system import DrainingSystem
from .job import LONG_GOP_CLIP

_LONG_GOP = Recipe("720p-gop10-h264", "h264", 1280, 720, 250, 2000, 20)


class _System(NamedTuple):
    url: str
    authorities: str
    draining: DrainingSystem | None


def clip_named(name: str) -> Clip:
    """One of the simulator's, or the one with long GOPs."""
    return load_clip(prepare(_LONG_GOP)) if name == _LONG_GOP.name else prepared_clip(name)


@contextmanager
def _system(protocol: str) -> Iterator[_System]:
    if protocol == "rtmp":
        with RtmpServer() as server:
            yield _System(server.url("").rstrip("/"), "", None)
    elif protocol == "rtsps":
        authority = Authority()
        with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
            file.write(authority.issue())
            file.flush()
            with DrainingSystem(file.name) as system:
                yield _System(system.url, authority.pem, system)
    else:
        with DrainingSystem() as system:
            yield _System(system.url, "", system)


async def _serve(streams: int, clip: str, protocol: str) -> None:
    with _system(protocol) as system:
        async with Simulator(clip_named, TICK_S) as simulator:
            made = [
                await simulator.add(CameraSettings(f"c{n}", resolution=clip, start_frame=n * 7))
                for n in range(streams)
            ]
            _say(
                cameras=[camera.stream_url() for camera in made],
                systems=[f"{system.url}/c{n}" for n in range(streams)],
                authorities=system.authorities,
            )
            while await asyncio.to_thread(sys.stdin.readline):
                counters = [camera.counters for camera in made]
                _say(
                    cpu_s=time.process_time(),
                    at_s=time.monotonic(),
                    sent=sum(one.frames_sent for one in counters),
                    dropped=sum(one.frames_dropped for one in counters),
                    octets_sent=sum(one.bytes_sent for one in counters),
                    octets_taken=system.draining.octets if system.draining else -1,
                )


def _say(**facts: object) -> None:
    print(json.dumps(facts), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, required=True)
    parser.add_argument("--clip", required=True, help=f"720p, 360p, … or {LONG_GOP_CLIP}")
    parser.add_argument("--protocol", choices=["rtsp", "rtsps", "rtmp"], required=True)
    asked = parser.parse_args()
    asyncio.run(_serve(asked.streams, asked.clip, asked.protocol))


if __name__ == "__main__":
    main()
