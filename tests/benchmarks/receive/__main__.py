# SPDX-License-Identifier: Apache-2.0
"""`make bench-receive`: what receiving a stream costs, ours beside PyAV's reader and ffmpeg.

The same cameras (720p25 H.264, 2 Mbit/s, RTSP over TCP, played by the replay server on the first
core) are read by each in turn on the second core, in rounds. Nothing is kept: ours receives into a
media loop without sinks, keepalives and RTCP included; PyAV demuxes, one thread a stream; ffmpeg
copies to its null muxer, one process a stream. CPU is user and system time of the reader and its
children; a reader that loses pictures is told.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

WARM_S = 4.0
FPS = 25
ROUNDS = 3


def source(cameras: int) -> None:
    """Play the cameras until stdin ends; their URLs on stdout."""
    from camera_simulator import CameraSettings, Simulator

    async def play() -> None:
        async with Simulator() as simulator:
            made = [
                await simulator.add(CameraSettings(f"c{n}", resolution="720p", start_frame=n * 7))
                for n in range(cameras)
            ]
            print(json.dumps([camera.stream_url() for camera in made]), flush=True)
            await asyncio.to_thread(sys.stdin.read)

    asyncio.run(play())


def ours(urls: list[str], seconds: float) -> None:
    """The worker's RTSP client and media loop."""
    from urllib.parse import urlsplit

    from camfleet_worker.media.loop import MediaLoop, StreamHandle
    from camfleet_worker.rtsp.client import StreamTarget, no_gate, open_stream

    class Listener:
        def first_key_frame(self, video_format: object) -> None: ...

        def ended(self, error: Exception) -> None:
            print(f"a stream ended: {error}", file=sys.stderr)

    async def play() -> None:
        loop = MediaLoop()
        loop.start()
        handles: list[StreamHandle] = []
        for url in urls:
            at = urlsplit(url)
            target = StreamTarget(at.hostname or "", at.port or 554, at.path)
            stream = await open_stream(target, None, deadline_s=10, before_attempt=no_gate)
            handles.append(loop.open_channel(url, []).play(stream, Listener()))
        await asyncio.to_thread(
            _measured, seconds, lambda: sum(h.counters.access_units for h in handles)
        )
        await asyncio.to_thread(loop.stop)

    asyncio.run(play())


def pyav(urls: list[str], seconds: float) -> None:
    """A thread a stream that demuxes and discards."""
    import av

    counted = [0] * len(urls)
    stop = threading.Event()

    def read(place: int) -> None:
        with av.open(urls[place], options={"rtsp_transport": "tcp"}) as container:
            for packet in container.demux(video=0):
                counted[place] += packet.size > 0
                if stop.is_set():
                    return

    threads = [threading.Thread(target=read, args=(n,)) for n in range(len(urls))]
    for thread in threads:
        thread.start()
    _measured(seconds, lambda: sum(counted))
    stop.set()
    for thread in threads:
        thread.join(5)


def ffmpeg(urls: list[str], seconds: float) -> None:
    """A process a stream, `-c copy -f null`."""
    with ExitStack() as running:
        processes = []
        for url in urls:
            command = ["ffmpeg", "-v", "error", "-nostdin", "-rtsp_transport", "tcp"]
            command += ["-i", url, "-an", "-c", "copy", "-f", "null", "-"]
            processes.append(running.enter_context(subprocess.Popen(command)))
        time.sleep(WARM_S)
        before = sum(_cpu_of(process.pid) for process in processes)
        began = time.monotonic()
        time.sleep(seconds)
        spent = sum(_cpu_of(process.pid) for process in processes) - before
        pss = sum(_pss_mb(process.pid) for process in processes)
        _say(spent, time.monotonic() - began, -1, pss)
        for process in processes:
            process.terminate()


def _measured(seconds: float, frames: Callable[[], int]) -> None:
    time.sleep(WARM_S)
    before, received, began = _cpu(), frames(), time.monotonic()
    time.sleep(seconds)
    took = time.monotonic() - began
    _say(_cpu() - before, took, frames() - received, _pss_mb(os.getpid()))


def _say(cpu_s: float, took_s: float, frames: int, pss_mb: float) -> None:
    print(json.dumps({"cpu_s": cpu_s, "took_s": took_s, "frames": frames, "pss_mb": pss_mb}))
    sys.stdout.flush()


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _cpu_of(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _pss_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    return 0.0


def _start(arguments: list[str], cpu: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "benchmarks.receive", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, {cpu}),
    )


def compare(streams: int, seconds: float) -> int:
    """Measure, and print the table."""
    cpus = sorted(os.sched_getaffinity(0))
    readers = ["ours", "pyav", "ffmpeg"]
    figures: dict[str, list[dict[str, Any]]] = {name: [] for name in readers}
    with _start(["source", "--streams", str(streams)], cpus[0]) as cameras:
        assert cameras.stdin is not None
        assert cameras.stdout is not None
        urls = cameras.stdout.readline()
        for number in range(ROUNDS):
            for name in readers:
                print(f"round {number + 1} of {ROUNDS}: {name}", file=sys.stderr)
                with _start([name, "--seconds", str(seconds), "--urls", urls], cpus[-1]) as reader:
                    assert reader.stdout is not None
                    figures[name].append(json.loads(reader.stdout.readline()))
        cameras.stdin.close()
    return _table(figures, streams)


def _table(figures: dict[str, list[dict[str, Any]]], streams: int) -> int:
    def mcore(one: dict[str, Any]) -> float:
        return float(one["cpu_s"] / one["took_s"] / streams * 1000)

    own = median(map(mcore, figures["ours"]))
    print(f"{streams} streams of 720p25 H.264 at 2 Mbit/s over TCP, median of {ROUNDS} rounds")
    print("reader   mcore/stream   times ours   MB/stream (PSS)   pictures received of sent")
    for name, rounds in figures.items():
        cost = median(map(mcore, rounds))
        memory = median(float(one["pss_mb"]) for one in rounds) / streams
        got = [one["frames"] / (one["took_s"] * FPS * streams) for one in rounds]
        seen = f"{min(got):.3f}" if got[0] >= 0 else "not counted"
        print(f"{name:8} {cost:12.2f} {cost / own:12.1f} {memory:17.2f}   {seen}")
    print(json.dumps(figures))
    return 0 if own <= 0.45 else 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    roles = ["compare", "source", "ours", "pyav", "ffmpeg"]
    parser.add_argument("role", choices=roles, nargs="?", default="compare")
    parser.add_argument("--streams", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--urls", type=json.loads, default=[], help="JSON, between processes")
    asked = parser.parse_args()
    if asked.role == "compare":
        return compare(asked.streams, asked.seconds)
    if asked.role == "source":
        source(asked.streams)
    else:
        {"ours": ours, "pyav": pyav, "ffmpeg": ffmpeg}[asked.role](asked.urls, asked.seconds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
