# SPDX-License-Identifier: Apache-2.0
"""`make bench-latency`: how much later a picture is at the monitoring system than at the camera.

Every picture carries when it was sent (the simulator's labels), and the monitoring system notes
when it has the whole of it; both clocks are this machine's. What lies between is our tick, at most
one, and what GStreamer takes to put a picture together again.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from dataclasses import dataclass

from camera_simulator import Camera, CameraSettings, Simulator
from camera_simulator.rtsp.labels import parse_label
from camfleet_api.monitoring_system import RelayProtocol
from camfleet_worker.base.errors import IngestError
from camfleet_worker.media.loop import MediaLoop
from camfleet_worker.media_types.access_unit import Codec, VideoFormat
from camfleet_worker.relay.name_resolver import Resolver
from camfleet_worker.relay.rtsp.relay import RtspRelay
from camfleet_worker.relay.target import StreamNames, relay_target
from camfleet_worker.rtsp.client import StreamTarget, no_gate, open_stream
from vms import RecordServer

from ..figures import Figures, percentile

TICKS_S = (0.02, 0.05, 0.1, 0.2, 0.4)
DEFAULT_TICK_S = 0.1
_MOST_S = 0.3
_WARM_S = 5.0


@dataclass(frozen=True)
class _Listener:
    camera: str

    def first_key_frame(self, video_format: VideoFormat) -> None: ...

    def ended(self, error: IngestError) -> None:
        print(f"{self.camera}: {error}", file=sys.stderr)


async def delays(tick_s: float, cameras: int, seconds: float) -> list[float]:
    """Of every picture that was sent while it was measured, in seconds."""
    media, resolver = MediaLoop(tick_s), Resolver()
    media.start()
    try:
        with RecordServer() as vms:
            async with Simulator() as simulator:
                for number in range(cameras):
                    settings = CameraSettings(
                        f"c{number}",
                        resolution="720p",
                        start_frame=number * 7,
                        labels_pictures=True,
                    )
                    await _relay(await simulator.add(settings), vms, media, resolver)
                await asyncio.sleep(_WARM_S + seconds)
                await asyncio.to_thread(media.stop)
            return [delay for n in range(cameras) for delay in _delays_of(vms, f"c{n}")]
    finally:
        await asyncio.to_thread(media.stop)
        resolver.close()


async def _relay(camera: Camera, vms: RecordServer, media: MediaLoop, resolver: Resolver) -> None:
    names = StreamNames("bench", "bench", camera.name, camera.name)
    url = vms.url("live/{camera}")
    target = relay_target(RelayProtocol.RTSP, url, names, [Codec.H264])
    feed = media.open_feed(camera.name, [RtspRelay("vms", target, resolver)])
    at = StreamTarget(camera.host, camera.rtsp_port, camera.stream_path())
    stream = await open_stream(at, None, deadline_s=10, before_attempt=no_gate)
    feed.play(stream, _Listener(camera.name))


def _delays_of(vms: RecordServer, camera: str) -> list[float]:
    wall_s = time.time() - time.monotonic()
    found = []
    for frame in vms.frames(f"/live/{camera}"):
        label = parse_label(frame.label)
        if label is None:
            raise RuntimeError(f"{camera}: a picture without a label arrived")
        found.append((label.sent_s, wall_s + frame.arrived_s - label.sent_s))
    begin = min(sent_s for sent_s, _ in found) + _WARM_S
    return [delay for sent_s, delay in found if sent_s >= begin]


def main() -> int:
    """The exit status: 0 if the goal was reached."""
    parser = argparse.ArgumentParser("benchmarks.ingest.latency", description=__doc__)
    parser.add_argument("--cameras", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=30.0, help="measured of each tick")
    asked = parser.parse_args()
    figures = Figures()
    for tick_s in TICKS_S:
        found = asyncio.run(delays(tick_s, asked.cameras, asked.seconds))
        p50, p95, most = (percentile(found, share) * 1000 for share in (0.5, 0.95, 1.0))
        goal = f"p95 at most {_MOST_S * 1000:.0f}" if tick_s == DEFAULT_TICK_S else ""
        what = f"tick {tick_s * 1000:.0f} ms: camera to monitoring system, p50 / p95 / max, ms"
        figures.add(what, f"{p50:.0f} / {p95:.0f} / {most:.0f} ({len(found)} pictures)", goal)
        if tick_s == DEFAULT_TICK_S:
            figures.demand(p95 <= _MOST_S * 1000, f"p95 is {p95:.0f} ms at the default tick")
    return figures.print()


if __name__ == "__main__":
    sys.exit(main())
