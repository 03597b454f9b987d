# SPDX-License-Identifier: Apache-2.0
"""A journal on disk: what was appended is read, also behind a torn line and after retention."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camfleet_api.cause import Cause
from camfleet_worker.journal.lines import Checkpoint, End, Entry, entry_of, line_of
from camfleet_worker.journal.period import UNKNOWN, UP, Condition, Fact, Period, Stage, down
from camfleet_worker.journal.store import FOLDER, JournalStore
from camfleet_worker.journal.tally import HOUR_US, Tally
from camfleet_worker.record.declarations import declare_retention
from camfleet_worker.record.layout import ObjectKey
from camfleet_worker.record.retention import delete_expired, delete_oldest

DAY_US = 86_400_000_000
facts = st.one_of(
    st.builds(Fact, st.sampled_from([Stage.ARRIVING, Stage.ON_DISK])),
    st.builds(Fact, st.just(Stage.RELAYED), st.text("abc-", min_size=1, max_size=20)),
)
conditions = st.sampled_from([UP, UNKNOWN, *(down(cause) for cause in Cause)])


@st.composite
def periods(draw: st.DrawFn) -> Period:
    start_us = draw(st.integers(0, 20_000 * DAY_US))
    length_us = draw(st.integers(1, 3 * DAY_US))
    return Period(draw(facts), draw(conditions), start_us, start_us + length_us)


def gap(start_us: int, end_us: int, cause: Cause = Cause.CAMERA) -> Period:
    return Period(Fact(Stage.ON_DISK), down(cause), start_us, end_us)


@st.composite
def tallies(draw: st.DrawFn) -> Tally:
    counts = st.one_of(st.none(), st.integers(0, 2_000))
    hour_us = draw(st.integers(0, 480_000)) * HOUR_US
    return Tally(draw(facts), hour_us, tuple(draw(st.lists(counts, min_size=60, max_size=60))))


entries = st.lists(st.one_of(periods(), tallies()), max_size=5, unique=True)


@given(entries, st.sampled_from(Cause))
def test_a_checkpoint_and_lines_are_read_as_they_were_written(
    written: list[Entry], then: Cause
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = JournalStore(Path(folder))
        ends = tuple(End(entry.fact, 7) for entry in written)
        checkpoint = Checkpoint(tuple(written), then, ends, told=then is Cause.PLANNED)
        store.keep(checkpoint)
        assert store.checkpoint() == checkpoint
        assert store.entries() == []
        store.append(*written)
        assert set(store.entries()) == set(store.known()) == set(written)
        assert len(store.known()) == len(written)


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b'{"v":1}', b'{"v":2,"entries":[]}', b"\xff"])
def test_a_checkpoint_that_cannot_be_read_is_none(tmp_path: Path, text: bytes) -> None:
    store = JournalStore(tmp_path)
    store.keep(Checkpoint((), Cause.SYSTEM))
    (tmp_path / FOLDER / "open.json").write_bytes(text)
    assert store.checkpoint() is None


@pytest.mark.parametrize("counts", [b"[]", b"[-1]", b'["1"]', b"7", b"null"])
def test_an_hour_that_is_none_is_read_over(counts: bytes) -> None:
    line = line_of(Tally(Fact(Stage.ON_DISK), 0, (1,) * 60))
    assert entry_of(line.replace(b"[" + b",".join([b"1"] * 60) + b"]", counts)) is None


@given(st.lists(periods(), max_size=5, unique=True))
def test_appended_entries_are_read_once_and_unchanged(written: list[Period]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = JournalStore(Path(folder))
        for period in [*written, *written]:
            store.append(period)
        assert len(store.read()) == len(written)
        assert set(store.read()) == set(written)


@given(periods(), st.data())
def test_half_a_line_is_no_period(period: Period, data: st.DataObject) -> None:
    line = line_of(period)
    assert entry_of(line) == period
    assert entry_of(line[: data.draw(st.integers(0, len(line) - 2))]) is None


@pytest.mark.parametrize(
    "line", [b"[]", b"null", b'{"v":2}', b'{"v":1}', b"[" * 9999, b"\xff", b""]
)
def test_lines_of_another_version_are_skipped(line: bytes) -> None:
    assert entry_of(line) is None


@pytest.mark.parametrize("value", [b"Infinity", b"1.5", b'"1"', b"true"])
def test_a_time_that_is_no_whole_number_is_read_over(value: bytes) -> None:
    assert entry_of(line_of(gap(0, 7)).replace(b'"endUs":7', b'"endUs":' + value)) is None


def test_a_torn_last_line_costs_itself_and_not_the_next(tmp_path: Path) -> None:
    store = JournalStore(tmp_path)
    store.append(gap(1, 2))
    (file,) = (tmp_path / FOLDER).iterdir()
    with file.open("ab") as torn:
        torn.write(line_of(gap(2, 3))[:20])
    store.append(gap(3, 4))
    assert store.read() == [gap(1, 2), gap(3, 4)]


def test_acknowledging_lets_go_of_whole_days_and_keeps_what_ended_later(tmp_path: Path) -> None:
    store = JournalStore(tmp_path)
    across = gap(DAY_US - 5, DAY_US + 5)
    for period in (gap(0, 10), across, gap(3 * DAY_US, 3 * DAY_US + 1)):
        store.append(period)
    store.acknowledge(DAY_US + 10)
    assert store.read()[0] == across
    store.acknowledge(2 * DAY_US)
    assert store.read() == [gap(3 * DAY_US, 3 * DAY_US + 1)]


def test_the_oldest_days_give_way_to_the_bound_and_are_counted(tmp_path: Path) -> None:
    store = JournalStore(tmp_path, max_bytes=400)
    for day in range(10):
        store.append(gap(day * DAY_US, day * DAY_US + 1))
    kept = store.read()
    assert kept[-1] == gap(9 * DAY_US, 9 * DAY_US + 1)
    assert len(kept) < 10
    assert store.lost_bytes > 0
    assert sum(file.stat().st_size for file in (tmp_path / FOLDER).iterdir()) <= 400


def expire(root: Path) -> int:
    return delete_expired(root, 40 * DAY_US)


def make_room(root: Path) -> int:
    return delete_oldest(root, 1 << 30)


@pytest.mark.parametrize("delete", [expire, make_room])
def test_a_journal_outlives_the_recordings_that_it_describes(
    tmp_path: Path, delete: Callable[[Path], int]
) -> None:
    camera = tmp_path / "phu-yen" / "gate.0a1b2c3d"
    declare_retention(camera, 30)
    segment = tmp_path / str(ObjectKey("phu-yen/gate.0a1b2c3d", 5, 0))
    segment.parent.mkdir(parents=True)
    segment.write_bytes(b"recorded")
    store = JournalStore(camera)
    store.append(gap(1, 5))
    store.keep(Checkpoint((gap(5, 7),), Cause.SYSTEM))
    assert delete(tmp_path) == len(b"recorded")
    assert not segment.parent.parent.exists()
    assert store.known() == [gap(1, 5), gap(5, 7)]


def test_a_period_of_no_length_and_a_gap_without_cause_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="ends after"):
        gap(5, 5)
    with pytest.raises(ValueError, match="has a cause"):
        Condition(down(Cause.SYSTEM).state)
