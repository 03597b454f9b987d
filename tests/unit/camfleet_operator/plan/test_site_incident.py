# SPDX-License-Identifier: Apache-2.0
"""A site that falls is one incident: one condition, one Event when it begins, one when it ends."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from camfleet_operator.event_aggregation import EventAggregator, stored_site
from camfleet_operator.occurrence import Occurrence
from camfleet_operator.plan.site_incident import TOGETHER
from camfleet_operator.resources import SITES
from fleet_objects import camera, site

NAMESPACE = "phu-yen"
HOLD_S = TOGETHER.total_seconds() + 5

UP = (("Reachable", "True", "Reachable"), ("Streaming", "True", "Streaming"),
      ("Ready", "True", "Ready"))  # fmt: skip
SILENT = (("Reachable", "True", "Reachable"), ("Streaming", "False", "NoFrames"),
          ("Ready", "False", "NoFrames"))  # fmt: skip


def unreached(reason: str) -> tuple[tuple[str, str, str], ...]:
    return (
        ("Reachable", "False", reason),
        ("Streaming", "Unknown", "Pending"),
        ("Ready", "False", reason),
    )


FALLS = {
    "no frames": SILENT,
    "host": unreached("HostUnreachable"),
    "timeout": unreached("Timeout"),
    "name": unreached("NameNotResolved"),
}
REFUSED = (
    ("Reachable", "True", "Reachable"),
    ("Authenticated", "False", "CredentialsRejected"),
    ("Streaming", "Unknown", "Pending"),
    ("Ready", "False", "CredentialsRejected"),
)


class Told:
    """A province whose workers live, whose plans are carried out at once, and whose Events are
    gathered while time passes second by second."""

    def __init__(self, province: Any) -> None:
        self.province = province
        self.events: list[Occurrence] = []
        self.site_writes = 0
        self.reachable: list[str] = []
        self._aggregator = EventAggregator(HOLD_S, partial(stored_site, province.store))
        province.listener = self._hear

    def _hear(self, change: Any) -> None:
        self._aggregator.note(change, self.province.now.timestamp())
        if change.resource is SITES and change.after.status.conditions:
            self.site_writes += change.before is None or change.before.status != change.after.status
            said = self.site("Reachable")[0]
            if said and (not self.reachable or self.reachable[-1] != said):
                self.reachable.append(said)

    def site(self, kind: str, name: str = "barracks") -> tuple[str, str]:
        for one in self.province.get("Site", name).get("status", {}).get("conditions", ()):
            if one["type"] == kind:
                return one["status"], one["reason"]
        return "", ""

    def message(self) -> str:
        conditions = self.province.get("Site", "barracks")["status"]["conditions"]
        return next(str(one["message"]) for one in conditions if one["type"] == "Reachable")

    def report(self, name: str, conditions: tuple[tuple[str, str, str], ...]) -> None:
        self.province.report(name, *conditions)
        self.province.done()

    def pass_time(self, seconds: int) -> None:
        for _ in range(seconds):
            self.province.pass_time(1)
            for shard in self.province.names("IngestShard"):
                if self.province.now.second % 10 == 0:
                    self.province.worker_lives(shard)
            self.events += self._aggregator.due(self.province.now.timestamp())

    def stories(self) -> list[tuple[str, str]]:
        return [(one.kind, one.reason) for one in self.events]

    def forget(self) -> None:
        """Whatever came before is not what the test is about."""
        self.pass_time(400)
        self.events.clear()
        self.reachable[:] = self.reachable[-1:]
        self.site_writes = 0


def fleet(province: Any, cameras: int = 16, recorder: int = 0) -> Told:
    """A site of so many cameras, of which the first are channels of a recorder, all streaming."""
    told = Told(type(province)(province.settings))
    told.province.declare(site(NAMESPACE))
    for number in range(cameras):
        own: dict[str, Any] = (
            {"host": "10.0.0.5", "source": {"channel": number + 1}} if number < recorder else {}
        )
        told.province.declare(camera(NAMESPACE, f"cam{number}", **own))
    told.province.workers_live()
    for number in range(cameras):
        told.province.report(f"cam{number}", *UP)
    told.province.workers_live()
    told.forget()
    assert told.site("Reachable") == ("True", "Reachable")
    return told


@pytest.fixture
def told(province: Any) -> Told:
    return fleet(province)


def fall(told: Told, *numbers: int, how: str = "host", every_s: int = 1) -> None:
    for number in numbers:
        told.report(f"cam{number}", FALLS[how])
        told.pass_time(every_s)


def test_a_site_that_loses_its_line_reports_it_once_with_the_next_action(told: Told) -> None:
    fall(told, *range(16), every_s=2)
    told.pass_time(120)
    assert told.site("Reachable") == ("False", "SiteUnreachable")
    assert told.message() == (
        "Most cameras of the site fell away together: one cause, not many. "
        "Check the site's power and line first; the cameras come back by themselves."
    )
    (event,) = told.events
    assert (event.kind, event.reason, event.warning) == ("Site", "SiteUnreachable", True)
    assert "13 of 16 cameras" in event.message


def test_a_site_comes_back_with_one_event_however_slowly_its_cameras_return(told: Told) -> None:
    fall(told, *range(16))
    told.pass_time(1000)
    told.events.clear()
    for number in range(16):
        told.report(f"cam{number}", UP)
        told.pass_time(10)
    told.pass_time(400)
    assert told.stories() == [("Site", "Reachable")]
    assert told.reachable == ["True", "False", "True"]


def test_the_condition_has_the_time_of_the_first_failure(told: Told) -> None:
    began = told.province.now.isoformat()
    fall(told, *range(16), every_s=3)
    (said,) = [
        one["lastTransitionTime"]
        for one in told.province.get("Site", "barracks")["status"]["conditions"]
        if one["type"] == "Reachable"
    ]
    assert said.replace("Z", "+00:00") == began


def test_a_camera_that_stays_down_after_the_incident_has_an_event(told: Told) -> None:
    fall(told, *range(16))
    told.pass_time(200)
    for number in range(15):
        told.report(f"cam{number}", UP)
    told.events.clear()
    told.pass_time(1)
    assert told.stories() == [("Site", "Reachable")]
    told.pass_time(400)
    assert [one.name for one in told.events[1:]] == ["cam15"]


def test_another_fault_during_an_incident_is_still_reported(told: Told) -> None:
    fall(told, *range(13))
    told.report("cam15", REFUSED)
    told.pass_time(100)
    assert told.stories() == [("Site", "SiteUnreachable"), ("Camera", "CredentialsRejected")]


def test_a_line_that_comes_and_goes_by_a_few_cameras_changes_nothing(told: Told) -> None:
    fall(told, *range(16))
    told.pass_time(100)
    for _ in range(10):
        for number in range(6):
            told.report(f"cam{number}", UP)
        told.pass_time(20)
        fall(told, *range(6))
    assert told.reachable == ["True", "False"]
    assert told.stories() == [("Site", "SiteUnreachable")]


def test_a_new_leader_goes_on_with_the_incident_of_the_last(told: Told) -> None:
    fall(told, *range(16))
    told.pass_time(100)
    successor = Told(told.province)
    for number in range(16):
        successor.report(f"cam{number}", UP)
        successor.pass_time(1)
    assert successor.stories() == [("Site", "Reachable")]


def test_the_long_dead_do_not_hide_that_the_rest_fell(told: Told) -> None:
    fall(told, *range(10), every_s=200)
    assert told.site("Reachable")[0] == "True"
    fall(told, *range(10, 16))
    assert told.site("Reachable") == ("False", "SiteUnreachable")
    for number in range(10, 14):
        told.report(f"cam{number}", UP)
    assert told.site("Reachable") == ("True", "Reachable")


def test_devices_that_fail_one_by_one_are_no_incident(told: Told) -> None:
    fall(told, *range(16), every_s=90)
    told.pass_time(100)
    assert told.reachable == ["True", "Unknown"]
    assert told.stories() == [("Camera", "HostUnreachable")] * 16
    assert "cannot be told" in told.message()


def test_a_fallen_recorder_is_one_event_and_no_incident_of_the_site(province: Any) -> None:
    told = fleet(province, cameras=20, recorder=16)
    fall(told, *range(16), how="no frames")
    told.pass_time(100)
    assert told.site("Reachable")[0] == "True"
    (event,) = told.events
    assert (event.kind, event.reason) == ("Site", "DeviceNotReady")
    assert event.message.startswith("16 channels of 10.0.0.5:80 are no longer Ready: NoFrames.")


def test_a_site_of_one_recorder_is_not_blamed_for_it(province: Any) -> None:
    told = fleet(province, cameras=16, recorder=16)
    fall(told, *range(16))
    told.pass_time(100)
    assert told.site("Reachable") == ("Unknown", "Pending")
    assert told.stories() == [("Site", "DeviceNotReady")]


def test_a_stream_that_falls_silent_and_is_then_not_reached_fell_once(told: Told) -> None:
    for number in range(16):
        told.report(f"cam{number}", SILENT)
    told.pass_time(25)
    fall(told, *range(16), how="timeout")
    told.pass_time(200)
    assert told.reachable == ["True", "False"]
    assert told.stories() == [("Site", "SiteUnreachable")]


def test_an_operator_that_was_away_recognises_what_fell_meanwhile(province: Any) -> None:
    told = fleet(province, cameras=3)
    for name in ("cam0", "cam1"):
        told.province.report(name, *FALLS["host"])
    told.province.pass_time(20)
    told.province.report("cam2", *SILENT)
    told.province.pass_time(55)
    told.province.report("cam2", *FALLS["timeout"])
    told.province.done()
    assert told.site("Reachable") == ("False", "SiteUnreachable")


def test_refused_logins_of_a_whole_site_are_no_lost_line(told: Told) -> None:
    for number in range(16):
        told.report(f"cam{number}", REFUSED)
    told.pass_time(100)
    assert told.site("Reachable")[0] == "True"
    assert told.stories() == [("Site", "CamerasNotReady")]


def test_a_lost_worker_is_no_incident_of_its_sites(told: Told) -> None:
    told.province.pass_time(200)
    told.province.done()
    assert told.province.condition("cam0", "Ready") == ("Unknown", "WorkerLost")
    assert told.site("Reachable") == ("Unknown", "Pending")


def test_an_incident_stands_while_its_worker_is_lost(told: Told) -> None:
    fall(told, *range(16))
    told.province.pass_time(200)
    told.province.done()
    assert told.province.condition("cam0", "Ready") == ("Unknown", "WorkerLost")
    assert told.site("Reachable") == ("False", "SiteUnreachable")


def test_a_site_without_cameras_claims_nothing(told: Told) -> None:
    fall(told, *range(16))
    for number in range(16):
        told.province.delete("Camera", f"cam{number}")
    told.province.done()
    assert told.site("Reachable") == ("Unknown", "Pending")


def test_unreachable_sites_are_counted(told: Told) -> None:
    assert told.province.plan().figures.incidents == 0
    fall(told, *range(16))
    assert told.province.plan().figures.incidents == 1


delays = st.lists(st.integers(0, 59), min_size=3, max_size=10)
ways = st.sampled_from(sorted(FALLS))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(delays, st.randoms(use_true_random=False), st.data())
@example([0, 30, 59], None, None)
def test_cameras_that_fall_within_a_minute_are_one_event_and_one_transition(
    province: Any, when: list[int], order: Any, data: Any
) -> None:
    told = fleet(province, cameras=len(when))
    names = [f"cam{number}" for number in range(len(when))]
    if order is not None:
        order.shuffle(names)
    clock = 0
    for at, name in sorted(zip(when, names, strict=True)):
        told.pass_time(at - clock)
        clock = at
        told.report(name, FALLS["host" if data is None else data.draw(ways)])
    told.pass_time(200)
    assert told.stories() == [("Site", "SiteUnreachable")]
    assert told.reachable == ["True", "False"]
    assert told.site_writes <= len(when)
    for name in names:
        told.report(name, UP)
        told.pass_time(2)
    told.pass_time(600)
    assert told.stories() == [("Site", "SiteUnreachable"), ("Site", "Reachable")]
    assert told.reachable == ["True", "False", "True"]
    assert told.site_writes <= 2 * len(when)


turns = st.lists(
    st.tuples(st.integers(0, 7), st.sampled_from(["up", *FALLS]), st.integers(0, 40)), max_size=40
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(turns)
@example(
    [(0, "host", 0), (1, "host", 1), (3, "host", 0), (0, "no frames", 0), (1, "no frames", 0),
     (2, "host", 0), (4, "no frames", 0), (6, "no frames", 0), (2, "no frames", 0),
     (3, "no frames", 0), (5, "no frames", 0)]
)  # fmt: skip
def test_no_history_reports_an_incident_twice_or_writes_without_a_cause(
    province: Any, history: list[tuple[int, str, int]]
) -> None:
    told = fleet(province, cameras=8)
    for number, what, seconds in history:
        told.report(f"cam{number}", UP if what == "up" else FALLS[what])
        told.pass_time(seconds)
    told.pass_time(400)
    begun, ended = (told.reachable.count(said) for said in ("False", "True"))
    stories = told.stories()
    assert stories.count(("Site", "SiteUnreachable")) == begun
    assert stories.count(("Site", "Reachable")) <= ended
    assert len(stories) <= len(history) + 2 * begun
    assert told.site_writes <= len(history)
