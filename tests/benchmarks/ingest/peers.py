# SPDX-License-Identifier: Apache-2.0
"""The others: ffmpeg, a process a stream, and PyAV's plain loop, a thread a stream. Both copy, and
neither decodes."""

from __future__ import annotations

import os
import subprocess
import threading
from contextlib import ExitStack
from pathlib import Path

import av

from .job import Job, Task
from .usage import measure

_FRAGMENTED = "frag_keyframe+empty_moov+default_base_moof"
_OVER_TCP = {"rtsp_transport": "tcp"}
# ffmpeg would go on when whoever started it is killed.
_DIES_WITH_US = ("setpriv", "--pdeathsig", "TERM", "--")


def run_ffmpeg(job: Job) -> None:
    """`-c copy` to a null muxer, to MP4 segments, or to those and to a monitoring system."""
    with ExitStack() as running:
        processes = [
            running.enter_context(subprocess.Popen(_ffmpeg(job, number)))
            for number in range(len(job.cameras))
        ]
        measure(job, [process.pid for process in processes], lambda: -1)
        for process in processes:
            process.terminate()


def _ffmpeg(job: Job, number: int) -> list[str]:
    command = [*_DIES_WITH_US, "ffmpeg", "-v", "error", "-nostdin", "-rtsp_transport", "tcp"]
    command += ["-i", job.cameras[number]]
    if job.task is Task.RECEIVE:
        return [*command, "-an", "-c", "copy", "-f", "null", "-"]
    command += ["-an", "-c", "copy", "-f", "segment", "-segment_time", "60"]
    command += ["-segment_format", "mp4"]
    command += ["-segment_format_options", f"movflags={_FRAGMENTED}"]
    command.append(f"{job.folder}/c{number}-%03d.mp4")
    if job.task is Task.RELAY:
        command += ["-an", "-c", "copy", "-f", "rtsp", "-rtsp_transport", "tcp"]
        command.append(job.systems[number])
    return command


def run_pyav(job: Job) -> None:
    """A thread a stream that demuxes and muxes packet by packet."""
    counted = [0] * len(job.cameras)
    stop = threading.Event()
    threads = [
        threading.Thread(target=_copy, args=(job, number, counted, stop))
        for number in range(len(job.cameras))
    ]
    for thread in threads:
        thread.start()
    measure(job, [os.getpid()], lambda: sum(counted))
    stop.set()
    for thread in threads:
        thread.join(10)


def _copy(job: Job, number: int, counted: list[int], stop: threading.Event) -> None:
    with ExitStack() as opened:
        source = opened.enter_context(av.open(job.cameras[number], options=_OVER_TCP))
        video = source.streams.video[0]
        outputs = []
        if job.task is not Task.RECEIVE:
            path = Path(job.folder) / f"c{number}.mp4"
            options = {"movflags": _FRAGMENTED}
            outputs.append(opened.enter_context(av.open(str(path), "w", options=options)))
        if job.task is Task.RELAY:
            url = job.systems[number]
            pushed = av.open(url, "w", format="rtsp", options=_OVER_TCP)
            outputs.append(opened.enter_context(pushed))
        copies = [(output, output.add_stream_from_template(video)) for output in outputs]
        for packet in source.demux(video):
            if stop.is_set():
                return
            if packet.dts is None:
                continue
            counted[number] += 1
            for output, stream in copies:
                # Muxing takes a packet over and rescales it: each output gets its own.
                own = av.Packet(bytes(packet)) if len(copies) > 1 else packet
                if own is not packet:
                    own.pts, own.dts, own.time_base = packet.pts, packet.dts, packet.time_base
                    own.is_keyframe = packet.is_keyframe
                own.stream = stream
                output.mux(own)
