# SPDX-License-Identifier: Apache-2.0
"""Names of segments say what is missing, the journal says why."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camfleet_worker.journal.period import UP, Fact, Period, Stage, down
from camfleet_worker.journal.store import JournalStore
from camfleet_worker.media_types.causes import Cause
from camfleet_worker.record.layout import ObjectKey
from camfleet_worker.recordings.__main__ import main
from camfleet_worker.recordings.gap_causes import ToldGap, told
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
    parts = told(Interval(100, 200), journal)
    assert (parts[0].covers.start_us, parts[-1].covers.end_us) == (100, 200)
    assert all(before.covers.end_us == after.covers.start_us for before, after in pairwise(parts))


def test_only_what_the_journal_tells_of_the_disk_is_a_cause() -> None:
    journal = [
        Period(Fact(Stage.ARRIVING), down(Cause.LINE), 0, 300),
        Period(ON_DISK, UP, 100, 120),
        Period(ON_DISK, down(Cause.DISK), 150, 300),
    ]
    assert told(Interval(100, 200), journal) == [
        ToldGap(Interval(100, 150), None),
        ToldGap(Interval(150, 200), Cause.DISK),
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


def test_without_a_journal_a_gap_is_told_whole(
    volume: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert listed(volume) == 0
    assert capsys.readouterr().out.splitlines()[1].endswith("10.0 s  gap")
