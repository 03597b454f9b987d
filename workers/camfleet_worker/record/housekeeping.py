# SPDX-License-Identifier: Apache-2.0
"""Keeps a recording volume from filling: the thread that deletes, and what it tells of that.

Made by the VolumeWriter of the volume. Once a minute it deletes what is too old, then what is too
much for its site, then for the volume; the writer's thread asks it for room when the disk is full.
Which objects go is retention.py's; nothing but recordings is ever deleted.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from camfleet_worker.base.moments import microseconds
from camfleet_worker.record import declarations, retention
from camfleet_worker.record.early_deletions import EarlyDeletions
from camfleet_worker.record.used_bytes import UsedBytes

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class VolumeSettings:
    """One recording volume of a placement. `max_bytes` bounds what recordings take of it."""

    root: Path
    max_bytes: int | None = None
    room_bytes: int = 64 << 20
    """What a full disk is relieved of at once: some minutes of one camera."""
    housekeeping_s: float = 60.0
    measure_s: float = 3600.0
    """Others may write to the volume too: what it holds is measured again this often."""


class Housekeeper:
    """Deletes recordings. `make_room` is called on the writer's thread, `wrote` on the media
    loop's, `look` on its own; the counts may be read by any."""

    def __init__(
        self,
        settings: VolumeSettings,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.used = UsedBytes()
        self.early = EarlyDeletions()
        self._settings = settings
        self._wall = wall
        self._monotonic = monotonic
        self._measured_at = float("-inf")
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._deleted: dict[tuple[str, str], int] = {}
        self._thread = threading.Thread(target=self._keep, name="volume-keeper", daemon=True)

    def start(self) -> None:
        """Look at the volume now, and again and again."""
        self._thread.start()

    def stop(self) -> None:
        """No further look; one that is under way goes on."""
        self._stop.set()

    def join(self) -> None:
        """Wait for the look that is under way."""
        self._thread.join()

    @property
    def deleted_for_space(self) -> dict[tuple[str, str], int]:
        """Bytes by namespace and site that went before their retention time was over. The site is
        empty where none is declared beside the recordings."""
        with self._lock:
            return dict(self._deleted)

    def make_room(self) -> bool:
        """The disk is full: delete the oldest recordings, of whichever camera."""
        return self._delete_oldest(self._settings.room_bytes, None, "the disk is full") > 0

    def look(self) -> None:
        """Delete what is too old, then what is too much for its site, then for the volume."""
        root, most = self._settings.root, self._settings.max_bytes
        retention.delete_expired(root, microseconds(self._wall()), self._note_expired)
        sites = retention.bounded_sites(root)
        if most is None and not sites:
            return
        self._measure()
        for site in sites:
            why = "those of the site take more than allowed"
            self._keep_below(site.max_bytes, site.folders, why, site.name)
        if most is not None:
            folders = tuple(retention.camera_folders(root))
            self._keep_below(most, folders, "recordings take more than allowed")

    def _keep(self) -> None:
        while True:
            try:
                self.look()
            except OSError as error:
                # Not a recording's failure: writing goes on, and says so itself when it cannot.
                log.warning("housekeeping of the recording volume failed: %s", error.strerror)
            if self._stop.wait(self._settings.housekeeping_s):
                return

    def _measure(self) -> None:
        now = self._monotonic()
        if not self.used.known or now - self._measured_at > self._settings.measure_s:
            self.used.measured(retention.used_by_camera(self._settings.root))
            self._measured_at = self._monotonic()

    def _keep_below(
        self, max_bytes: int, folders: tuple[Path, ...], why: str, site: str = ""
    ) -> None:
        over = self.used.of(folders) - max_bytes
        if over > 0:
            self._delete_oldest(over, folders, why, site)

    def _delete_oldest(
        self, wanted_bytes: int, folders: tuple[Path, ...] | None, why: str, site: str = ""
    ) -> int:
        freed = retention.delete_oldest(
            self._settings.root, wanted_bytes, self._note_deleted, folders
        )
        if freed:
            about = {"freed_bytes": freed} | ({"site": site} if site else {})
            log.warning("oldest recordings deleted, because %s", why, extra=about)
        return freed

    def _note_expired(self, folder: Path, size: int, _: int) -> None:
        self.used.subtract(folder, size)

    def _note_deleted(self, folder: Path, size: int, at_us: int) -> None:
        self.used.subtract(folder, size)
        site = (folder.parent.name, declarations.site_of(folder))
        with self._lock:
            self._deleted[site] = self._deleted.get(site, 0) + size
        days = declarations.retention_days(folder)
        if size and days is not None:
            self.early.note(site, at_us, days, microseconds(self._wall()))
