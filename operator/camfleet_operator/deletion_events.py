# SPDX-License-Identifier: Apache-2.0
"""Which deletions of recordings become an Event of their Site.

`event_aggregation` passes every change of the store on. A worker reports in its shard's status up
to when it deleted recordings before their retention was over; what is new in a report is an Event.
What stood in a report before is not, so an operator that restarts or begins to lead posts nothing:
it finds the reports as they are. Several workers may report one Site, which then has one Event.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from camfleet_api.ingest_shard import DELETED_EARLY_STEP, DeletedEarly
from camfleet_operator.observed import Shard, Site
from camfleet_operator.occurrence import Occurrence, SiteKey
from camfleet_operator.store import Change

RECORDINGS_DELETED_EARLY = "RecordingsDeletedEarly"
NEXT_ACTION = (
    "Give the recording volume or the Site's recording.retentionSize more room, or lower "
    "recording.retentionDays in the profile."
)


@dataclass(frozen=True, slots=True)
class _Held:
    entry: DeletedEarly
    due_s: float


class DeletionEvents:
    """Reports whose Events are not due yet, and up to when each Site has had one."""

    def __init__(self, hold_s: float, find_site: Callable[[SiteKey], Site | None]) -> None:
        self._hold_s = hold_s
        self._find_site = find_site
        self._held: dict[SiteKey, _Held] = {}
        self._told: dict[SiteKey, datetime] = {}
        """Only of Sites that exist: a report may name anything, and without end."""

    def note(self, change: Change, now_s: float) -> None:
        """Take in one change of the store."""
        before, after = change.before, change.after
        if isinstance(before, Site) and after is None:
            self._forget((change.namespace, change.name))
        if isinstance(before, Shard):
            for entry in before.deleted_early:
                # An earlier leader has told it.
                self._tell((change.namespace, entry.site), entry)
        if isinstance(after, Shard):
            for entry in after.deleted_early:
                where = (change.namespace, entry.site)
                if self._tell(where, entry):
                    self._hold(where, entry, now_s)

    def due(self, now_s: float) -> list[Occurrence]:
        """The Events to post now."""
        due = [where for where, held in sorted(self._held.items()) if held.due_s <= now_s]
        found = [(self._find_site(where), self._held.pop(where).entry) for where in due]
        return [_event(site, entry) for site, entry in found if site is not None]

    def _tell(self, where: SiteKey, entry: DeletedEarly) -> bool:
        """Whether it is news, which it is once. Up to a step beyond what was told it is not: two
        workers of a Site whose volumes lose recordings by turns have one Event a day together."""
        told = self._told.get(where)
        if told is not None and entry.until - told < DELETED_EARLY_STEP:
            return False
        if self._find_site(where) is None:
            return False
        self._told[where] = entry.until
        return True

    def _hold(self, where: SiteKey, entry: DeletedEarly, now_s: float) -> None:
        held = self._held.get(where)
        due_s = held.due_s if held is not None else now_s + self._hold_s
        self._held[where] = _Held(entry, due_s)

    def _forget(self, where: SiteKey) -> None:
        self._told.pop(where, None)
        self._held.pop(where, None)


def _event(site: Site, entry: DeletedEarly) -> Occurrence:
    meta = site.meta
    fact = (
        f"Recordings of the site up to {entry.until:%Y-%m-%d %H:%M} UTC were deleted before their "
        f"{entry.retention_days} days were over, because space ran out."
    )
    return Occurrence(
        meta.namespace,
        "Site",
        meta.name,
        meta.uid,
        RECORDINGS_DELETED_EARLY,
        f"{fact} {NEXT_ACTION}",
        warning=True,
    )
