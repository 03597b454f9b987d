# SPDX-License-Identifier: Apache-2.0
"""Which recordings of each site were deleted before their retention was over.

Noted by the volume's threads, one for each object that is deleted for space, and read by whoever
reports it to people. It knows what this process deleted and nothing of before.
"""

from __future__ import annotations

import threading

from pydantic import ValidationError

from camfleet_api.ingest_shard import DeletedEarly
from camfleet_worker.base.moments import DAY_US, SECOND_US, utc

Site = tuple[str, str]
"""Namespace and name, as they stand on the volume."""


class EarlyDeletions:
    """The youngest recording of each site that went before its time. Safe for several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._youngest: dict[Site, tuple[int, int]] = {}
        """When it began, and for how many days it should have been kept."""

    def note(self, site: Site, at_us: int, retention_days: int, now_us: int) -> None:
        """A recording that began then was deleted now, for space. One whose retention was over is
        no loss: a full disk may delete it before housekeeping does."""
        if at_us <= now_us - retention_days * DAY_US:
            return
        # A recording made while a clock was ahead must not hide later losses for years.
        began_us = min(at_us, now_us)
        with self._lock:
            youngest = self._youngest.get(site)
            if youngest is None or youngest[0] < began_us:
                self._youngest[site] = (began_us, retention_days)

    def of(self, namespace: str) -> list[DeletedEarly]:
        """What there is to report of a namespace's sites. Other namespaces may share the volume."""
        with self._lock:
            found = sorted(self._youngest.items())
        entries = (
            _entry(site, *youngest) for (within, site), youngest in found if within == namespace
        )
        return [entry for entry in entries if entry is not None]


def _entry(site: str, at_us: int, retention_days: int) -> DeletedEarly | None:
    """The entry as the contract has it; None where what was declared beside the recordings is not
    what the operator ever declares: anybody may write files on a volume."""
    until = utc(at_us - at_us % SECOND_US)
    try:
        return DeletedEarly(site=site, until=until, retention_days=retention_days)
    except ValidationError:
        return None
