# SPDX-License-Identifier: Apache-2.0
"""Names of segments say what is missing, the journal says why."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camfleet_api.cause import Cause
from camfleet_worker.journal.period import UP, Fact, Period, Stage, down
from camfleet_worker.journal.store import JournalStore
from camfleet_worker.record.layout import ObjectKey
from camfleet_worker.recordings.__main__ import main
from camfleet_worker.recordings.gap_causes import GapPart, gap_parts
from camfleet_worker.recordings.listing import Interval

SECOND = 1_000_000
ON_DISK = Fact(Stage.ON_DISK)
PREFIX = "phu-yen/gate.0a1b2c3d"
periods = st.builds(
    lambda fact, condition, start, length: Period(fact, condition, start, start + length),
    st.sampled_from([ON_DISK, Fact(Stage.ARRIVING)]),
    st.sampled_from([UP, down(Cause.CAMERA), down(Cause.DISK)]),
    st.integers(0, 300),
    st.integers(1, 100),
)


@given(st.lists(periods))
def test_the_parts_of_a_gap_tile_it(journal: list[Period]) -> None:
    parts = gap_parts(Interval(100, 200), journal)
    assert (parts[0].covers.start_us, parts[-1].covers.end_us) == (100, 200)
    assert all(before.covers.end_us == after.covers.start_us for before, after in pairwise(parts))


def test_only_entries_of_the_disk_give_a_cause() -> None:
    journal = [
        Period(Fact(Stage.ARRIVING), down(Cause.LINE), 0, 300),
        Period(ON_DISK, UP, 100, 120),
        Period(ON_DISK, down(Cause.DISK), 150, 300),
    ]
    assert gap_parts(Interval(100, 200), journal) == [
        GapPart(Interval(100, 150), None),
        GapPart(Interval(150, 200), Cause.DISK),
    ]


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    """Recorded from second 0 to 10 and from 20 to 30; until 15 the camera was off."""
    for start, end in ((0, 10), (20, 30)):
        for key in (
            ObjectKey(PREFIX, start * SECOND, 0),
            ObjectKey(PREFIX, end * SECOND, 1, end=True),
        ):
            path = tmp_path / str(key)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    return tmp_path


def listed(volume: Path, *more: str) -> int:
    until = "1970-01-01T00:00:30Z"
    return main(["list", "phu-yen/gate", "--volume", str(volume), "--to", until, *more])


def test_the_list_names_the_causes_that_the_journal_knows(
    volume: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gap = Period(ON_DISK, down(Cause.CAMERA), 10 * SECOND, 15 * SECOND)
    JournalStore(volume / PREFIX).append(gap)
    assert listed(volume, "--json") == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(row["kind"], row["from"][17:19], row.get("cause")) for row in rows] == [
        ("recorded", "00", None),
        ("gap", "10", "camera"),
        ("gap", "15", None),
        ("recorded", "20", None),
    ]
    assert listed(volume) == 0
    assert capsys.readouterr().out.splitlines()[1].endswith("5.0 s  gap  camera")


def test_the_list_begins_with_the_first_recording_and_not_before_the_camera(
    volume: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (volume / PREFIX / "1970-01-01").rename(volume / PREFIX / "1970-01-01.aside")
    for at_us in (3600 * SECOND, 3610 * SECOND):
        key = ObjectKey(PREFIX, at_us, int(at_us > 3600 * SECOND), end=at_us > 3600 * SECOND)
        path = volume / str(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    until = ["--volume", str(volume), "--to", "1970-01-01T01:00:20Z", "--json"]
    assert main(["list", "phu-yen/gate", *until]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(row["kind"], row["from"][11:19]) for row in rows] == [
        ("recorded", "01:00:00"),
        ("gap", "01:00:10"),
    ]
    assert main(["list", "phu-yen/gate", *until, "--from", "1970-01-01T00:59:00Z"]) == 0
    assert json.loads(capsys.readouterr().out)[0] == {
        "kind": "gap",
        "from": "1970-01-01T00:59:00.000Z",
        "to": "1970-01-01T01:00:00.000Z",
    }, "whoever names a beginning is told what is missing from there"


def test_a_camera_that_should_have_been_recorded_has_a_gap_before_its_first_recording(
    volume: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (volume / PREFIX / "1970-01-01").rename(volume / PREFIX / "1970-01-01.aside")
    JournalStore(volume / PREFIX).append(Period(ON_DISK, down(Cause.DISK), SECOND, 5 * SECOND))
    (volume / PREFIX / "1970-01-02").mkdir()
    assert listed(volume, "--json") == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(row["kind"], row["from"][17:19], row.get("cause")) for row in rows] == [
        ("gap", "01", "disk"),
        ("gap", "05", None),
    ]


def test_a_list_that_ends_before_the_first_recording_is_an_error_with_its_time(
    volume: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (volume / PREFIX / "1970-01-01").rename(volume / PREFIX / "1970-01-02")
    assert listed(volume) == 1
    words = f"Nothing of phu-yen/gate lies on {volume} from before 1970-01-01T00:00:30.000Z.\n"
    assert capsys.readouterr().err == words


def test_a_volume_without_recordings_lists_none_and_an_unreadable_one_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["list", "--volume", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []
    assert main(["list", "--volume", str(tmp_path)]) == 0
    assert capsys.readouterr().out.strip() == ""
    assert main(["list", "phu-yen/gate", "--volume", str(tmp_path)]) == 1
    assert "There is nothing at all." in capsys.readouterr().err
    for command in (["list"], ["list", "phu-yen/gate"], ["availability"]):
        assert main([*command, "--volume", str(tmp_path / "absent")]) == 1, command
        assert "absent" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["list", "phu-yen/gate"], ["availability"]])
def test_an_interval_that_ends_before_it_begins_is_refused(
    volume: Path, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    times = ["--from", "1970-01-01T00:00:30Z", "--to", "1970-01-01T00:00:10Z"]
    with pytest.raises(SystemExit) as ended:
        main([*command, "--volume", str(volume), *times])
    assert ended.value.code == 2
    assert "is not before --to" in capsys.readouterr().err


def test_without_a_journal_a_gap_is_reported_whole(
    volume: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert listed(volume) == 0
    assert capsys.readouterr().out.splitlines()[1].endswith("10.0 s  gap")
