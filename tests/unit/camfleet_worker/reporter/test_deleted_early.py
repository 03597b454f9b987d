# SPDX-License-Identifier: Apache-2.0
"""Which early deletions a shard's status says, and when it says something else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from camfleet_api.ingest_shard import DeletedEarly, IngestShardStatus
from camfleet_api.names import MAX_CAMERAS_PER_SHARD
from camfleet_worker.reporter.deleted_early import deleted_early

NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)


def entry(site: str, age_days: float, retention_days: int = 30) -> DeletedEarly:
    """Recordings were deleted that began so long ago."""
    until = NOW - timedelta(days=age_days)
    return DeletedEarly(site=site, until=until, retention_days=retention_days)


def test_a_site_that_loses_recordings_is_reported_beside_the_others() -> None:
    hotel, school = entry("hotel", 20), entry("school", 10)
    assert deleted_early([school], [hotel], NOW) == [hotel, school]


def test_a_volume_that_is_always_full_changes_its_report_once_a_day() -> None:
    reported, changes = [entry("hotel", 20)], 0
    for minute in range(1, 3 * 24 * 60 + 1):
        passed = timedelta(minutes=minute)
        seen = [entry("hotel", 20).model_copy(update={"until": NOW - timedelta(days=20) + passed})]
        wanted = deleted_early(reported, seen, NOW + passed)
        changes += wanted != reported
        reported = wanted
    assert changes == 3


def test_a_loss_of_many_days_at_once_is_reported_at_once() -> None:
    later = entry("hotel", 2)
    assert deleted_early([entry("hotel", 20)], [later], NOW) == [later]


def test_what_an_earlier_process_reported_stands_though_this_one_has_seen_less() -> None:
    reported = [entry("hotel", 5)]
    assert deleted_early(reported, [], NOW) == reported
    assert deleted_early(reported, [entry("hotel", 9)], NOW) == reported


def test_an_entry_goes_when_its_recordings_would_have_expired_by_now() -> None:
    hotel = entry("hotel", 29.9)
    assert deleted_early([hotel], [hotel], NOW) == [hotel]
    over = NOW + timedelta(days=0.2)
    assert deleted_early([hotel], [hotel], over) == []


def test_too_many_sites_do_not_take_turns() -> None:
    full = [entry(f"site-{number:03}", 20) for number in range(MAX_CAMERAS_PER_SHARD)]
    assert deleted_early(full, [entry("a-new-site", 1)], NOW) == full
    moved = entry("site-007", 3)
    assert moved in deleted_early(full, [entry("a-new-site", 1), moved], NOW)
    IngestShardStatus(deleted_early=full)  # as many as the contract takes


def test_a_time_at_the_end_of_the_calendar_is_read_like_any_other() -> None:
    wrong = DeletedEarly(site="hotel", until=datetime(9999, 12, 31, tzinfo=UTC), retention_days=400)
    assert deleted_early([wrong], [], NOW) == [wrong]
