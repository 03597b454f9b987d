# SPDX-License-Identifier: Apache-2.0
"""What the shard's status should say of recordings that were deleted early. Pure.

A volume that is full all the time loses its oldest minute every minute. Reported so, each shard
would write for ever; so an entry moves in steps of a day, and stands still in between.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from camfleet_api.ingest_shard import DELETED_EARLY_STEP, DeletedEarly
from camfleet_api.names import MAX_CAMERAS_PER_SHARD


def deleted_early(
    reported: Sequence[DeletedEarly], seen: Iterable[DeletedEarly], now: datetime
) -> list[DeletedEarly]:
    """What should be reported, given what is and what was seen since; equal to what is reported
    where nothing has changed that a reader would act on.

    An entry goes when its retention is over: by then nothing that was promised is missing. What is
    reported already goes before what is new where there are too many, or entries would take turns.
    """
    entries = {one.site: one for one in reported if not _is_over(one, now)}
    for one in sorted(seen, key=lambda one: one.until, reverse=True):
        if not _is_over(one, now) and _is_news(one, entries.get(one.site)):
            entries[one.site] = one
    kept = list(entries.values())[:MAX_CAMERAS_PER_SHARD]
    return sorted(kept, key=lambda one: one.site)


def _is_over(one: DeletedEarly, now: datetime) -> bool:
    return one.until <= now - timedelta(days=one.retention_days)


def _is_news(one: DeletedEarly, present: DeletedEarly | None) -> bool:
    return present is None or one.until - present.until >= DELETED_EARLY_STEP
