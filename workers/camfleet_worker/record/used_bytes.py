# SPDX-License-Identifier: Apache-2.0
"""Counts the bytes of each camera's recordings on a volume, between measurements.

Used by the volume's threads and by the media loop. Other workers may write to the volume too, or
delete: the count is as exact as the last measurement.
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
        """Whether the volume was measured; before that nothing is counted."""

    def measured(self, by_folder: Mapping[Path, int]) -> None:
        """Replace the counts by a measurement."""
        with self._lock:
            self._by_folder = dict(by_folder)
            self.known = True

    def add(self, folder: Path, size: int) -> None:
        """Add bytes that were or will be written."""
        if self.known:
            with self._lock:
                self._by_folder[folder] = self._by_folder.get(folder, 0) + size

    def subtract(self, folder: Path, size: int) -> None:
        """Subtract bytes that were deleted."""
        self.add(folder, -size)

    def of(self, folders: Iterable[Path]) -> int:
        """The bytes of these cameras' recordings together."""
        with self._lock:
            return sum(self._by_folder.get(folder, 0) for folder in folders)
