# SPDX-License-Identifier: Apache-2.0
"""Where things lie on this machine: the cache (kept between runs) and the state of instances (gone
after `down`).

Read by every module here; only this one reads the environment for paths.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def cache() -> Path:
    """Binaries, base image and image layers: costly to make, worth keeping. CAMFLEET_CACHE moves
    it.
    """
    given = os.environ.get("CAMFLEET_CACHE")
    if given:
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "camfleet"


def state() -> Path:
    """One folder per running instance. On a real disk: overlayfs cannot stack on the overlay or
    tmpfs of some /tmp.
    """
    return Path(os.environ.get("CAMFLEET_STATE", "/var/lib/camfleet"))


def remove_state() -> None:
    """Remove the folder of all instances, unless somebody else keeps something there."""
    if state().is_dir() and not any(state().iterdir()):
        state().rmdir()


def lock(name: str) -> Path:
    """A lock file; in a folder that no reboot survives, because a lock is no state."""
    return Path("/run/lock/camfleet") / name


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock for the time of a block. The kernel frees it when its holder dies,
    however it dies.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
