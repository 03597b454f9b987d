# SPDX-License-Identifier: Apache-2.0
"""Cleans up after a measurement, however it ends.

A process of its own that holds one end of a pipe: when the other end closes, because the
measurement has ended or was killed, it ends the processes it was told of and takes network and
cluster away. It also holds the claim on the measurement's number until that is done. Should it be
killed too, the next measurement clears what it finds (`clear_leftovers`).
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TextIO

from local_cluster import Cluster
from local_cluster.places import lock

from .source_network import NUMBERS, SourceNetwork

_PATIENCE_S = 15.0


class LastWill:
    """Made first; told of every process that is started, closed last."""

    def __init__(self) -> None:
        self.number, self._claim = _claimed()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.fleet.last_will", str(self.number)],
            stdin=subprocess.PIPE,
            text=True,
            pass_fds=[self._claim.fileno()],
            start_new_session=True,
        )

    @property
    def instance(self) -> str:
        """The cluster's name."""
        return _instance(self.number)

    @property
    def folder(self) -> Path:
        """For logs, states and kubeconfigs; in memory."""
        return _folder(self.number)

    def names(self, pid: int) -> None:
        """To be ended if it still runs then."""
        assert self._process.stdin
        self._process.stdin.write(f"{pid} {_started(pid)}\n")
        self._process.stdin.flush()

    def execute(self) -> None:
        """Clean up now, and wait for it."""
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(120)
        self._claim.close()


def clear_leftovers() -> None:
    """Remove what measurements left whose will was not executed."""
    for number in NUMBERS:
        claim = _claim(number)
        if claim is not None:
            with claim:
                _clear(number)


def _claimed() -> tuple[int, TextIO]:
    for number in NUMBERS:
        claim = _claim(number)
        if claim is not None:
            return number, claim
    raise RuntimeError(f"all {len(NUMBERS)} numbers are taken by running measurements")


def _claim(number: int) -> TextIO | None:
    """The lock of a number, or None while somebody holds it; freed by the kernel with its last
    holder."""
    path = lock(f"measurement-{number}")
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = path.open("w")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        handle.close()
        return None
    return handle


def _clear(number: int) -> None:
    Cluster.remove(_instance(number))
    SourceNetwork(number).remove()
    shutil.rmtree(_folder(number), ignore_errors=True)


def _instance(number: int) -> str:
    return f"fleet-{number}"


def _folder(number: int) -> Path:
    return Path(f"/dev/shm/camfleet-fleet-{number}")


def _started(pid: int) -> str:
    """Field 22 of /proc/PID/stat: with it a pid is never somebody else's. Empty when it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else fields[19]


def _end(processes: list[tuple[int, str]]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + _PATIENCE_S
        for pid, started in processes:
            if started and _started(pid) == started:
                os.kill(pid, number)
        while any(s and _started(p) == s for p, s in processes):
            if time.monotonic() > deadline:
                break
            time.sleep(0.1)
        else:
            return


def _wait_and_execute(number: int) -> None:
    for ignored in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ignored, signal.SIG_IGN)
    named = [line.split(" ") for line in sys.stdin.read().splitlines()]
    _end([(int(pid), started) for pid, started in named])
    _clear(number)


if __name__ == "__main__":
    _wait_and_execute(int(sys.argv[1]))
