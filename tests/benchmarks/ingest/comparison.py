# SPDX-License-Identifier: Apache-2.0
"""Lets readers do the same, one after the other, with the same cameras.

Cameras and monitoring system have the first core, the reader has the last one. What the source has
sent, dropped and used in the same window is taken down beside what the reader used: a reader that
is short of pictures is told apart from a source that is short of time.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from .job import CLIP, FPS, Job, Reader, Task, Usage
from .machine import coldness


@dataclass(frozen=True)
class Case:
    """One thing to measure."""

    reader: Reader
    task: Task
    streams: int
    clip: str = CLIP
    protocol: str = "rtsp"
    tick_s: float = 0.1

    @property
    def name(self) -> str:
        """As tables call it."""
        remarks = [
            "" if self.clip == CLIP else self.clip,
            "" if self.protocol == "rtsp" else self.protocol,
            "" if self.tick_s == 0.1 else f"tick {self.tick_s * 1000:.0f} ms",
        ]
        return ", ".join([f"{self.reader}: {self.task}", *filter(None, remarks)])


@dataclass(frozen=True)
class Result:
    """What a case came to, per second of the window where it says so."""

    case: Case
    mcore: float
    """CPU of the reader for a stream, in thousandths of a core."""
    pss_mb: float
    """Of all its processes."""
    handled: float
    """Pictures that went the whole way, of those due in that time; -1 where that is not told."""
    dropped: int
    """Pictures that cameras could not get rid of, because the reader took nothing."""
    late: float
    """Pictures that the source should have played and has not, as a share."""
    source_busy: float
    """Share of its core that the source has used."""
    reader_busy: float
    relayed: float
    """Octets that reached the monitoring system, of those sent; -1 where they are not counted."""
    coldness: float
    """What the machine made of work after a pause, shortly before; see machine.py."""


class Cameras:
    """The source's process."""

    def __init__(self, case: Case, cpu: int) -> None:
        command = ["benchmarks.ingest.source", "--streams", str(case.streams)]
        command += ["--clip", case.clip, "--protocol", case.protocol]
        self._process = _started(command, cpu)
        self.where: dict[str, Any] = self._answer()

    def counts(self) -> dict[str, float]:
        """What has been sent, taken and used so far."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return self._answer()

    def stop(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)

    def _answer(self) -> dict[str, Any]:
        return _line_of(self._process)


class Comparison:
    """Cases with the same cameras share them: they play on for the next reader."""

    def __init__(self, seconds: float, folder: Path | None) -> None:
        self._seconds = seconds
        self._folder = folder
        cpus = sorted(os.sched_getaffinity(0))
        self._source_cpu, self._reader_cpu = cpus[0], cpus[-1]

    def results(self, cases: list[Case]) -> Iterator[Result]:
        """Measure each; in the order given, with other cameras only where a case asks for them."""
        for _, alike in groupby(cases, _source_of):
            first, *others = alike
            with _playing(first, self._source_cpu) as cameras:
                for case in (first, *others):
                    yield self._measured(case, cameras)

    def _measured(self, case: Case, cameras: Cameras) -> Result:
        folder = tempfile.mkdtemp(prefix="bench-ingest-", dir=self._folder)
        cold = coldness(self._reader_cpu)
        try:
            job = Job(
                reader=case.reader,
                task=case.task,
                folder=folder,
                seconds=self._seconds,
                warm_s=5.0 + case.streams / 20,
                tick_s=case.tick_s,
                **cameras.where,
            )
            with _started(["benchmarks.ingest.reader"], self._reader_cpu) as reader:
                assert reader.stdin is not None
                assert reader.stdout is not None
                reader.stdin.write(job.as_json() + "\n")
                reader.stdin.flush()
                if reader.stdout.readline() != "begun\n":
                    raise RuntimeError(f"{case.name}: the reader did not begin")
                before = cameras.counts()
                usage = Usage(**_line_of(reader))
                after = cameras.counts()
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return _result(case, usage, {name: after[name] - before[name] for name in before}, cold)


def _source_of(case: Case) -> tuple[int, str, str]:
    return case.streams, case.clip, case.protocol


def _result(case: Case, usage: Usage, source: dict[str, float], cold: float) -> Result:
    due = FPS * case.streams * source["at_s"]
    per_stream = usage.took_s * case.streams
    return Result(
        case=case,
        mcore=usage.cpu_s / per_stream * 1000,
        pss_mb=usage.pss_mb,
        handled=usage.pictures / (FPS * per_stream) if usage.pictures >= 0 else -1.0,
        dropped=round(source["dropped"]),
        late=1 - (source["sent"] + source["dropped"]) / due,
        source_busy=source["cpu_s"] / source["at_s"],
        reader_busy=usage.cpu_s / usage.took_s,
        relayed=_relayed(case, source),
        coldness=cold,
    )


def _relayed(case: Case, source: dict[str, float]) -> float:
    if case.task is not Task.RELAY or case.protocol == "rtmp":
        return -1.0
    return source["octets_taken"] / max(source["octets_sent"], 1.0)


@contextmanager
def _playing(case: Case, cpu: int) -> Iterator[Cameras]:
    cameras = Cameras(case, cpu)
    try:
        yield cameras
    finally:
        cameras.stop()


def _started(command: list[str], cpu: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, {cpu}),
    )


def _line_of(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"a process of the measurement ended with {process.wait(30)}")
    return dict(json.loads(line))
