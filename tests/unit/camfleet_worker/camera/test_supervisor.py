# SPDX-License-Identifier: Apache-2.0
"""One camera's supervisor on tapes: when it asks ONVIF, when it waits and what it tells."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camfleet_api.camera import Attempts, CameraStatus, DeviceStatus, LearnedStatus
from camfleet_api.cause import Cause
from camfleet_api.conditions import ConditionType, Reason
from camfleet_api.device_address import DeviceAddress
from camfleet_worker.base.backoff import Backoff
from camfleet_worker.base.errors import IngestError, Retry
from camfleet_worker.camera.assignment import Assignment
from camfleet_worker.camera.devices import Devices
from camfleet_worker.camera.sink_set import NO_SINKS, MadeSink, SinkSet
from camfleet_worker.camera.supervisor import CameraSupervisor, SupervisorDeps
from camfleet_worker.camera.timings import CameraTimings
from camfleet_worker.login.attempts import AttemptLedger
from camfleet_worker.login.credentials import Credentials
from camfleet_worker.media.counters import StreamCounters
from camfleet_worker.media.stream import StreamListener
from camfleet_worker.media_types.access_unit import AccessUnit, Codec, VideoFormat
from camfleet_worker.media_types.delivery_log import DeliveryLog
from camfleet_worker.media_types.sink import Sink
from camfleet_worker.media_types.sink_state import SinkCounters, SinkPhase, SinkState
from camfleet_worker.reporter.conditions import runtime_status
from camfleet_worker.reporter.facts import CameraSnapshot, Failure
from camfleet_worker.rtsp.client import PlayingStream
from device_tape import DeviceTape
from forgetful_journals import ForgetfulJournals
from shard_entries import secret_ref, shard_camera, shard_policy
from virtual_time import START, VirtualClock, run_virtual

FORMAT = VideoFormat(Codec.H264, (b"sps", b"pps"), 1280, 720)
TIMINGS = CameraTimings(backoff=lambda: Backoff(uniform=lambda low, high: high))
ENDED = IngestError(ConditionType.STREAMING, Reason.STREAM_ENDED, "The camera closed the stream")
REJECTED = IngestError(
    ConditionType.AUTHENTICATED, Reason.CREDENTIALS_REJECTED, "Refused", Retry.ON_SECRET_CHANGE
)
AWAY = IngestError(ConditionType.REACHABLE, Reason.HOST_UNREACHABLE, "Nothing answers")


class Tape(DeviceTape):
    """A device, and what a supervisor meets beside it: a place in the media loop, where each
    session lasts `plays_s`, and a status that is read once and then reported."""

    counters = StreamCounters()

    def __init__(self) -> None:
        super().__init__()
        self.arrivals = DeliveryLog()
        self.plays_s = 1e9
        self.ends = ENDED
        self.stopped = 0
        self.sinks = NO_SINKS
        self.status: CameraStatus | None = None
        self.facts: list[CameraSnapshot] = []

    def play(self, stream: PlayingStream, listener: StreamListener) -> Tape:
        loop = asyncio.get_running_loop()
        loop.call_later(0.5, listener.first_key_frame, FORMAT)
        loop.call_later(self.plays_s, listener.ended, self.ends)
        return self

    def stop(self) -> Future[None]:
        self.stopped += 1
        return Future()

    def replace_sinks(self, sinks: Sequence[Sink]) -> None: ...

    def close(self) -> Future[None]:
        return Future()

    async def restore_status(self, assignment: Assignment) -> CameraStatus | None:
        return self.status

    def publish(self, uid: str, facts: CameraSnapshot) -> None:
        self.facts.append(facts)


def assignment(generation: int = 1, login: bool = True, **changes: object) -> Assignment:
    credentials = secret_ref("cameras" if login else None)
    fields = {"generation": generation, "credentials": credentials} | changes
    camera = shard_camera(**fields)
    return Assignment(camera, shard_policy())


Scenario = Callable[[CameraSupervisor], Coroutine[Any, Any, None]]


def play(
    tape: Tape,
    scenario: Scenario | float,
    known: Assignment | None = None,
    ledger: AttemptLedger | None = None,
    journals: ForgetfulJournals | None = None,
) -> None:
    """Run a supervisor beside a scenario, or for so many seconds, in virtual time."""

    async def main() -> None:
        deps = SupervisorDeps(
            connect=tape.connect_deps(ledger or AttemptLedger(VirtualClock())),
            devices=Devices(),
            restore_status=tape.restore_status,
            make_sinks=lambda assignment, before: tape.sinks,
            journals=journals or ForgetfulJournals(),
            reports=tape,
            timings=TIMINGS,
        )
        supervisor = CameraSupervisor(known or assignment(), tape, deps)
        running = asyncio.create_task(supervisor.run())
        if isinstance(scenario, float):
            await asyncio.sleep(scenario)
        else:
            await scenario(supervisor)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    run_virtual(main())


def test_a_camera_streams_and_its_session_is_torn_down_at_the_end() -> None:
    tape = Tape()
    play(tape, 10.0)
    assert tape.facts[-1].streaming
    assert tape.facts[-1].device is not None
    assert tape.facts[-1].attempts is not None
    assert tape.facts[-1].attempts.proven
    assert tape.stopped == 1


class Noting(ForgetfulJournals):
    """A journal that remembers what it was told."""

    def __init__(self) -> None:
        self.failures: list[tuple[Cause, bool]] = []
        self.followed: list[SinkSet] = []
        self.generations: list[int] = []

    def failed(self, cause: Cause, *, connecting: bool = False) -> None:
        self.failures.append((cause, connecting))

    def follow(self, sinks: SinkSet) -> None:
        self.followed.append(sinks)

    def renew(self, assignment: Assignment) -> None:
        self.generations.append(assignment.camera.generation)


def test_the_journal_gets_the_end_of_a_session_and_the_result_of_each_attempt() -> None:
    tape, journal = Tape(), Noting()
    tape.plays_s = 10.0

    async def scenario(supervisor: CameraSupervisor) -> None:
        await asyncio.sleep(5)
        tape.rtsp = IngestError(
            ConditionType.REACHABLE, Reason.HOST_UNREACHABLE, "Nothing answers at port 554"
        )
        await asyncio.sleep(15)

    play(tape, scenario, journals=journal)
    assert journal.failures[:3] == [
        (Cause.CAMERA, False),
        (Cause.LINE, True),
        (Cause.LINE, True),
    ]


def test_the_journal_follows_the_sinks_that_were_made() -> None:
    tape, journal = Tape(), Noting()
    tape.sinks = SinkSet((), (ENDED,))
    play(tape, 10.0, journals=journal)
    assert journal.followed == [tape.sinks]


def test_a_learnt_stream_is_opened_without_asking_onvif() -> None:
    tape = Tape()
    tape.plays_s = 5.0
    play(tape, 60.0)
    assert len(tape.resolved_at) == 1
    assert len(tape.opened_at) > 3


@pytest.mark.parametrize(
    ("learnt", "asked"),
    [("/live", "/live"), ("/user=admin&password={password}", "/user=admin&password=pw")],
    ids=["plain", "password within"],
)
def test_the_next_worker_goes_straight_to_rtsp_too(learnt: str, asked: str) -> None:
    tape = Tape()
    account = Credentials("admin", "pw", "1").account_key(DeviceAddress("192.0.2.1", 80))
    attempts = Attempts(account=account, count=1, proven=True, last=START)
    learned = LearnedStatus(stream_path=learnt, codec="H264", generation=1)
    tape.status = runtime_status(CameraSnapshot(1, learned=learned), START)
    ledger = AttemptLedger(VirtualClock())
    ledger.restore(attempts, None)
    play(tape, 10.0, ledger=ledger)
    assert tape.resolved_at == []
    assert tape.paths[0] == asked
    assert tape.facts[-1].streaming


@pytest.mark.parametrize(
    ("reason", "asks_again"),
    [(Reason.STREAM_REFUSED, True), (Reason.NO_FRAMES, True), (Reason.SESSION_LIMIT, False)],
)
def test_onvif_is_asked_again_where_that_can_help(reason: Reason, asks_again: bool) -> None:
    tape = Tape()

    async def scenario(supervisor: CameraSupervisor) -> None:
        await asyncio.sleep(1)
        tape.rtsp = IngestError(ConditionType.STREAMING, reason, "No")
        await asyncio.sleep(30)

    tape.plays_s = 2.0
    play(tape, scenario)
    assert (len(tape.resolved_at) > 1) is asks_again


def test_onvif_is_asked_once_a_day_while_the_stream_goes_on() -> None:
    tape = Tape()

    async def scenario(supervisor: CameraSupervisor) -> None:
        await asyncio.sleep(3600)
        tape.deviations = ("Frame rate 5 is below 10 a second",)
        await asyncio.sleep(25 * 3600)

    play(tape, scenario)
    assert len(tape.resolved_at) == 2
    assert len(tape.opened_at) == 1
    assert tape.stopped == 1
    assert [f.condition for f in tape.facts[-1].side] == [ConditionType.CONFORMANT]


def test_a_flapping_camera_keeps_its_backoff_until_a_minute_was_good() -> None:
    tape = Tape()

    async def scenario(supervisor: CameraSupervisor) -> None:
        tape.plays_s = 2.0
        await asyncio.sleep(300)
        tape.plays_s = 90.0
        await asyncio.sleep(600)

    play(tape, scenario)
    waits = [
        after - before for before, after in zip(tape.opened_at, tape.opened_at[1:], strict=False)
    ]
    assert max(w for w in waits if w < 90) == pytest.approx(32, abs=1)
    assert waits[-1] == pytest.approx(91, abs=1)


@given(
    lengths=st.lists(st.floats(1, 58) | st.floats(62, 200), min_size=2, max_size=30),
)
def test_the_wait_after_a_session_starts_anew_only_after_a_healthy_minute(
    lengths: list[float],
) -> None:
    class Sessions(Tape):
        def play(self, stream: PlayingStream, listener: StreamListener) -> Tape:
            played = len(self.opened_at) - 1
            self.plays_s = lengths[played] if played < len(lengths) else 1e9
            return super().play(stream, listener)

    tape, bound = Sessions(), 1.0
    play(tape, sum(lengths) + 31.0 * len(lengths) + 10)
    assert len(tape.opened_at) == len(lengths) + 1
    for length, (opened, again) in zip(lengths, itertools.pairwise(tape.opened_at), strict=True):
        bound = 1.0 if length > 60 else bound
        assert again - opened - length == pytest.approx(bound, abs=0.1)
        bound = min(30.0, bound * 2)


def test_while_a_camera_is_tried_again_its_facts_do_not_change() -> None:
    tape = Tape()
    tape.onvif = AWAY
    play(tape, 600.0)
    assert len(tape.resolved_at) > 15
    assert [f.failure.reason for f in tape.facts if f.failure] == [Reason.HOST_UNREACHABLE]


def test_rejected_credentials_wait_for_the_secret_or_half_an_hour() -> None:
    tape = Tape()
    tape.onvif = REJECTED

    async def scenario(supervisor: CameraSupervisor) -> None:
        await asyncio.sleep(TIMINGS.slow_retry_s - 60)
        assert len(tape.resolved_at) == 1
        await asyncio.sleep(TIMINGS.slow_jitter_s + 60)
        assert len(tape.resolved_at) == 2
        tape.onvif, tape.version = None, "2"
        supervisor.secret_changed("cameras")
        await asyncio.sleep(5)
        assert tape.facts[-1].streaming

    play(tape, scenario)


def test_a_secret_of_other_cameras_wakes_no_supervisor() -> None:
    tape = Tape()
    tape.onvif = REJECTED

    async def scenario(supervisor: CameraSupervisor) -> None:
        await asyncio.sleep(5)
        supervisor.secret_changed("another-site")
        await asyncio.sleep(5)

    play(tape, scenario)
    assert len(tape.resolved_at) == 1


def test_a_changed_secret_does_not_touch_a_running_stream() -> None:
    tape = Tape()

    async def scenario(supervisor: CameraSupervisor) -> None:
        await asyncio.sleep(5)
        tape.version = "2"
        supervisor.secret_changed("cameras")
        await asyncio.sleep(60)

    play(tape, scenario)
    assert len(tape.opened_at) == 1


def test_rtsp_that_refuses_what_onvif_took_is_tried_once() -> None:
    tape = Tape()
    tape.rtsp = IngestError(
        ConditionType.AUTHENTICATED,
        Reason.RTSP_CREDENTIALS_REJECTED,
        "Refused",
        Retry.ON_SECRET_CHANGE,
    )
    play(tape, 1000.0)
    assert len(tape.opened_at) == 1
    assert _reason(tape) is Reason.RTSP_CREDENTIALS_REJECTED


def test_another_generation_alone_needs_no_new_connection() -> None:
    tape, journal = Tape(), Noting()

    async def scenario(supervisor: CameraSupervisor) -> None:
        await asyncio.sleep(5)
        supervisor.renew(assignment(generation=2))
        await asyncio.sleep(5)

    play(tape, scenario, journals=journal)
    assert tape.facts[-1].generation == 2
    assert tape.facts[-1].learned is not None
    assert tape.facts[-1].learned.generation == 2
    assert journal.generations == [2]
    assert len(tape.opened_at) == 1


# The account of two workers.

WAITING = (Reason.PENDING, ConditionType.AUTHENTICATED)


def follower() -> Assignment:
    return assignment(login_after="lobby")


def account_of(tape: Tape) -> str:
    return Credentials("admin", "pw", tape.version).account_key(DeviceAddress("192.0.2.1", 80))


def of_the_first(tape: Tape, proven: bool, failure: Failure | None = None) -> CameraStatus:
    """What the worker of camera lobby has written."""
    attempts = Attempts(account=account_of(tape), count=1, proven=proven, last=START)
    return runtime_status(CameraSnapshot(1, failure=failure, attempts=attempts), START)


def test_an_account_that_another_worker_tries_first_is_not_tried_before_it_is_proven() -> None:
    tape = Tape()

    async def scenario(supervisor: CameraSupervisor) -> None:
        await asyncio.sleep(120)
        assert tape.resolved_at == tape.opened_at == []
        failure = tape.facts[-1].failure
        assert failure is not None
        assert (failure.reason, failure.condition) == WAITING
        assert "Camera lobby uses the same account and tries it first" in failure.message
        # About every ten seconds, jittered, and never more often.
        gaps = [b - a for a, b in zip(tape.others_read, tape.others_read[1:], strict=False)]
        assert min(gaps) >= 10
        assert round(max(gaps), 6) <= 30
        tape.others["lobby"] = of_the_first(tape, proven=False)
        await asyncio.sleep(60)
        assert tape.resolved_at == []
        tape.others["lobby"] = of_the_first(tape, proven=True)
        await asyncio.sleep(60)
        assert tape.facts[-1].streaming
        assert tape.others_read[-1] < 250

    play(tape, scenario, follower())


def test_a_refusal_at_another_worker_is_reported_here_and_not_tried() -> None:
    tape = Tape()

    async def scenario(supervisor: CameraSupervisor) -> None:
        tape.others["lobby"] = of_the_first(tape, proven=False, failure=Failure.of(REJECTED))
        await asyncio.sleep(7200)
        assert tape.resolved_at == tape.opened_at == []
        assert _reason(tape) is Reason.CREDENTIALS_REJECTED
        assert len(tape.others_read) <= 121
        tape.others["lobby"] = of_the_first(tape, proven=True)
        await asyncio.sleep(90)
        assert tape.facts[-1].streaming

    play(tape, scenario, follower())


# Coming back.


def test_a_session_limit_waits_for_the_time_in_the_cameras_answer() -> None:
    tape = Tape()
    tape.rtsp = IngestError(
        ConditionType.STREAMING, Reason.SESSION_LIMIT, "Full", retry_after_s=60.0
    )
    play(tape, 300.0)
    gaps = [b - a for a, b in zip(tape.opened_at, tape.opened_at[1:], strict=False)]
    assert len(gaps) >= 3
    assert min(gaps) >= 60


def test_a_stream_that_had_pictures_is_opened_again_without_asking_onvif() -> None:
    tape = Tape()
    tape.plays_s = 120.0
    tape.ends = IngestError(ConditionType.STREAMING, Reason.NO_FRAMES, "Nothing came")

    async def scenario(supervisor: CameraSupervisor) -> None:
        await asyncio.sleep(130)
        for reason in (Reason.HOST_UNREACHABLE, Reason.TIMEOUT, Reason.CONNECTION_REFUSED):
            tape.rtsp = IngestError(ConditionType.REACHABLE, reason, "No")
            await asyncio.sleep(60)
        tape.rtsp = None
        await asyncio.sleep(60)
        assert tape.facts[-1].streaming

    play(tape, scenario)
    assert len(tape.resolved_at) == 1


def test_after_an_outage_onvif_is_asked_once_some_minutes_later_beside_the_stream() -> None:
    tape = Tape()

    async def scenario(supervisor: CameraSupervisor) -> None:
        tape.plays_s = 100.0
        await asyncio.sleep(90)
        tape.rtsp, tape.plays_s = AWAY, 1e9
        await asyncio.sleep(100)
        tape.rtsp = None
        await asyncio.sleep(60)
        assert tape.facts[-1].streaming
        assert len(tape.resolved_at) == 1
        await asyncio.sleep(660)
        assert len(tape.resolved_at) == 2
        await asyncio.sleep(3600)

    play(tape, scenario)
    assert len(tape.resolved_at) == 2
    assert len([a for a in tape.opened_at if a > 190]) == 1


def test_another_device_at_the_address_is_reported_and_not_accepted() -> None:
    tape = Tape()

    async def scenario(supervisor: CameraSupervisor) -> None:
        tape.plays_s = 100.0
        await asyncio.sleep(90)
        tape.rtsp, tape.plays_s = AWAY, 1e9
        tape.identity = DeviceStatus(model="M2", serial_number="CD987654")
        await asyncio.sleep(100)
        tape.rtsp = None
        await asyncio.sleep(800)
        side = {f.reason: f.message for f in tape.facts[-1].side}
        assert "CD987654" in side[Reason.DEVICE_CHANGED]
        assert tape.facts[-1].streaming
        assert tape.facts[-1].device is not None
        assert tape.facts[-1].device.serial_number == "AB123456"

    play(tape, scenario)
    # The next worker goes on saying so until a person confirms the exchange.
    again = Tape()
    again.identity, again.status = tape.identity, runtime_status(tape.facts[-1], START)
    play(again, 10.0)
    assert [f.reason for f in again.facts[-1].side] == [Reason.DEVICE_CHANGED]
    confirmed = Tape()
    confirmed.identity, confirmed.status = again.identity, runtime_status(again.facts[-1], START)
    play(confirmed, 10.0, assignment(generation=2, serial_number="CD987654"))
    assert confirmed.facts[-1].side == ()
    assert confirmed.facts[-1].device is not None
    assert confirmed.facts[-1].device.serial_number == "CD987654"


def test_flapping_is_reported_once_and_ends_after_half_an_hour_without_a_break() -> None:
    tape = Tape()

    async def scenario(supervisor: CameraSupervisor) -> None:
        tape.plays_s = 20.0
        await asyncio.sleep(1200)
        supervisor.publish()
        assert [f.reason for f in tape.facts[-1].side] == [Reason.FLAPPING]
        tape.plays_s = 1e9
        await asyncio.sleep(100)
        assert [f.reason for f in tape.facts[-1].side] == [Reason.FLAPPING]
        await asyncio.sleep(1800)
        supervisor.publish()
        assert tape.facts[-1].side == ()

    play(tape, scenario)


def test_a_former_workers_report_of_flapping_holds_here() -> None:
    tape = Tape()
    flapping = Failure(ConditionType.STABLE, Reason.FLAPPING, "It broke.")
    tape.status = runtime_status(CameraSnapshot(1, side=(flapping,)), START)
    play(tape, 5.0)
    assert [f.reason for f in tape.facts[-1].side] == [Reason.FLAPPING]


class Picture:
    """A sink that says of the picture what the test wants."""

    name, condition = "picture", ConditionType.IMAGE_HEALTHY

    def __init__(self) -> None:
        self.counters = SinkCounters()
        self.state = SinkState(SinkPhase.STARTING)

    def push(self, unit: AccessUnit) -> None: ...

    def tick(self, now: float) -> None: ...

    def close(self) -> None: ...


COVERED = IngestError(ConditionType.IMAGE_HEALTHY, Reason.COVERED, "Most of it is hidden")


def watched(tape: Tape) -> Picture:
    picture = Picture()
    tape.sinks = SinkSet((MadeSink("picture", picture),))
    return picture


def pictures(tape: Tape) -> list[Reason]:
    return [f.reason for f in tape.facts[-1].side if f.condition is ConditionType.IMAGE_HEALTHY]


def test_a_fault_of_the_picture_stands_beside_ready_through_reconnects_until_it_is_over() -> None:
    tape = Tape()
    picture = watched(tape)
    tape.plays_s = 300.0

    async def scenario(supervisor: CameraSupervisor) -> None:
        await asyncio.sleep(10)
        picture.state = SinkState(SinkPhase.FAILED, COVERED)
        supervisor.publish()
        assert tape.facts[-1].streaming
        assert tape.facts[-1].failure is None
        for _ in range(20):
            await asyncio.sleep(20)
            supervisor.publish()
            assert pictures(tape) == [Reason.COVERED]
        assert len(tape.opened_at) > 1
        picture.state = SinkState(SinkPhase.WORKING)
        supervisor.publish()
        assert pictures(tape) == []

    play(tape, scenario)


def test_a_former_workers_report_of_the_picture_holds_until_a_verdict_here() -> None:
    tape = Tape()
    picture = watched(tape)
    tape.status = runtime_status(CameraSnapshot(1, side=(Failure.of(COVERED),)), START)

    async def scenario(supervisor: CameraSupervisor) -> None:
        assert supervisor.sinks is NO_SINKS
        await asyncio.sleep(10)
        assert tape.resolved_at, "what ONVIF says has nothing to do with it"
        assert pictures(tape) == [Reason.COVERED]
        picture.state = SinkState(SinkPhase.WORKING)
        supervisor.publish()
        assert pictures(tape) == []
        picture.state = SinkState(SinkPhase.STARTING)
        supervisor.publish()
        assert pictures(tape) == [], "and is not remembered after that"

    play(tape, scenario)


def _reason(tape: Tape) -> Reason | None:
    failure = tape.facts[-1].failure
    return None if failure is None else failure.reason


def _now() -> float:
    return asyncio.get_running_loop().time()
