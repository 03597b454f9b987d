# SPDX-License-Identifier: Apache-2.0
"""The journal of a running camera: whose gap it was is told a minute later and then stands."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from camfleet_api.cause import Cause
from camfleet_worker.journal.camera_journal import LAG_US, CameraJournal
from camfleet_worker.journal.lines import Entry
from camfleet_worker.journal.period import (
    ARRIVING,
    ON_DISK,
    UP,
    USABLE,
    Fact,
    Period,
    Stage,
)
from camfleet_worker.journal.tally import Tally, key_frames_by_minute
from camfleet_worker.journal.windows import Window
from camfleet_worker.media_types.delivery_log import DeliveryLog

SECOND = 1_000_000
HOUR = 3600
BEGAN = 400_000 * HOUR  # seconds; on the hour
NATIONAL = Fact(Stage.RELAYED, "national")
Row = tuple[float, float, str]
Happening = tuple[float, Callable[[], None]]


class Played:
    """A camera and its sinks, second by second; times are seconds after the beginning."""

    def __init__(self, *facts: Fact) -> None:
        self.arrivals = DeliveryLog()
        self.sinks = {fact: DeliveryLog() for fact in facts}
        self.journal = CameraJournal(BEGAN * SECOND, self.arrivals, facts)
        for fact, evidence in self.sinks.items():
            self.journal.follow(fact, evidence, BEGAN * SECOND)
        self.told: list[Entry] = []
        self._now = 0.0

    def passes(
        self, start: float, end: float, *evidence: DeliveryLog, key_every: float = 1.0
    ) -> Played:
        """A picture each second, noted as it comes by all or by these."""
        for one in evidence or (self.arrivals, *self.sinks.values()):
            at, key_at = start, start
            while at <= end:
                one.seen(us(at))
                if at >= key_at:
                    one.key_frames.append(us(at))
                    key_at += key_every
                at += 1.0
        return self

    def until(self, end: float) -> Played:
        """Step every five seconds."""
        while self._now < end:
            self._now = min(end, self._now + 5.0)
            self.told += self.journal.step(us(self._now))
        return self

    def periods(self, fact: Fact, entries: list[Entry] | None = None) -> list[Row]:
        """Start and end of every period of a fact, with what it says."""
        return [
            (
                one.start_us / SECOND - BEGAN,
                one.end_us / SECOND - BEGAN,
                str(one.condition.cause or one.condition.state),
            )
            for one in (self.told if entries is None else entries)
            if isinstance(one, Period) and one.fact == fact
        ]


def us(seconds: float) -> int:
    return int((BEGAN + seconds) * SECOND)


def whose(played: Played, fact: Fact, now: float) -> list[Row]:
    """All that is told up to now, and what goes on."""
    entries = played.told + played.journal.peek(us(now), lag_us=0)
    return played.periods(fact, entries)


def test_a_camera_that_stops_is_its_own_gap_from_its_last_picture_to_its_first() -> None:
    played = Played(ON_DISK, NATIONAL).passes(2, 100).until(110)
    played.journal.failed(us(110), Cause.CAMERA, connecting=False)
    played.passes(130, 300).until(300)
    for fact in (ARRIVING, ON_DISK, NATIONAL):
        assert whose(played, fact, 300) == [
            (0, 2, "us"),
            (2, 100, "span"),
            (100, 130, "camera"),
            (130, 300, "span"),
        ]


def test_a_host_that_does_not_answer_makes_the_gap_the_lines_from_its_beginning() -> None:
    played = Played(ON_DISK).passes(0, 100).until(110)
    played.journal.failed(us(110), Cause.CAMERA, connecting=False)
    played.journal.failed(us(116), Cause.LINE, connecting=True)
    played.passes(300, 400).until(400)
    assert whose(played, ARRIVING, 400)[1] == (100, 300, "line")
    assert whose(played, ON_DISK, 400)[1] == (100, 300, "line")


def planned(start: float, end: float) -> Window:
    return Window(us(start), us(end), "noc", "mast moved")


def test_what_is_missing_in_a_window_is_planned_at_every_stage() -> None:
    played = Played(ON_DISK, NATIONAL)
    played.journal.declare_windows([planned(150, 200)])
    played.passes(0, 100).until(110)
    played.journal.failed(us(110), Cause.LINE, connecting=True)
    played.passes(300, 400).until(500)
    for fact in (ARRIVING, ON_DISK, NATIONAL):
        assert played.periods(fact)[:4] == [
            (0, 100, "span"),
            (100, 150, "line"),
            (150, 200, "planned"),
            (200, 300, "line"),
        ]


def test_pictures_that_arrive_in_a_window_are_there() -> None:
    played = Played(ON_DISK)
    played.journal.declare_windows([planned(50, 200)])
    played.passes(0, 300).until(300)
    assert whose(played, ON_DISK, 300) == [(0, 300, "span")]


def test_an_unusable_picture_is_planned_in_a_window() -> None:
    played = Played()
    played.journal.declare_windows([planned(100, 200)])
    played.passes(0, 300).until(50)
    played.journal.picture(us(50), False)
    played.until(250)
    played.journal.picture(us(250), True)
    assert whose(played, USABLE, 300)[1:] == [
        (50, 100, "camera"),
        (100, 200, "planned"),
        (200, 250, "camera"),
        (250, 300, "span"),
    ]


def test_a_window_that_is_declared_late_holds_for_what_is_not_settled() -> None:
    """The lines that are written stand; whoever judges them takes the windows of then."""
    played = Played().passes(0, 100).until(110)
    played.journal.failed(us(110), Cause.LINE, connecting=True)
    played.until(200)
    played.journal.declare_windows([planned(0, 1000)])
    assert played.journal.settled_us == us(140)
    played.until(400)
    assert whose(played, ARRIVING, 400)[1:] == [(100, 140, "line"), (140, 400, "planned")]


def test_a_window_that_is_withdrawn_leaves_the_cause_as_it_was() -> None:
    played = Played().passes(0, 100).until(110)
    played.journal.failed(us(110), Cause.LINE, connecting=True)
    played.journal.declare_windows([planned(90, 1000)])
    played.until(200)
    played.journal.declare_windows([])
    played.until(400)
    assert whose(played, ARRIVING, 400)[1:] == [(100, 140, "planned"), (140, 400, "line")]


def test_a_cause_changes_after_two_attempts_in_a_row_with_another() -> None:
    played = Played().passes(0, 100)
    for at, cause in [
        (110, Cause.LINE),
        (150, Cause.CAMERA),
        (200, Cause.LINE),
        (250, Cause.CAMERA),
        (300, Cause.CAMERA),
    ]:
        played.until(at)
        played.journal.failed(us(at), cause, connecting=True)
    played.until(500)
    found = whose(played, ARRIVING, 500)
    assert found[1:] == [(100, 250, "line"), (250, 500, "camera")]


def test_a_monitoring_system_that_is_gone_is_a_gap_of_its_relay_alone() -> None:
    played = Played(ON_DISK, NATIONAL)
    national = played.sinks[NATIONAL]
    played.passes(0, 100).until(100)
    national.failed(Cause.VMS)
    national.broken()
    played.passes(101, 300, played.arrivals, played.sinks[ON_DISK])
    played.passes(150, 300, national).until(300)
    assert whose(played, NATIONAL, 300) == [
        (0, 100, "span"),
        (100, 150, "vms"),
        (150, 300, "span"),
    ]
    assert whose(played, ARRIVING, 300) == whose(played, ON_DISK, 300) == [(0, 300, "span")]


def test_a_sink_that_is_late_after_the_cameras_gap_has_only_the_rest_of_it() -> None:
    played = Played(NATIONAL)
    national = played.sinks[NATIONAL]
    played.passes(0, 100).until(110)
    national.failed(Cause.VMS)
    played.passes(130, 300, played.arrivals)
    played.passes(150, 300, national).until(300)
    assert whose(played, NATIONAL, 300)[1:3] == [(100, 130, "camera"), (130, 150, "vms")]


def test_a_sink_that_failed_while_the_camera_was_away_is_not_blamed_for_that() -> None:
    played = Played(NATIONAL)
    national = played.sinks[NATIONAL]
    played.passes(0, 100).until(100)
    national.failed(Cause.VMS)
    played.passes(101, 120, played.arrivals).until(125)
    played.passes(160, 300).until(300)
    assert whose(played, NATIONAL, 300)[1:3] == [(100, 120, "vms"), (120, 160, "camera")]


def test_a_sink_without_notes_and_without_a_failure_is_our_gap() -> None:
    played = Played(ON_DISK)
    played.passes(0, 300, played.arrivals)
    played.passes(0, 100, played.sinks[ON_DISK]).until(300)
    assert whose(played, ON_DISK, 300)[1] == (100, 300, "us")


def test_a_relay_that_cannot_be_made_has_the_cause_of_that() -> None:
    played = Played(NATIONAL)
    played.journal.lacks(NATIONAL, Cause.VMS)
    played.passes(0, 300, played.arrivals).until(300)
    assert whose(played, NATIONAL, 300) == [(0, 300, "vms")]


def test_a_disk_that_lags_is_blamed_for_what_it_drops_later() -> None:
    played = Played(ON_DISK)
    disk = played.sinks[ON_DISK]
    played.passes(0, 95, disk)
    disk.failed(Cause.DISK)
    played.passes(96, 100, disk)
    disk.broken()
    played.passes(110, 300, disk).passes(0, 300, played.arrivals).until(300)
    assert whose(played, ON_DISK, 300)[1] == (100, 110, "disk")


def test_what_a_disk_takes_after_minutes_of_stalling_is_no_gap() -> None:
    played = Played(ON_DISK)
    disk = played.sinks[ON_DISK]
    played.passes(0, 500, played.arrivals).passes(0, 100, disk).until(110)
    disk.failed(Cause.DISK)
    played.until(400)
    assert played.periods(ON_DISK, played.journal.peek(us(400)))[1] == (100, 397, "disk")
    played.passes(101, 500, disk).until(500)
    assert whose(played, ON_DISK, 500) == [(0, 500, "span")]


def test_a_sink_that_lags_is_not_waited_for_for_ever() -> None:
    played = Played(ON_DISK)
    played.passes(0, 1000, played.arrivals)
    played.passes(0, 100, played.sinks[ON_DISK]).until(1000)
    assert played.periods(ON_DISK) == [(0, 100, "span")]
    assert played.journal.settled_us == us(1000 - 60)


def test_time_that_our_own_clock_or_loop_lost_is_ours() -> None:
    played = Played().passes(0, 100)
    played.arrivals.failed(Cause.SYSTEM)
    played.passes(3700, 3900).until(3900)
    assert whose(played, ARRIVING, 3900)[1] == (100, 3700, "us")


def test_a_trouble_of_ours_that_lost_nothing_is_not_remembered_against_us() -> None:
    played = Played().passes(0, 100)
    played.arrivals.failed(Cause.SYSTEM)
    played.passes(101, 200).passes(220, 300).until(300)
    assert whose(played, ARRIVING, 300)[1] == (200, 220, "camera")


def test_a_sink_that_is_built_anew_goes_on_where_the_former_ended() -> None:
    played = Played(NATIONAL).passes(0, 100).until(100)
    other = DeliveryLog()
    played.journal.follow(NATIONAL, other, us(100))
    played.passes(101, 300, played.arrivals).passes(103, 300, other).until(300)
    assert whose(played, NATIONAL, 300) == [(0, 100, "span"), (100, 103, "us"), (103, 300, "span")]


def test_nothing_of_the_last_minute_is_final_and_the_peek_ends_with_the_last_access_unit() -> None:
    played = Played(ON_DISK).passes(0, 100).until(101)
    assert played.told == []
    assert whose(played, ARRIVING, 101) == whose(played, ON_DISK, 101) == [(0, 100, "span")]
    assert whose(played, ARRIVING, 150) == [(0, 100, "span"), (100, 150, "camera")]


def test_a_stage_that_passes_nothing_is_down_up_to_what_may_be_under_way() -> None:
    played = Played(ON_DISK).passes(0, 100).until(200)
    journal = played.journal
    assert played.periods(ON_DISK, journal.peek(us(200))) == [(100, 197, "camera")]
    assert {end.at_us for end in journal.ends(us(200))} == {us(200) - LAG_US}
    assert {end.at_us for end in journal.ends(us(101))} == {us(140)}, "what is settled stands"


def test_the_picture_is_a_fact_of_its_own() -> None:
    played = Played().passes(0, 300)
    for at, healthy in [(10, True), (100, False), (200, True)]:
        played.journal.picture(us(at), healthy)
    played.until(300)
    assert whose(played, USABLE, 300) == [
        (0, 10, "unknown"),
        (10, 100, "span"),
        (100, 200, "camera"),
        (200, 300, "span"),
    ]


def test_key_frames_are_counted_where_they_passed() -> None:
    played = Played(ON_DISK)
    played.passes(30, 2 * HOUR, played.arrivals, key_every=10)
    played.passes(30, 90, played.sinks[ON_DISK]).until(1000).until(2 * HOUR)
    tallies = [one for one in played.told if isinstance(one, Tally)]
    assert {one.hour_us for one in tallies} == {BEGAN * SECOND}
    arrived = key_frames_by_minute(tallies, ARRIVING)
    assert arrived[us(0)] == 3
    assert {arrived[us(60 * n)] for n in range(1, 60)} == {6}
    on_disk = key_frames_by_minute(tallies, ON_DISK)
    assert (on_disk[us(0)], on_disk[us(60)], on_disk[us(120)]) == (30, 31, 0)


def test_a_minute_that_was_seen_in_part_has_no_key_frame_only_where_one_was_seen() -> None:
    late = CameraJournal(us(30), DeliveryLog(), ())
    (tally,) = [one for one in late.peek(us(150)) if isinstance(one, Tally)]
    assert tally.key_frames[:4] == (None, 0, None, None)


def test_a_clock_that_leaps_by_decades_costs_a_gap_of_ours_and_not_a_line_an_hour() -> None:
    played = Played(ON_DISK).passes(0, 100).until(100)
    played.arrivals.failed(Cause.SYSTEM)
    leap = 40 * 365 * 24 * HOUR
    played.passes(leap, leap + 300)
    told = played.journal.step(us(leap + 5)) + played.journal.step(us(leap + 300))
    assert len(told) < 20
    assert played.periods(ARRIVING, told) == [(0, 100, "span"), (100, leap, "us")]
    counted = key_frames_by_minute((one for one in told if isinstance(one, Tally)), ARRIVING)
    assert counted[us(0)] == 60, "what was counted before is told"


@given(st.integers(1, 11 * 60))
def test_a_clock_that_is_set_back_by_a_little_loses_nothing_that_goes_on(back: int) -> None:
    """What a worker that dies then would leave, and what is told once the clock has caught up."""
    played = Played(ON_DISK, NATIONAL).passes(0, 1000).until(1000)
    played.told += played.journal.step(us(1000 - back))
    left = played.told + played.journal.peek(us(1000 - back))
    for fact in (ARRIVING, ON_DISK, NATIONAL):
        ((start, end, state),) = played.periods(fact, left)
        assert (start, state) == (0, "span")
        assert end >= 940, "what was settled"
    played.passes(1000 - back, 2000).until(2000)
    for fact in (ARRIVING, ON_DISK, NATIONAL):
        assert whose(played, fact, 2000) == [(0, 2000, "span")]


# Not to the very microsecond at which what passed before began: that is the same stretch to it.
@given(st.integers(12 * 60, 10 * 365 * 24 * HOUR).filter(lambda back: back != 1000))
def test_a_clock_that_is_set_back_by_far_begins_the_journal_anew(back: int) -> None:
    played = Played(ON_DISK, NATIONAL).passes(0, 1000).until(1000)
    played.journal.picture(us(500), True)
    then = 1000 - back
    played.told += played.journal.step(us(then))
    for fact in (ARRIVING, ON_DISK, NATIONAL):
        assert played.periods(fact) == [(0, 1000, "span")]
    played.told.clear()
    played.passes(then, then + 100).passes(then + 130, then + 300)
    played.told += played.journal.step(us(then + 300))
    for fact in (ARRIVING, ON_DISK, NATIONAL):
        assert played.periods(fact) == [
            (then, then + 100, "span"),
            (then + 100, then + 130, "camera"),
        ]
    assert played.periods(USABLE, played.journal.peek(us(then + 300)))[0][0] == then
    assert played.journal.settled_us == us(then + 240)


stretch = st.tuples(st.floats(0, 500), st.floats(0, 60))
causes = st.sampled_from([Cause.CAMERA, Cause.LINE, Cause.SYSTEM])
notes = st.lists(st.tuples(st.floats(0, 600), causes, st.booleans()), max_size=12)


@given(st.lists(stretch, max_size=6), st.lists(stretch, max_size=6), notes)
def test_whatever_happens_every_fact_tiles_the_time_and_up_is_what_passed(
    arrived: list[tuple[float, float]],
    taken: list[tuple[float, float]],
    failures: list[tuple[float, Cause, bool]],
) -> None:
    played = Played(ON_DISK)
    happenings: list[Happening] = []
    for evidence, spans in ((played.arrivals, arrived), (played.sinks[ON_DISK], taken)):
        for start, length in spans:
            happenings += [
                (start + n, lambda at=start + n, one=evidence: one.seen(us(at)))  # type: ignore[misc]
                for n in range(int(length) + 1)
            ]
    for at, cause, connecting in failures:
        happenings.append(
            (
                at,
                lambda at=at, cause=cause, connecting=connecting: played.journal.failed(  # type: ignore[misc]
                    us(at), cause, connecting=connecting
                ),
            )
        )
    for at, happens in sorted(happenings, key=lambda one: one[0]):
        played.until(at)
        happens()
    played.until(700)
    entries = played.told + played.journal.peek(us(700), lag_us=0)
    for fact in (ARRIVING, ON_DISK):
        periods = [one for one in entries if isinstance(one, Period) and one.fact == fact]
        assert (periods[0].start_us, periods[-1].end_us) == (us(0), us(700))
        for before, after in pairwise(periods):
            assert before.end_us == after.start_us
            assert before.condition != after.condition
        for start, length in arrived if fact == ARRIVING else taken:
            for n in range(int(length)):
                at_us = us(start + n) + 1
                (holds,) = [p.condition for p in periods if p.start_us <= at_us < p.end_us]
                assert holds == UP


@given(st.lists(stretch, min_size=1, max_size=6))
def test_final_entries_are_the_same_as_those_made_at_the_end(
    arrived: list[tuple[float, float]],
) -> None:
    """Steps in between make no difference: neither do the moments at which they are made."""
    stepped, at_once = Played(ON_DISK), Played(ON_DISK)
    moments = sorted({start + n for start, length in arrived for n in range(int(length) + 1)})
    for at in moments:
        stepped.until(at)
        for played in (stepped, at_once):
            played.passes(at, at)
    stepped.until(1000)
    for fact in (ARRIVING, ON_DISK):
        told = stepped.told + stepped.journal.peek(us(1000))
        assert stepped.periods(fact, told) == at_once.periods(fact, at_once.journal.peek(us(1000)))
