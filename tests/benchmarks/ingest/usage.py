# SPDX-License-Identifier: Apache-2.0
"""CPU and memory of processes, and the window in which they are measured."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from .job import Job, Usage

_TICKS = os.sysconf("SC_CLK_TCK")


def measure(job: Job, pids: Sequence[int], pictures: Callable[[], int]) -> None:
    """Warm up, say "begun", measure these processes, say what they used."""
    time.sleep(job.warm_s)
    print("begun", flush=True)
    before, counted, began = _cpu_s(pids), pictures(), time.monotonic()
    time.sleep(job.seconds)
    took_s = time.monotonic() - began
    done = pictures()
    usage = Usage(
        cpu_s=_cpu_s(pids) - before,
        took_s=took_s,
        pictures=done - counted if done >= 0 else -1,
        pss_mb=sum(pss_mb(pid) for pid in pids),
    )
    print(json.dumps(asdict(usage)), flush=True)


def _cpu_s(pids: Sequence[int]) -> float:
    if list(pids) == [os.getpid()]:
        return time.process_time()  # finer than the kernel's ticks
    return sum(cpu_s(pid) for pid in pids)


def cpu_s(pid: int) -> float:
    """User and system time of a process, in ticks of 10 ms; that of an ended one is 0."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        print(f"process {pid} has ended", file=sys.stderr)
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICKS


def pss_mb(pid: int) -> float:
    """Proportional set size, in MiB: pages that processes share count in parts."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    return 0.0
