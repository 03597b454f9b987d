# SPDX-License-Identifier: Apache-2.0
"""Writes files that a reader or a crash must never find half written.

Called wherever a small file is replaced or a folder's entries have to outlive the loss of power:
the journal, the state cache, the declarations beside recordings. Errors of the operating system
pass through, and the caller decides what they mean.
"""

from __future__ import annotations

import os
from pathlib import Path


def replace_file(path: Path, content: bytes, mode: int = 0o666) -> None:
    """Put `content` in the place of a file: a reader finds the old one or the new one, whole.

    It survives the end of this process, not the loss of power. `mode` is that of a new file, less
    the process's umask. Several processes may replace one file; of this process one at a time.
    """
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    fresh.replace(path)


def sync_folder(folder: Path) -> None:
    """Bring a folder's entries to the disk: a new file's name survives the loss of power."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
