# SPDX-License-Identifier: Apache-2.0
"""Processes of an instance: started in sessions of their own, remembered by pid and start time,
ended by these alone.

Used by the control plane and the node. A process is also put into the instance's cgroup, which its
children inherit: so container shims and everything in pods are found even after whoever started
them was killed with -9. Nothing is ever looked up by name.
"""

import json
import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from local_cluster import cgroups
from local_cluster.errors import ClusterError
from local_cluster.instance import Instance


@dataclass(frozen=True)
class Process:
    """A pid alone may belong to somebody else by now; together with its start time it cannot."""

    name: str
    pid: int
    start_ticks: int

    def is_alive(self) -> bool:
        return _start_ticks(self.pid) == self.start_ticks


def start(instance: Instance, name: str, command: Sequence[str | Path]) -> Process:
    """Start `command` in the instance's network namespace and cgroup; its output goes to
    logs/<name>.log.
    """
    (instance.folder / "logs").mkdir(parents=True, exist_ok=True)
    (instance.folder / "pids").mkdir(parents=True, exist_ok=True)
    join = cgroups.procs_files(instance.cgroup)
    # The shell joins the cgroup, then becomes the program: nothing runs, however short, outside of
    # it.
    script = (
        'for file in $CGROUP_FILES; do echo 0 > "$file" || exit 1; done; '
        'unset CGROUP_FILES; cd "$0" && exec "$@"'
    )
    log = str(instance.folder / "logs" / f"{name}.log")
    # Not subprocess.Popen: that is for children one waits for, and complains about the others.
    pid = os.posix_spawnp(
        "nsenter",
        [
            "nsenter",
            f"--net=/run/netns/{instance.network_namespace}",
            "sh",
            "-c",
            script,
            str(instance.folder),
            *map(str, command),
        ],
        {**_plain_environment(), "CGROUP_FILES": " ".join(map(str, join))},
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
    )
    process = Process(name, pid, _start_ticks(pid) or 0)
    (instance.folder / "pids" / name).write_text(json.dumps([process.pid, process.start_ticks]))
    return process


def known(instance: Instance) -> list[Process]:
    """What was started here and not yet stopped, alive or not."""
    folder = instance.folder / "pids"
    if not folder.is_dir():
        return []
    return [
        Process(path.name, *json.loads(path.read_text() or "[0, 0]"))
        for path in sorted(folder.iterdir())
    ]


def stop(instance: Instance, processes: Sequence[Process], within_s: float = 10) -> None:
    """Ask politely, wait, then kill. Pid files go when the process is gone."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        for process in processes:
            if process.is_alive():
                _signal(process.pid, sign)
        if _wait(lambda: not any(process.is_alive() for process in processes), within_s):
            break
    for process in processes:
        (instance.folder / "pids" / process.name).unlink(missing_ok=True)


def kill_cgroup(instance: Instance, within_s: float = 20) -> None:
    """Kill everything that still runs in the instance's cgroup: shims, pods, and what a dead run
    left.
    """

    def emptied() -> bool:
        pids = cgroups.pids(instance.cgroup)
        for pid in pids:
            _signal(pid, signal.SIGKILL)
        return not pids

    if not _wait(emptied, within_s):
        left = ", ".join(map(str, sorted(cgroups.pids(instance.cgroup))))
        raise ClusterError(
            f"Processes {left} of instance {instance.name} do not die. "
            "Look at /proc/PID/stack: a hung mount is the usual cause."
        )


def wait_until(
    what: str,
    condition: Callable[[], bool],
    processes: Sequence[Process],
    instance: Instance,
    within_s: float,
) -> None:
    """Wait for `condition`; when a process dies or time runs out, say which and show the end of
    its log.
    """

    def settled() -> bool:
        return condition() or not all(process.is_alive() for process in processes)

    if _wait(settled, within_s) and condition():
        return
    dead = [process.name for process in processes if not process.is_alive()]
    fact = f"{', '.join(dead)} ended" if dead else f"it took longer than {within_s:.0f} s"
    tails = "\n".join(
        _tail(instance, name) for name in (dead or [process.name for process in processes])
    )
    raise ClusterError(
        f"{what} did not happen: {fact}. Its last words (more in {instance.folder}/logs):\n{tails}"
    )


def _tail(instance: Instance, name: str) -> str:
    log = instance.folder / "logs" / f"{name}.log"
    return f"--- {name}\n" + "\n".join(log.read_text(errors="replace").splitlines()[-8:])


def _wait(condition: Callable[[], bool], within_s: float) -> bool:
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def _signal(pid: int, sign: signal.Signals) -> None:
    try:
        os.kill(pid, sign)
    except ProcessLookupError:
        return  # it was faster than us
    reap(pid)


def reap(pid: int) -> None:
    """Collect a child of ours that ended; others are collected by their own parent."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return


def _start_ticks(pid: int) -> int | None:
    """Field 22 of /proc/PID/stat (proc(5)): clock ticks since boot; None when there is no such
    process, or only its zombie.
    """
    reap(pid)
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The second field, the name, may itself hold spaces and brackets.
    fields = text.rpartition(")")[2].split()
    return None if fields[0] == "Z" else int(fields[19])


def _plain_environment() -> dict[str, str]:
    """Servers get a PATH and nothing else: proxies and credentials of the caller's shell are not
    theirs.
    """
    return {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"}
