# SPDX-License-Identifier: Apache-2.0
"""What the recordings of each camera on a volume take: measured now and then, counted in between.

Used by the volume's threads and by the media loop. Others may write to the volume too, or delete:
the count is as good as the last measurement.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from pathlib import Path


class UsedBytes:
    """Bytes by the folder of a camera. Safe for several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_folder: dict[Path, int] = {}
        self.known = False
        """Whether it was ever measured: before that nothing is counted."""

    def measured(self, by_folder: Mapping[Path, int]) -> None:
        """What there is, by looking."""
        with self._lock:
            self._by_folder = dict(by_folder)
            self.known = True

    def add(self, folder: Path, size: int) -> None:
        """So much was written, or will be."""
        if self.known:
            with self._lock:
                self._by_folder[folder] = self._by_folder.get(folder, 0) + size

    def subtract(self, folder: Path, size: int) -> None:
        """So much was deleted."""
        self.add(folder, -size)

    def of(self, folders: Iterable[Path]) -> int:
        """What these cameras' recordings take together."""
        with self._lock:
            return sum(self._by_folder.get(folder, 0) for folder in folders)
