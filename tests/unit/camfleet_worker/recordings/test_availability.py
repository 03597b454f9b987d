# SPDX-License-Identifier: Apache-2.0
"""Minutes of an interval are good, not good or unknown, for each stage by itself."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camfleet_api.cause import Cause
from camfleet_worker.journal.lines import Checkpoint, Entry
from camfleet_worker.journal.minutes import MINUTE_US, Shortfall, Verdict, judge
from camfleet_worker.journal.period import UP, Condition, Fact, Period, Stage, down
from camfleet_worker.journal.store import JournalStore
from camfleet_worker.journal.tally import HOUR_US, MINUTES, Tally
from camfleet_worker.journal.windows import Window
from camfleet_worker.recordings.__main__ import main
from camfleet_worker.recordings.availability import Availability, availabilities
from camfleet_worker.recordings.listing import Interval

ARRIVING, ON_DISK, USABLE = Fact(Stage.ARRIVING), Fact(Stage.ON_DISK), Fact(Stage.USABLE)
RELAYED = Fact(Stage.RELAYED, "national")
HOUR = Interval(0, HOUR_US)


def period(fact: Fact, condition: Condition, start: float, end: float) -> Period:
    """From one minute to another."""
    return Period(fact, condition, int(start * MINUTE_US), int(end * MINUTE_US))


def tally(fact: Fact, **missing: int | None) -> Tally:
    """A key frame a minute, but for those named."""
    counts: list[int | None] = [1] * MINUTES
    for name, count in missing.items():
        counts[int(name.lstrip("m"))] = count
    return Tally(fact, 0, tuple(counts))


def counted(entries: list[Entry], fact: Fact, wanted: Interval = HOUR) -> Availability:
    (found,) = [one for one in availabilities(entries, wanted) if one.fact == fact]
    return found


def numbers(one: Availability) -> tuple[int, int, int]:
    """Minutes that are good, not good and unknown; none is planned."""
    good, not_good, planned, unknown = (one.minutes.get(verdict, 0) for verdict in Verdict)
    assert planned == 0
    return good, not_good, unknown


def test_a_gap_takes_the_minutes_it_fills_and_names_their_cause() -> None:
    entries: list[Entry] = [
        period(RELAYED, UP, 0, 10.5),
        period(RELAYED, down(Cause.VMS), 10.5, 13.5),
        period(RELAYED, UP, 13.5, 60),
        tally(RELAYED, m11=0, m12=0),
    ]
    found = counted(entries, RELAYED)
    assert numbers(found) == (58, 2, 0)
    assert found.causes == {Cause.VMS: 2}
    assert found.shortfalls == {Shortfall.NO_KEY_FRAME: 2, Shortfall.NOT_TAKEN: 2}


def test_the_stages_are_counted_apart() -> None:
    entries: list[Entry] = [
        period(ARRIVING, UP, 0, 60),
        tally(ARRIVING),
        period(ON_DISK, down(Cause.DISK), 0, 60),
        tally(ON_DISK, **{f"m{n}": 0 for n in range(60)}),
    ]
    assert numbers(counted(entries, ARRIVING)) == (60, 0, 0)
    assert numbers(counted(entries, ON_DISK)) == (0, 60, 0)
    assert [one.fact for one in availabilities(entries, HOUR)] == [ARRIVING, ON_DISK]


def test_a_minute_in_which_the_picture_could_not_be_used_is_not_good() -> None:
    entries: list[Entry] = [
        period(ARRIVING, UP, 0, 60),
        tally(ARRIVING),
        period(USABLE, UP, 0, 30.5),
        period(USABLE, down(Cause.CAMERA), 30.5, 40),
    ]
    found = counted(entries, ARRIVING)
    assert numbers(found) == (50, 10, 0)
    assert found.shortfalls == {Shortfall.PICTURE_UNHEALTHY: 10}


def test_unwatched_time_is_unknown_and_parts_of_minutes_do_not_count() -> None:
    entries: list[Entry] = [period(ARRIVING, UP, 10, 20), tally(ARRIVING, m15=None)]
    wanted = Interval(int(5.5 * MINUTE_US), int(25.5 * MINUTE_US))
    found = counted(entries, ARRIVING, wanted)
    assert numbers(found) == (9, 0, 10)


periods = st.builds(
    lambda fact, condition, start, length: Period(fact, condition, start, start + length),
    st.sampled_from([ARRIVING, ON_DISK, USABLE]),
    st.sampled_from([UP, *(down(cause) for cause in Cause)]),
    st.integers(0, HOUR_US),
    st.integers(1, HOUR_US),
)


@given(st.lists(periods), st.integers(0, HOUR_US), st.integers(0, HOUR_US))
def test_every_whole_minute_is_counted_once(
    entries: list[Period], start_us: int, length_us: int
) -> None:
    wanted = Interval(start_us, start_us + length_us)
    whole = max(0, wanted.end_us // MINUTE_US - -(-start_us // MINUTE_US))
    for one in availabilities(entries, wanted):
        assert sum(one.minutes.values()) == whole


@given(st.lists(periods), st.dictionaries(st.integers(0, 59), st.integers(0, 2)))
def test_the_minutes_are_those_that_are_judged_one_by_one(
    entries: list[Period], key_frames: dict[int, int]
) -> None:
    """Also before and after all that is known."""
    wanted = Interval(0, 3 * HOUR_US)
    counts = tuple(key_frames.get(n) for n in range(MINUTES))
    for one in availabilities([*entries, Tally(ON_DISK, 0, counts)], wanted):
        of_it = [period for period in entries if period.fact == one.fact]
        by_hand = Counter(
            judge(
                start_us,
                of_it,
                key_frames.get(start_us // MINUTE_US) if one.fact == ON_DISK else None,
                [period for period in entries if period.fact == USABLE],
            ).verdict
            for start_us in range(0, wanted.end_us, MINUTE_US)
        )
        assert +Counter(one.minutes) == by_hand


def test_millennia_of_which_nothing_is_known_cost_no_time() -> None:
    wanted = Interval(0, 10**17 // MINUTE_US * MINUTE_US)
    entries: list[Entry] = [period(ARRIVING, UP, 0, 60), tally(ARRIVING)]
    assert numbers(counted(entries, ARRIVING, wanted)) == (60, 0, wanted.end_us // MINUTE_US - 60)


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    """Of one camera the journal goes on in its checkpoint."""
    store = JournalStore(tmp_path / "phu-yen" / "gate.0a1b2c3d")
    store.append(period(RELAYED, UP, 0, 30), tally(RELAYED, m31=0, m32=0))
    going_on = (period(RELAYED, down(Cause.VMS), 30, 33), period(RELAYED, UP, 33, 60))
    store.keep(Checkpoint(going_on, Cause.SYSTEM))
    JournalStore(tmp_path / "phu-yen" / "yard.11111111").append(period(ARRIVING, UP, 0, 60))
    return tmp_path


def asked(volume: Path, *more: str) -> int:
    until = ["--from", "1970-01-01T00:00:00Z", "--to", "1970-01-01T01:00:00Z"]
    return main(["availability", "--volume", str(volume), *until, *more])


def test_the_command_counts_each_camera_for_people_and_for_programs(
    volume: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert asked(volume) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines[1:]] == [
        ["phu-yen/gate.0a1b2c3d", "relayed", "national", "57", "3", "0", "0", "vms", "3"],
        ["phu-yen/yard.11111111", "arriving", "0", "0", "0", "60"],
    ]
    assert asked(volume, "phu-yen/gate", "--json") == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["camera"], row["stage"], row["system"]) == (
        "phu-yen/gate.0a1b2c3d",
        "relayed",
        "national",
    )
    assert row["minutes"] == {"good": 57, "notGood": 3, "planned": 0, "unknown": 0}
    assert row["notGoodByCause"] == {"vms": 3}


def test_a_window_that_was_declared_afterwards_is_shown_with_its_author(
    volume: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    window = Window(31 * MINUTE_US, 32 * MINUTE_US, "noc", "mast moved")
    JournalStore(volume / "phu-yen" / "gate.0a1b2c3d").declare_windows([window])
    assert asked(volume, "phu-yen/gate") == 0
    _, counts, planned = capsys.readouterr().out.splitlines()
    assert counts.split()[3:] == ["57", "2", "1", "0", "vms", "2"]
    span = "1970-01-01T00:31:00.000Z to 1970-01-01T00:32:00.000Z"
    assert planned == f"planned: {span}, noc: mast moved"
    assert asked(volume, "phu-yen/gate", "--json") == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["windows"] == [
        {
            "startUs": window.start_us,
            "endUs": window.end_us,
            "author": "noc",
            "reason": "mast moved",
        }
    ]


def test_a_camera_without_journal_is_named(
    volume: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert asked(volume, "phu-yen/lobby") == 1
    assert capsys.readouterr().err.startswith("No journal of phu-yen/lobby lies on ")
