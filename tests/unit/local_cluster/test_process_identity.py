# SPDX-License-Identifier: Apache-2.0
"""Whose process a pid is."""

import os
import subprocess

from local_cluster.processes import Process, _start_ticks


def test_a_pid_that_another_process_bears_by_now_is_not_alive() -> None:
    own = _start_ticks(os.getpid())
    assert own is not None
    assert Process("x", os.getpid(), own).is_alive()
    assert not Process("x", os.getpid(), own - 1).is_alive()


def test_an_ended_child_is_not_alive_even_before_anybody_waited_for_it() -> None:
    child = subprocess.Popen(["sleep", "60"])
    process = Process("sleep", child.pid, _start_ticks(child.pid) or 0)
    assert process.is_alive()
    child.kill()
    child.wait()
    assert not process.is_alive()
