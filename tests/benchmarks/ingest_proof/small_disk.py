# SPDX-License-Identifier: Apache-2.0
"""A file system of its own, too small for what is going to be recorded. Needs root."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def small_disk(folder: Path, size_bytes: int) -> Iterator[Path]:
    """Mounted below `folder` as long as the block runs."""
    root = folder / "small-disk"
    root.mkdir()
    options = f"size={size_bytes}"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(root)], check=True)
    try:
        yield root
    finally:
        # Lazy: an interrupted proof may leave a file open.
        subprocess.run(["umount", "--lazy", str(root)], check=True)
