# SPDX-License-Identifier: Apache-2.0
"""A report of recordings that were deleted early becomes one Event of the Site, once."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from camfleet_api.names import API_VERSION, MANAGED_BY, MANAGED_BY_LABEL
from camfleet_operator.event_aggregation import EventAggregator, stored_site
from camfleet_operator.observed import observe_shard
from camfleet_operator.occurrence import Occurrence
from camfleet_operator.resources import SHARDS, SITES, Resource
from camfleet_operator.store import Store
from fleet_objects import site

HOLD_S = 65.0
NAMESPACE = "phu-yen"
DAY = timedelta(days=1)
UNTIL = datetime(2026, 11, 20, 14, 3, tzinfo=UTC)


def entry(until: datetime = UNTIL, site: str = "barracks", days: int = 30) -> dict[str, Any]:
    when = until.isoformat().replace("+00:00", "Z")
    return {"site": site, "until": when, "retentionDays": days}


class Operator:
    """A store and the replicas that hear its changes, in time that the test lets pass."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.events: list[Occurrence] = []
        self._numbers = itertools.count(1)
        self._store = Store(lease_seconds=40, monotonic=lambda: self.now)
        self._objects: dict[str, dict[str, Any]] = {}
        self._leader: EventAggregator | None = None
        self.declare_site()

    def lead(self) -> None:
        """Another process begins to lead, with a store that it has filled before."""
        self._leader = EventAggregator(HOLD_S, partial(stored_site, self._store))

    def declare_site(self, name: str = "barracks") -> None:
        self._put(SITES, site(NAMESPACE, name))

    def report(self, *entries: dict[str, Any], shard: str = "s0") -> None:
        """A worker writes its shard's status."""
        raw = {
            "apiVersion": API_VERSION,
            "kind": "IngestShard",
            "metadata": {
                "namespace": NAMESPACE,
                "name": shard,
                "labels": {MANAGED_BY_LABEL: MANAGED_BY},
            },
            "spec": {"hash": "h1"},
            "status": {"observedHash": "h1"} | ({"deletedEarly": entries} if entries else {}),
        }
        self._put(SHARDS, raw)

    def delete(self, resource: Resource, name: str) -> None:
        raw = self._objects.pop(f"{resource.kind}/{name}")
        self._note(self._store.remove(resource, raw))

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        if self._leader is not None:
            self.events += self._leader.due(self.now)

    def told(self) -> list[str]:
        """The Events since last asked, once every hold is over."""
        self.pass_time(HOLD_S)
        events, self.events = self.events, []
        assert {one.reason for one in events} <= {"RecordingsDeletedEarly"}
        return [one.message for one in events]

    def _put(self, resource: Resource, raw: dict[str, Any]) -> None:
        key = f"{resource.kind}/{raw['metadata']['name']}"
        number = next(self._numbers)
        before = self._objects.get(key)
        uid = before["metadata"]["uid"] if before else f"uid-{number}"
        raw["metadata"] |= {"uid": uid, "resourceVersion": str(number)}
        self._objects[key] = raw
        self._note(self._store.put(resource, raw))

    def _note(self, change: Any) -> None:
        assert change is not None
        if self._leader is not None:
            self._leader.note(change, self.now)


@pytest.fixture
def operator() -> Operator:
    """One that leads, with a site and a shard whose worker has acknowledged."""
    operator = Operator()
    operator.lead()
    operator.report()
    return operator


def test_a_site_that_lost_recordings_has_a_warning_with_the_fact_and_the_next_action(
    operator: Operator,
) -> None:
    operator.report(entry())
    operator.pass_time(HOLD_S)
    (event,) = operator.events
    assert (event.kind, event.name, event.warning) == ("Site", "barracks", True)
    assert event.reason == "RecordingsDeletedEarly"
    assert event.uid, "kubectl describe finds Events by it"
    assert event.message == (
        "Recordings of the site up to 2026-11-20 14:03 UTC were deleted before their 30 days were "
        "over, because space ran out. Give the recording volume or the Site's "
        "recording.retentionSize more room, or lower recording.retentionDays in the profile."
    )


def test_an_acknowledgement_beside_a_report_that_stands_is_no_event(operator: Operator) -> None:
    operator.report(entry())
    assert len(operator.told()) == 1
    operator.report(entry())
    operator.report(entry(days=14))
    assert operator.told() == []


def test_a_new_leader_repeats_nothing_and_tells_what_comes_next(operator: Operator) -> None:
    operator.report(entry())
    operator.told()
    operator.lead()
    operator.report(entry())
    assert operator.told() == []
    operator.report(entry(UNTIL + DAY))
    assert len(operator.told()) == 1


def test_a_loss_that_goes_on_is_told_once_a_day_however_many_workers_report_it(
    operator: Operator,
) -> None:
    operator.report(shard="s1")
    told = 0
    for hour in range(0, 3 * 24, 6):
        shard = f"s{hour // 6 % 2}"
        operator.report(entry(UNTIL + timedelta(hours=hour)), shard=shard)
        told += len(operator.told())
    assert told == 3


def test_two_workers_that_report_together_are_one_event_with_the_later_time(
    operator: Operator,
) -> None:
    operator.report(shard="s1")
    operator.report(entry())
    operator.report(entry(UNTIL + 2 * DAY), shard="s1")
    (message,) = operator.told()
    assert "2026-11-22" in message


def test_a_shard_that_is_deleted_and_made_again_repeats_nothing(operator: Operator) -> None:
    operator.report(entry())
    operator.told()
    operator.lead()
    operator.delete(SHARDS, "s0")
    operator.report()
    operator.report(entry())
    assert operator.told() == []


def test_an_entry_that_goes_is_no_event(operator: Operator) -> None:
    operator.report(entry())
    operator.told()
    operator.report()
    assert operator.told() == []


def test_a_report_of_a_site_that_does_not_exist_is_no_event(operator: Operator) -> None:
    operator.report(entry(site="nowhere"))
    assert operator.told() == []


def test_a_site_that_is_deleted_meanwhile_has_no_event_nor_has_one_declared_after_it(
    operator: Operator,
) -> None:
    operator.report(entry())
    operator.delete(SITES, "barracks")
    operator.declare_site()
    assert operator.told() == []


def test_a_report_out_of_bounds_does_not_hide_the_acknowledgement() -> None:
    raw = {
        "metadata": {"namespace": NAMESPACE, "name": "s0", "uid": "u", "resourceVersion": "1"},
        "spec": {"hash": "h1"},
        "status": {"observedHash": "h1", "deletedEarly": [entry(days=0)]},
    }
    shard = observe_shard(raw)
    assert (shard.observed_hash, shard.deleted_early) == ("h1", ())
