# SPDX-License-Identifier: Apache-2.0
"""Many inputs through the targets, in several processes; findings are gathered by where they fail.

An input that takes longer than PATIENCE_S is a finding too. Workers share nothing: each takes every
n-th number of each target, so a campaign is the same whatever the number of processes.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import queue
import signal
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from types import FrameType

from fuzzer.targets import TARGETS, Target

PATIENCE_S = 5.0
_REPORT_EVERY = 500
Progress = Callable[[dict[str, int], int], None]


class TooSlow(AssertionError):
    """A parser that did not come back."""


@dataclass(frozen=True)
class Finding:
    """One defect: the first input that showed it."""

    target: str
    number: int
    place: str
    """Exception, file and line: what makes two findings the same."""
    trace: str
    data: bytes = field(repr=False)

    @property
    def name(self) -> str:
        """A file name for the input."""
        return f"{self.target}--{hashlib.sha256(self.place.encode()).hexdigest()[:8]}.bin"


def try_input(target: Target, number: int, data: bytes) -> Finding | None:
    """Feed one input; the finding if it is one."""
    try:
        target.feed(data)
    except Exception as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{type(error).__name__} in {frame.name}: {frame.line}"
        return Finding(target.name, number, place, traceback.format_exc(), data)
    return None


def run(
    inputs: int, processes: int, names: list[str], progress: Progress
) -> tuple[dict[str, int], list[Finding]]:
    """Feed `inputs` inputs, shared evenly by the targets; how many each took, and the findings."""
    told: multiprocessing.Queue[tuple[str, int, list[Finding]]] = multiprocessing.Queue()
    share = -(-inputs // len(names))
    workers = [
        multiprocessing.Process(target=_work, args=(names, first, processes, share, told))
        for first in range(processes)
    ]
    for worker in workers:
        worker.start()
    done = dict.fromkeys(names, 0)
    findings: dict[str, Finding] = {}
    last = time.monotonic()
    while any(worker.is_alive() for worker in workers) or not told.empty():
        try:
            name, count, found = told.get(timeout=0.5)
        except queue.Empty:
            continue
        done[name] += count
        for one in found:
            findings.setdefault(one.target + one.place, one)
        if time.monotonic() - last > 5:
            last = time.monotonic()
            progress(done, len(findings))
    dead = [worker for worker in workers if worker.exitcode]
    if dead:
        raise RuntimeError(f"{len(dead)} of {processes} processes died: exit {dead[0].exitcode}")
    return done, list(findings.values())


def _work(
    names: list[str],
    first: int,
    step: int,
    share: int,
    told: multiprocessing.Queue[tuple[str, int, list[Finding]]],
) -> None:
    signal.signal(signal.SIGALRM, _too_slow)
    for name in names:
        target = TARGETS[name]
        recordings = target.recordings()
        count, found, seen = 0, [], set[str]()
        for number in range(first, share, step):
            data = target.mutate(recordings, number)
            signal.setitimer(signal.ITIMER_REAL, PATIENCE_S)
            finding = try_input(target, number, data)
            signal.setitimer(signal.ITIMER_REAL, 0)
            if finding is not None and finding.place not in seen:
                seen.add(finding.place)
                found.append(finding)
            count += 1
            if count == _REPORT_EVERY:
                told.put((name, count, found))
                count, found = 0, []
        told.put((name, count, found))


def _too_slow(number: int, frame: FrameType | None) -> None:
    raise TooSlow(f"longer than {PATIENCE_S} s")
