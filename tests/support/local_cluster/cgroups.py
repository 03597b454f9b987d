# SPDX-License-Identifier: Apache-2.0
"""The control group of an instance, in every version 1 hierarchy or in the one of version 2.

Used by `processes.py` (who belongs to an instance) and `node.py` (where the kubelet puts pods).
Two kubelets on one machine need roots of their own, or each removes the other's pods.
"""

import time
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
# Where the instance's own processes live; pods live in the kubelet's `kubepods` beside it.
SYSTEM = "system"


def create(group: str) -> None:
    """Make the group, with a `system` child, wherever the kubelet will look for it."""
    for hierarchy in _hierarchies():
        for folder in (hierarchy / group, hierarchy / group / SYSTEM):
            folder.mkdir(exist_ok=True)
            _inherit_cpuset(folder)
        if _is_version_2():
            for folder in (hierarchy, hierarchy / group):
                enabled = (folder / "cgroup.controllers").read_text().split()
                (folder / "cgroup.subtree_control").write_text(
                    " ".join(f"+{name}" for name in enabled)
                )


def procs_files(group: str) -> list[Path]:
    """The files a process writes 0 to, to become a member."""
    return [hierarchy / group / SYSTEM / "cgroup.procs" for hierarchy in _hierarchies()]


def pids(group: str) -> set[int]:
    """Every process in the group or below it."""
    found: set[int] = set()
    for hierarchy in _hierarchies():
        for procs in (hierarchy / group).rglob("cgroup.procs"):
            try:
                found.update(int(line) for line in procs.read_text().split())
            except FileNotFoundError:
                continue  # a container's group that went while we looked
    return found


def remove(group: str, within_s: float = 5) -> None:
    """Remove the group with everything below it; only empty groups can go."""
    for hierarchy in _hierarchies():
        below = sorted(
            (hierarchy / group).rglob("*"), key=lambda path: len(path.parts), reverse=True
        )
        for folder in [*(path for path in below if path.is_dir()), hierarchy / group]:
            _remove_folder(folder, within_s)


def _remove_folder(folder: Path, within_s: float) -> None:
    deadline = time.monotonic() + within_s
    while folder.is_dir():
        try:
            folder.rmdir()
        except OSError:
            # The kernel lets a group go only some moments after its last process did.
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _hierarchies() -> list[Path]:
    if _is_version_2():
        return [ROOT]
    return [Path(mount) for mount in _version_1_mounts()]


def _is_version_2() -> bool:
    return (ROOT / "cgroup.controllers").exists()


def _version_1_mounts() -> list[str]:
    lines = (line.split() for line in Path("/proc/self/mounts").read_text().splitlines())
    return sorted({fields[1] for fields in lines if fields[2] == "cgroup"})


def _inherit_cpuset(folder: Path) -> None:
    """In version 1 a new cpuset is empty, and no process may enter an empty one (cpuset(7))."""
    for name in ("cpuset.mems", "cpuset.cpus"):
        if (folder / name).exists() and not _is_version_2():
            (folder / name).write_text((folder.parent / name).read_text())
