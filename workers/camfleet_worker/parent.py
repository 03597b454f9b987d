# SPDX-License-Identifier: Apache-2.0
"""PID 1 of the worker's container: starts the worker, and starts it again at once when it dies.

Kubelet's back-off makes the second crash of a container 16 to 24 s long; cameras cannot wait for
that. Within a limit the parent restarts the process itself; beyond it the container ends and
kubelet's back-off is right. It forwards SIGTERM and SIGINT and reaps whatever is left to PID 1.
It imports nothing of the worker, so that nothing of the worker can bring it down.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from types import FrameType

RESTARTS = 5
WITHIN_S = 60.0


class RestartLimit:
    """At most `restarts` restarts within `within_s` seconds."""

    def __init__(self, restarts: int = RESTARTS, within_s: float = WITHIN_S) -> None:
        self._within_s = within_s
        self._restarts = restarts
        self._times: deque[float] = deque()

    def allows(self, now: float) -> bool:
        """True, and counted, while the limit is not reached. `now` is monotonic."""
        while self._times and now - self._times[0] >= self._within_s:
            self._times.popleft()
        if len(self._times) >= self._restarts:
            return False
        self._times.append(now)
        return True


class Parent:
    """Runs one command until it ends by itself, is stopped, or dies too often."""

    def __init__(self, command: Sequence[str], limit: RestartLimit | None = None) -> None:
        self._command = list(command)
        self._limit = limit or RestartLimit()
        self._child: subprocess.Popen[bytes] | None = None
        self._stopping = False

    def run(self) -> int:
        """Return the exit code for the container: the child's own, or 1 beyond the limit."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._forward)
        while True:
            code = self._run_child()
            if self._stopping or code == 0:
                return code
            if not self._limit.allows(time.monotonic()):
                _say(f"worker died {RESTARTS + 1} times within {WITHIN_S:g} s, last with {code}")
                return 1
            _say(f"worker died with {code}, starting it again")

    def _run_child(self) -> int:
        self._child = subprocess.Popen(self._command)
        if self._stopping:  # The signal came before there was a child to hand it to.
            self._child.send_signal(signal.SIGTERM)
        return _reap_until(self._child)

    def _forward(self, number: int, _frame: FrameType | None) -> None:
        self._stopping = True
        if self._child is not None and self._child.returncode is None:
            os.kill(self._child.pid, number)


def _reap_until(child: subprocess.Popen[bytes]) -> int:
    """Reap orphans, which end up at PID 1, until the child itself has ended."""
    while True:
        pid, status = os.wait()
        if pid == child.pid:
            child.returncode = os.waitstatus_to_exitcode(status)
            return child.returncode


def _say(text: str) -> None:
    """One line beside the worker's own log lines."""
    sys.stderr.write(f'{{"level": "warning", "logger": "parent", "message": "{text}"}}\n')
    sys.stderr.flush()
