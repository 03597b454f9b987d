# SPDX-License-Identifier: Apache-2.0
"""The journals of a worker: what is finished reaches the disk; what no disk takes is counted."""

from __future__ import annotations

import errno
import json
import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from camfleet_api.camera import Scheme, VideoSource
from camfleet_api.cause import Cause
from camfleet_api.conditions import ConditionType, Reason
from camfleet_api.ingest_shard import Policy, Relay, ShardCamera
from camfleet_api.monitoring_system import RelayProtocol
from camfleet_api.policy import StreamRole, VideoCodec
from camfleet_api.site import MaintenanceWindow
from camfleet_api.technical_profile import RecordingPolicy, VideoLimits
from camfleet_worker.base.errors import IngestError
from camfleet_worker.camera.assignment import Assignment
from camfleet_worker.camera.sink_set import SinkSet
from camfleet_worker.endpoints.journal_pages import AnswerSize, journals_json
from camfleet_worker.journal.keeper import IN_MEMORY_BYTES, JournalPlaces, Journals, KeptJournal
from camfleet_worker.journal.lines import entry_of
from camfleet_worker.journal.period import ARRIVING, ON_DISK, UP, Fact, Period, Stage
from camfleet_worker.journal.store import JournalStore
from camfleet_worker.journal.windows import Window
from camfleet_worker.media_types.delivery_log import DeliveryLog

SECOND = 1_000_000
BEGAN = 1_700_000_000
RELAYED = Fact(Stage.RELAYED, "national")
PREFIX = "phu-yen/gate.0a1b2c3d"
NOTHING_MADE = SinkSet(
    (),
    (
        IngestError(ConditionType.RELAYING, Reason.VMS_CREDENTIALS_MISSING, "No Secret"),
        IngestError(ConditionType.RECORDING, Reason.NAME_NOT_RESOLVED, "Nowhere to record to"),
    ),
)
"""These tests are about what arrives: the sinks are a gap of ours all the time."""
Rows = list[tuple[float, float, str]]


def window(start_s: float, end_s: float) -> MaintenanceWindow:
    """Seconds after the beginning."""
    from_, until = (datetime.fromtimestamp(BEGAN + at_s, UTC) for at_s in (start_s, end_s))
    return MaintenanceWindow(from_=from_, until=until, author="noc", reason="mast moved")


def assignment(recording: bool = True, windows: Sequence[MaintenanceWindow] = ()) -> Assignment:
    camera = ShardCamera(
        name="gate",
        uid="0a1b2c3d-0000",
        generation=1,
        site="hospital",
        host="192.0.2.1",
        onvif_port=80,
        rtsp_port=554,
        scheme=Scheme.HTTP,
        onvif_path="/onvif/device_service",
        source=VideoSource(channel=1),
        policy=0,
    )
    relay = Relay(
        name="national",
        protocol=RelayProtocol.RTSP,
        url_template="rtsp://vms/{camera}",
        codecs=[VideoCodec.H264],
    )
    policy = Policy(
        video=VideoLimits(),
        stream=StreamRole.MAIN,
        recording=RecordingPolicy(enabled=recording),
        relays=[relay],
        site_maintenance_windows=list(windows),
    )
    return Assignment(camera, policy)


class Worker:
    """Journals whose clock is turned by hand and whose writer works at once, or not at all."""

    def __init__(self, folder: Path, at_s: float = 0.0) -> None:
        self.folder = folder
        self.now_s = at_s
        self.stalled: list[Callable[[], None]] | None = None
        self.lying: list[tuple[int, int]] = []
        self.arrivals = DeliveryLog()
        self.journals = Journals(
            "phu-yen",
            JournalPlaces(folder / "recordings", folder / "memory"),
            self._submit,
            lambda folder, start_us, end_us: self.lying,
            wall=lambda: BEGAN + self.now_s,
            monotonic=lambda: self.now_s,
        )

    def _submit(self, job: Callable[[], None]) -> None:
        if self.stalled is None:
            job()
        else:
            self.stalled.append(job)

    def works_off(self) -> None:
        """The writer's thread goes on after a stall."""
        late, self.stalled = self.stalled or [], None
        for job in late:
            job()

    def open(
        self, recording: bool = True, windows: Sequence[MaintenanceWindow] = ()
    ) -> KeptJournal:
        journal = self.journals.open(assignment(recording, windows), self.arrivals)
        assert isinstance(journal, KeptJournal)
        journal.follow(NOTHING_MADE)
        return journal

    def passes(self, end_s: float) -> None:
        """Pictures arrive until then; the journals are stepped as the fleet does it."""
        while self.now_s < end_s:
            self.now_s += 0.5
            self.arrivals.seen(us(self.now_s))
            self.journals.step()

    def rests(self, end_s: float) -> None:
        while self.now_s < end_s:
            self.now_s += 0.5
            self.journals.step()


def us(seconds: float) -> int:
    return int((BEGAN + seconds) * SECOND)


def rows(periods: list[Period], fact: Fact = ARRIVING) -> Rows:
    return [
        (
            one.start_us / SECOND - BEGAN,
            one.end_us / SECOND - BEGAN,
            str(one.condition.cause or one.condition.state),
        )
        for one in periods
        if one.fact == fact
    ]


def beside(folder: Path) -> JournalStore:
    return JournalStore(folder / "recordings" / PREFIX)


def test_a_finished_period_is_on_the_disk_a_minute_later(tmp_path: Path) -> None:
    worker = Worker(tmp_path)
    worker.open()
    worker.passes(100)
    worker.rests(130)
    worker.passes(200)
    assert rows(beside(tmp_path).read()) == [
        (0, 0.5, "us"),
        (0.5, 100, "span"),
        (100, 130.5, "camera"),
    ]
    assert worker.journals.counters.lines == len(beside(tmp_path).entries())


def test_the_next_worker_writes_what_a_killed_one_saw_and_the_hole_is_ours(
    tmp_path: Path,
) -> None:
    worker = Worker(tmp_path)
    worker.open()
    worker.passes(100)  # and is killed; the last checkpoint is at most half a minute old
    next_one = Worker(tmp_path, at_s=150)
    next_one.lying = [(us(0.5), us(99))]
    next_one.open()
    assert rows(beside(tmp_path).read()) == [
        (0, 0.5, "us"),
        (0.5, 99, "span"),
        (99, 150, "us"),
    ]
    (relayed,) = rows(beside(tmp_path).read(), RELAYED)
    assert relayed == (0, 150, "us")


def test_a_window_declared_while_a_camera_runs_is_applied_and_kept_with_its_author(
    tmp_path: Path,
) -> None:
    worker = Worker(tmp_path)
    journal = worker.open()
    worker.passes(100)
    journal.renew(assignment(windows=[window(110, 120)]))
    worker.rests(130)
    worker.passes(200)
    store = beside(tmp_path)
    assert rows(store.read())[2:] == [
        (100, 110, "camera"),
        (110, 120, "planned"),
        (120, 130.5, "camera"),
    ]
    assert store.windows() == (Window(us(110), us(120), "noc", "mast moved"),)
    journal.renew(assignment())
    worker.rests(210)
    assert store.windows() == ()


def test_a_hole_within_a_window_is_planned_and_lines_do_not_contradict_the_checkpoint(
    tmp_path: Path,
) -> None:
    Worker(tmp_path).open()  # and is killed
    Worker(tmp_path, at_s=150).open(windows=[window(50, 100)])
    store = beside(tmp_path)
    told = [(0, 50, "us"), (50, 100, "planned"), (100, 150, "us")]
    assert rows(store.read()) == told
    assert rows([one for one in store.known() if isinstance(one, Period)]) == told


def test_without_windows_there_is_no_file_of_them(tmp_path: Path) -> None:
    worker = Worker(tmp_path)
    worker.open()
    worker.passes(100)
    assert not (tmp_path / "recordings" / PREFIX / "journal" / "windows.json").exists()


def test_a_worker_that_dies_twice_has_its_entries_written_once(tmp_path: Path) -> None:
    Worker(tmp_path).open()
    for at in (100, 200, 300):
        again = Worker(tmp_path, at_s=at)
        again.open()
        again.rests(at + 10)
    told = rows(beside(tmp_path).read())
    assert {cause for _, _, cause in told} == {"us"}
    assert [start for start, _, _ in told[1:]] == [end for _, end, _ in told[:-1]]


def test_a_disk_that_cannot_be_read_at_the_start_loses_nothing_of_what_was_left(
    tmp_path: Path,
) -> None:
    worker = Worker(tmp_path)
    worker.open()
    worker.passes(100)
    next_one = Worker(tmp_path, at_s=150)
    root = tmp_path / "recordings"
    root.rename(tmp_path / "away")
    root.write_text("no folder")
    next_one.open()
    next_one.rests(200)
    root.unlink()
    (tmp_path / "away").rename(root)
    next_one.rests(250)
    told = rows(beside(tmp_path).read())
    checkpoint_s = told[1][1]
    assert 70 <= checkpoint_s <= 100
    assert told[1:3] == [(0.5, checkpoint_s, "span"), (checkpoint_s, 150, "us")]


def test_without_a_checkpoint_entries_come_from_lines_and_recordings(
    tmp_path: Path,
) -> None:
    worker = Worker(tmp_path)
    worker.open()
    worker.passes(100)
    worker.rests(130)
    worker.passes(300)
    (tmp_path / "recordings" / PREFIX / "journal" / "open.json").write_bytes(b"")
    next_one = Worker(tmp_path, at_s=400)
    next_one.lying = [(us(130.5), us(299))]
    next_one.open()
    store = beside(tmp_path)
    assert rows(store.read())[-2:] == [(130.5, 299, "span"), (299, 400, "us")]
    assert rows(store.read(), RELAYED)[-1][1] <= 131, "nobody knows what was relayed since"


def test_an_orderly_end_is_planned_until_the_next_begins(tmp_path: Path) -> None:
    worker = Worker(tmp_path)
    journal = worker.open()
    worker.passes(100)
    worker.journals.close([journal])
    assert rows(beside(tmp_path).read()) == [(0, 0.5, "us"), (0.5, 100, "span")]
    worker = Worker(tmp_path, at_s=5000)
    worker.open()
    for fact in (ARRIVING, ON_DISK, RELAYED):
        assert rows(beside(tmp_path).read(), fact)[-1] == (100, 5000, "planned")


def test_an_end_that_the_disk_has_no_time_for_is_planned_all_the_same(tmp_path: Path) -> None:
    worker = Worker(tmp_path)
    journals = [worker.open()]
    worker.passes(100)
    worker.stalled = []
    worker.journals.close(journals)
    worker.stalled[0]()  # the checkpoint; the lines, which take long, never come
    worker = Worker(tmp_path, at_s=5000)
    worker.open()
    assert rows(beside(tmp_path).read()) == [
        (0, 0.5, "us"),
        (0.5, 100, "span"),
        (100, 5000, "planned"),
    ]


def test_a_disk_that_takes_nothing_costs_no_line_and_no_other_thing(tmp_path: Path) -> None:
    worker = Worker(tmp_path)
    root = tmp_path / "recordings"
    root.write_text("no folder")
    kept = worker.open()
    worker.passes(100)
    worker.rests(130)
    worker.passes(250)
    assert worker.journals.counters.write_failures > 0
    assert rows([one for one in kept.now() if isinstance(one, Period)])[1:3] == [
        (0.5, 100, "span"),
        (100, 130.5, "camera"),
    ]
    root.unlink()
    worker.passes(300)
    assert rows(beside(tmp_path).read())[1:] == [(0.5, 100, "span"), (100, 130.5, "camera")]
    assert worker.journals.counters.dropped_lines == 0


def test_entries_beyond_the_memory_for_a_stalled_disk_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("camfleet_worker.journal.keeper._WAITING_ENTRIES", 20)
    worker = Worker(tmp_path)
    (tmp_path / "recordings").write_text("no folder")
    worker.open()
    for number in range(20):
        worker.passes(number * 12.0 + 1)
        worker.rests(number * 12.0 + 12)
    assert worker.journals.counters.dropped_lines > 0
    assert worker.journals.counters.lines == 0


def test_a_disk_that_does_not_answer_is_given_one_job_a_camera(tmp_path: Path) -> None:
    worker = Worker(tmp_path)
    worker.open()
    worker.stalled = []
    worker.passes(600)
    assert len(worker.stalled) == 1
    waiting, worker.stalled = worker.stalled, None
    waiting[0]()
    worker.passes(640)
    assert beside(tmp_path).checkpoint() is not None


def test_a_camera_that_is_not_recorded_has_its_journal_in_memory(tmp_path: Path) -> None:
    worker = Worker(tmp_path)
    journal = worker.open(recording=False)
    worker.passes(100)
    worker.journals.close([journal])
    assert not (tmp_path / "recordings").exists()
    store = JournalStore(tmp_path / "memory" / PREFIX)
    assert rows(store.read()) == [(0, 0.5, "us"), (0.5, 100, "span")]
    assert rows(store.read(), ON_DISK) == []


def test_in_memory_the_oldest_days_are_given_up_and_counted(tmp_path: Path) -> None:
    worker = Worker(tmp_path)
    worker.open(recording=False)
    for day in range(4):
        for number in range(150):
            worker.now_s = max(worker.now_s, day * 86_400.0 + number * 60)
            worker.passes(worker.now_s + 3)
            worker.rests(worker.now_s + 20)
    lies = sum(path.stat().st_size for path in (tmp_path / "memory").rglob("*.jsonl"))
    assert lies <= IN_MEMORY_BYTES
    assert worker.journals.counters.lost_bytes > 0


def test_many_cameras_are_stepped_a_few_at_a_time(tmp_path: Path) -> None:
    worker = Worker(tmp_path)
    journals = [worker.open() for _ in range(40)]
    worker.stalled = []
    worker.now_s = 100.0
    worker.journals.step()
    assert 0 < len(worker.stalled) <= 10
    worker.rests(105)
    assert all(journal.step_at > 100 for journal in journals)


def test_a_bug_in_stepping_costs_one_journal_and_nothing_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    worker = Worker(tmp_path)
    broken, whole = worker.open(), worker.open()

    def bug() -> None:
        raise ZeroDivisionError

    broken.step = bug  # type: ignore[method-assign]
    worker.rests(10)
    assert worker.journals.counters.bugs == 1
    assert worker.journals.kept == [whole]
    assert "bug in a journal" in caplog.text


def test_journals_of_cameras_that_left_give_way_where_memory_is_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("camfleet_worker.journal.keeper.ALL_IN_MEMORY_BYTES", 0)
    left = JournalStore(tmp_path / "memory" / "phu-yen" / "left.22222222")
    left.append(Period(ARRIVING, UP, 1, 2))
    size = sum(path.stat().st_size for path in left.camera.rglob("*.jsonl"))
    worker = Worker(tmp_path)
    worker.open(recording=False)
    worker.passes(100)
    worker.open(recording=False)
    assert not left.camera.exists()
    assert worker.journals.counters.lost_bytes == size
    assert JournalStore(tmp_path / "memory" / PREFIX).known()


def test_a_bug_ends_no_thread(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    worker = Worker(tmp_path)
    journal = worker.open()

    def bug(then: object, at_us: int) -> None:
        raise ZeroDivisionError

    journal.end = bug  # type: ignore[method-assign]
    worker.journals.close([journal])
    assert worker.journals.counters.bugs == 1
    assert "bug in a journal" in caplog.text


class Relayed(Worker):
    """With a relay whose evidence is noted by hand."""

    def opened(self) -> tuple[KeptJournal, DeliveryLog]:
        kept = self.open()
        relay = DeliveryLog()
        kept._journal.follow(RELAYED, relay, us(self.now_s))
        kept._journal.lacks(RELAYED, None)
        return kept, relay


def collected(worker: Worker, kept: KeptJournal, since_us: int) -> tuple[int, set[Period]]:
    """What a collector is told that goes on from the answer before."""
    found = [(kept, kept.settled_us, kept.now())]
    (camera,) = json.loads(journals_json(found, since_us, AnswerSize()))["cameras"]
    told = {entry_of(json.dumps(said).encode()) for said in camera["entries"]}
    return camera["settledUs"], {one for one in told if isinstance(one, Period)}


def test_a_collector_that_goes_on_from_the_answer_before_misses_nothing(tmp_path: Path) -> None:
    """Also what ends where all was settled: with the last picture that a system took."""
    worker = Relayed(tmp_path)
    kept, relay = worker.opened()
    since_us, found = 0, set[Period]()
    for number in range(800):
        worker.passes(worker.now_s + 1)
        if number % 400 < 200:
            relay.seen(us(worker.now_s))
        elif number % 400 == 200:
            relay.failed(Cause.VMS)
        worker.stalled = [] if number % 90 == 60 else worker.stalled
        if number % 90 == 80:
            worker.works_off()
        since_us, told = collected(worker, kept, since_us)
        found |= told
    assert found == set(beside(tmp_path).read())
    assert len(found) > 3


turns = st.lists(
    st.tuples(
        st.sampled_from(["passes", "rests", "stalls", "goes on", "one job", "is killed", "ends"]),
        st.integers(1, 90),
    ),
    max_size=14,
)


@given(turns)
@example(
    [
        ("passes", 50),
        ("stalls", 1),
        ("passes", 40),
        ("rests", 90),
        ("passes", 90),
        ("one job", 1),  # lines of all this, with a checkpoint of its beginning
        ("is killed", 20),
    ]
)
def test_lines_never_contradict_each_other_wherever_a_worker_is_killed(
    turns: list[tuple[str, int]],
) -> None:
    """Nor is there a hole between them, and what they call a span has arrived."""
    with tempfile.TemporaryDirectory() as folder:
        worker = Worker(Path(folder))
        kept = worker.open()
        seen: list[tuple[float, float]] = []
        for what, seconds in [*turns, ("goes on", 1), ("rests", 90), ("ends", 1)]:
            if what == "passes":
                seen.append((worker.now_s + 0.5, worker.now_s + seconds))
                worker.passes(worker.now_s + seconds)
            elif what == "rests":
                worker.rests(worker.now_s + seconds)
            elif what == "stalls":
                worker.stalled = worker.stalled or []
            elif what == "goes on":
                worker.works_off()
            elif what == "one job" and worker.stalled:
                worker.stalled.pop(0)()
            else:
                if what == "ends":
                    worker.journals.close([kept])
                    worker.works_off()
                worker = Worker(Path(folder), at_s=worker.now_s + seconds)
                worker.lying = [(us(start), us(end)) for start, end in seen]
                kept = worker.open()
        told = sorted(rows(beside(Path(folder)).read()))
        assert told[0][0] == 0.0
        for before, after in pairwise(told):
            assert before[1] == after[0], told
        for start, end, state in told:
            if state == "span":
                assert any(s <= start and end <= e + 3 for s, e in united(seen)), (told, seen)


def united(stretches: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """A pause of up to five seconds is none."""
    found: list[tuple[float, float]] = []
    for start, end in stretches:
        if found and start - found[-1][1] <= 5.0:
            found[-1] = (found[-1][0], end)
        else:
            found.append((start, end))
    return found


def test_nothing_is_settled_before_the_entries_of_the_last_worker_are_written(
    tmp_path: Path,
) -> None:
    Worker(tmp_path).open()
    worker = Worker(tmp_path, at_s=100)
    worker.stalled = []
    kept = worker.open()
    since_us, told = collected(worker, kept, 0)
    assert told == set()
    worker.works_off()
    _, told = collected(worker, kept, since_us)
    assert rows(sorted(told, key=lambda one: one.start_us)) == rows(beside(tmp_path).read())
    assert told


def test_a_stopped_camera_ends_at_its_stop_however_late_the_disk_is_written(
    tmp_path: Path,
) -> None:
    worker = Worker(tmp_path)
    journal = worker.open()
    worker.passes(100)
    worker.stalled = []
    worker.journals.close([journal])
    worker.arrivals = DeliveryLog()
    worker.now_s = 101
    again = worker.open()
    worker.passes(300)
    worker.works_off()
    worker.journals.close([again])
    assert rows(beside(tmp_path).read()) == [
        (0, 0.5, "us"),
        (0.5, 100, "span"),
        (100, 101, "planned"),
        (101, 101.5, "us"),
        (101.5, 300, "span"),
    ]


def test_bytes_removed_for_a_line_that_the_disk_refused_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = Worker(tmp_path)
    kept = worker.open()

    def full(*entries: object) -> None:
        kept.store.lost_bytes += 7
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(kept.store, "append", full)
    kept.write(None)
    assert worker.journals.counters.lost_bytes == 7


def test_a_camera_that_is_declared_anew_is_handed_out_once(tmp_path: Path) -> None:
    worker = Worker(tmp_path)
    for _ in range(3):
        kept = worker.open()
        worker.passes(worker.now_s + 100)
        worker.journals.close([kept])
    assert worker.journals.kept == [kept]
    beside_memory = worker.open(recording=False)
    assert worker.journals.kept == [beside_memory, kept], "a journal of another volume is its own"
