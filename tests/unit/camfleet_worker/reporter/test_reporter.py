# SPDX-License-Identifier: Apache-2.0
"""When a status is written: on transitions, debounced, once, and never for a stranger."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camfleet_api.camera import Attempts, CameraStatus
from camfleet_api.conditions import ConditionType, Reason
from camfleet_base.token_bucket import TokenBucket
from camfleet_worker.cluster.errors import ClusterError, Trouble
from camfleet_worker.ingest import STATUS_BURST_S
from camfleet_worker.reporter.conditions import runtime_status
from camfleet_worker.reporter.debounce import DEBOUNCE_S, patience_s
from camfleet_worker.reporter.facts import CameraSnapshot, Failure
from camfleet_worker.reporter.reporter import Reporter
from camfleet_worker.settings import Settings
from virtual_time import VirtualClock, run_virtual

UID = "uid-1"
UP = CameraSnapshot(1, streaming=True)
PENDING = CameraSnapshot(1)
DOWN = CameraSnapshot(1, failure=Failure(ConditionType.STREAMING, Reason.NO_FRAMES, "No frames."))
REJECTED = CameraSnapshot(
    1, failure=Failure(ConditionType.AUTHENTICATED, Reason.CREDENTIALS_REJECTED, "Refused.")
)


class Door:
    """One Camera object. `trouble` is what the next requests end with."""

    def __init__(self) -> None:
        self.object: dict[str, Any] | None = {"metadata": {"uid": UID}, "status": {}}
        self.writes: list[tuple[float, dict[str, Any]]] = []
        self.trouble: Trouble | None = None

    async def camera(self, name: str) -> dict[str, Any] | None:
        self._raise()
        return self.object

    async def apply_camera_status(self, name: str, status: dict[str, Any]) -> dict[str, Any]:
        self._raise()
        if self.object is None:
            raise ClusterError(Trouble.NOT_FOUND, "gone")
        self.writes.append((asyncio.get_running_loop().time(), status))
        self.object = {**self.object, "status": status}
        return self.object

    def _raise(self) -> None:
        if self.trouble is not None:
            raise ClusterError(self.trouble, "as told")

    @property
    def reasons(self) -> list[str]:
        """The reason of Ready in each write."""
        return [
            condition["reason"]
            for _, status in self.writes
            for condition in status["conditions"]
            if condition["type"] == "Ready"
        ]


Scenario = Callable[[Reporter], Coroutine[Any, Any, None]]


def play(door: Door, scenario: Scenario, per_s: float = 1000, burst: float | None = None) -> None:
    """Run a scenario beside the reporter's loop, in virtual time."""

    async def main() -> None:
        reporter = Reporter(door, VirtualClock(), TokenBucket(per_s, burst or per_s))
        reporter.follow("gate", UID)
        running = asyncio.create_task(reporter.run())
        await scenario(reporter)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    run_virtual(main())


def test_a_first_verdict_is_written_at_once() -> None:
    door = Door()

    async def scenario(reporter: Reporter) -> None:
        reporter.publish(UID, PENDING)
        await asyncio.sleep(1)
        reporter.publish(UID, REJECTED)
        await asyncio.sleep(1)

    play(door, scenario)
    assert door.reasons == ["CredentialsRejected"]


def test_a_camera_that_comes_back_within_ten_seconds_costs_no_write() -> None:
    door = Door()

    async def scenario(reporter: Reporter) -> None:
        reporter.publish(UID, UP)
        await asyncio.sleep(60)
        for _ in range(10):
            reporter.publish(UID, DOWN)
            await asyncio.sleep(DEBOUNCE_S - 1)
            reporter.publish(UID, UP)
            await asyncio.sleep(1)
        await asyncio.sleep(60)

    play(door, scenario)
    assert door.reasons == ["Ready"]


def test_down_is_written_after_ten_seconds_and_up_at_once() -> None:
    door = Door()

    async def scenario(reporter: Reporter) -> None:
        reporter.publish(UID, UP)
        await asyncio.sleep(100)
        reporter.publish(UID, DOWN)
        await asyncio.sleep(100)
        reporter.publish(UID, UP)
        await asyncio.sleep(100)

    play(door, scenario)
    assert door.reasons == ["Ready", "NoFrames", "Ready"]
    up, down, back = (at for at, _ in door.writes)
    assert down - up == pytest.approx(100 + DEBOUNCE_S, abs=1)
    assert back - up == pytest.approx(200, abs=1)


def test_the_time_of_a_fact_is_when_it_began_and_not_when_it_was_written() -> None:
    door = Door()

    async def scenario(reporter: Reporter) -> None:
        reporter.publish(UID, UP)
        await asyncio.sleep(100)
        reporter.publish(UID, DOWN)
        await asyncio.sleep(100)

    play(door, scenario)
    (_, first), (_, second) = door.writes
    times = [_time_of(status, "Ready") for status in (first, second)]
    assert (times[1] - times[0]).total_seconds() == 100
    assert _time_of(second, "Reachable") == _time_of(first, "Reachable")


def test_an_unchanged_fact_is_never_written_again_even_by_the_next_worker() -> None:
    door = Door()

    async def scenario(reporter: Reporter) -> None:
        reporter.publish(UID, UP)
        await asyncio.sleep(5)
        reporter.publish(UID, UP)
        await asyncio.sleep(100)

    play(door, scenario)
    play(door, scenario)
    assert len(door.writes) == 1


def test_a_new_generation_is_acknowledged_at_once() -> None:
    door = Door()

    async def scenario(reporter: Reporter) -> None:
        reporter.publish(UID, UP)
        await asyncio.sleep(50)
        reporter.publish(UID, CameraSnapshot(2, streaming=True))
        await asyncio.sleep(1)

    play(door, scenario)
    assert [s["conditions"][0]["observedGeneration"] for _, s in door.writes] == [1, 2]


def test_another_camera_under_the_same_name_is_left_alone() -> None:
    door = Door()
    door.object = {"metadata": {"uid": "another"}, "status": {}}

    async def scenario(reporter: Reporter) -> None:
        reporter.publish(UID, UP)
        await asyncio.sleep(100)

    play(door, scenario)
    assert door.writes == []


def test_a_camera_that_was_replaced_since_is_written_once_at_most() -> None:
    door = Door()

    async def scenario(reporter: Reporter) -> None:
        reporter.publish(UID, UP)
        await asyncio.sleep(20)
        door.object = {"metadata": {"uid": "another"}, "status": {}}
        for facts in (DOWN, UP, DOWN):
            reporter.publish(UID, facts)
            await asyncio.sleep(20)

    play(door, scenario)
    assert len(door.writes) == 2


@pytest.mark.parametrize("trouble", [Trouble.UNAVAILABLE, Trouble.THROTTLED, Trouble.FORBIDDEN])
def test_the_last_fact_is_written_when_the_server_is_back(trouble: Trouble) -> None:
    door = Door()

    async def scenario(reporter: Reporter) -> None:
        door.trouble = trouble
        for facts in (UP, DOWN, UP, DOWN):
            reporter.publish(UID, facts)
            await asyncio.sleep(20)
        door.trouble = None
        await asyncio.sleep(60)

    play(door, scenario)
    assert door.reasons == ["NoFrames"]


def test_an_attempt_is_written_before_it_returns_and_reveals_nothing_debounced() -> None:
    door = Door()
    attempts = Attempts(account="a", count=1, last=datetime(2026, 1, 1, tzinfo=UTC))

    async def scenario(reporter: Reporter) -> None:
        reporter.publish(UID, UP)
        await asyncio.sleep(20)
        reporter.publish(UID, DOWN)
        await reporter.record_attempt(UID, attempts, 1)
        assert door.writes[-1][1]["attempts"]["count"] == 1

    play(door, scenario)
    assert door.reasons == ["Ready", "Ready"]


def test_an_attempt_that_cannot_be_written_is_refused() -> None:
    door = Door()
    door.trouble = Trouble.UNAVAILABLE
    attempts = Attempts(account="a", count=1, last=datetime(2026, 1, 1, tzinfo=UTC))

    async def scenario(reporter: Reporter) -> None:
        with pytest.raises(ClusterError):
            await reporter.record_attempt(UID, attempts, 1)

    play(door, scenario)


def test_a_status_of_another_writer_is_corrected_after_a_reread() -> None:
    door = Door()

    async def scenario(reporter: Reporter) -> None:
        reporter.publish(UID, UP)
        await asyncio.sleep(20)
        lost = door.writes[0][1]["conditions"][-1] | {"status": "Unknown", "reason": "WorkerLost"}
        door.object = {"metadata": {"uid": UID}, "status": {"conditions": [lost]}}
        reporter.reread()
        await asyncio.sleep(5)

    play(door, scenario)
    assert door.reasons == ["Ready", "Ready"]


def test_writes_of_many_cameras_keep_to_the_budget() -> None:
    door = Door()

    async def scenario(reporter: Reporter) -> None:
        for number in range(100):
            reporter.follow(f"cam{number}", f"uid-{number}")
            reporter.publish(f"uid-{number}", UP)
        await asyncio.sleep(10)

    class AnyCamera(Door):
        async def camera(self, name: str) -> dict[str, Any] | None:
            return {"metadata": {"uid": f"uid-{name[3:]}"}, "status": {}}

        async def apply_camera_status(self, name: str, status: dict[str, Any]) -> dict[str, Any]:
            self.writes.append((asyncio.get_running_loop().time(), status))
            return {"metadata": {"uid": f"uid-{name[3:]}"}}

    door = AnyCamera()
    play(door, scenario, per_s=5)
    assert 50 <= len(door.writes) <= 56


FLAPPING = Failure(ConditionType.STABLE, Reason.FLAPPING, "The stream broke five times.")


@given(
    holds=st.lists(
        st.tuples(st.sampled_from([UP, DOWN, REJECTED, PENDING]), st.floats(11, 90)),
        min_size=80,
        max_size=150,
    )
)
def test_a_camera_costs_ten_writes_and_then_twelve_an_hour_whatever_it_does(
    holds: list[tuple[CameraSnapshot, float]],
) -> None:
    door = Door()

    async def scenario(reporter: Reporter) -> None:
        for facts, seconds in holds:
            reporter.publish(UID, facts)
            await asyncio.sleep(seconds)
        await asyncio.sleep(1000)

    play(door, scenario)
    times = [at for at, _ in door.writes]
    for begin in times:
        # The first write of all answers a new generation and stands outside the bound.
        assert len([at for at in times if begin <= at <= begin + 3600]) <= 1 + 10 + 12
    last = holds[-1][0]
    expected = "Pending" if last == PENDING else last.failure.reason if last.failure else "Ready"
    assert door.reasons[-1] == expected


def test_a_camera_that_flaps_must_stay_up_for_a_minute_before_it_is_called_up() -> None:
    door = Door()

    async def scenario(reporter: Reporter) -> None:
        reporter.publish(UID, CameraSnapshot(1, failure=DOWN.failure, side=(FLAPPING,)))
        await asyncio.sleep(60)
        for _ in range(20):
            reporter.publish(UID, CameraSnapshot(1, streaming=True, side=(FLAPPING,)))
            await asyncio.sleep(50)
            reporter.publish(UID, CameraSnapshot(1, failure=DOWN.failure, side=(FLAPPING,)))
            await asyncio.sleep(20)
        assert door.reasons == ["NoFrames"]
        reporter.publish(UID, CameraSnapshot(1, streaming=True, side=(FLAPPING,)))
        await asyncio.sleep(59)
        assert door.reasons == ["NoFrames"]
        await asyncio.sleep(2)

    play(door, scenario)
    assert door.reasons == ["NoFrames", "Ready"]


def test_a_worker_whose_cameras_all_fail_and_return_has_reported_it_in_time() -> None:
    cameras = 167
    done: list[float] = []

    async def scenario(reporter: Reporter) -> None:
        for number in range(1, cameras):
            reporter.follow(f"gate{number}", f"{UID}{number}")
        uids = [UID, *(f"{UID}{number}" for number in range(1, cameras))]
        for facts, pause_s in ((UP, 100.0), (DOWN, 60.0), (UP, 60.0)):
            began = asyncio.get_running_loop().time()
            before = len(door.writes)
            for uid in uids:
                reporter.publish(uid, facts)
            await asyncio.sleep(pause_s)
            done.append(door.writes[-1][0] - began)
            assert len(door.writes) - before == cameras

    class AnyCamera(Door):
        async def camera(self, name: str) -> dict[str, Any] | None:
            return {"metadata": {"uid": f"{UID}{name[4:]}"}, "status": {}}

        async def apply_camera_status(self, name: str, status: dict[str, Any]) -> dict[str, Any]:
            self.writes.append((asyncio.get_running_loop().time(), status))
            return {"metadata": {"uid": f"{UID}{name[4:]}"}}

    door = AnyCamera()
    per_s = Settings.of({"CAMFLEET_SHARD": "s", "CAMFLEET_NAMESPACE": "n"}).status_writes_per_s
    play(door, scenario, per_s=per_s, burst=per_s * STATUS_BURST_S)
    assert done[1] <= DEBOUNCE_S + 10
    assert done[2] <= 10


def test_returned_cameras_are_written_before_failed_ones() -> None:
    told: list[str] = []
    names = [f"gate{number}" for number in range(1, 21)]

    async def scenario(reporter: Reporter) -> None:
        for name in names:
            reporter.follow(name, f"{UID}{name[4:]}")
            reporter.publish(f"{UID}{name[4:]}", UP)
        reporter.publish(UID, DOWN)
        await asyncio.sleep(60)
        told.clear()
        for name in names:
            reporter.publish(f"{UID}{name[4:]}", DOWN)
        await asyncio.sleep(DEBOUNCE_S + 1)  # a write takes half a second: two are told
        reporter.publish(UID, UP)
        await asyncio.sleep(60)

    class AnyCamera(Door):
        async def camera(self, name: str) -> dict[str, Any] | None:
            return {"metadata": {"uid": f"{UID}{name[4:]}"}, "status": {}}

        async def apply_camera_status(self, name: str, status: dict[str, Any]) -> dict[str, Any]:
            told.append(name)
            await asyncio.sleep(0.5)
            return {"metadata": {"uid": f"{UID}{name[4:]}"}}

    play(AnyCamera(), scenario)
    assert len(told) == 21
    assert told.index("gate") <= 4


def _time_of(status: dict[str, Any], kind: str) -> datetime:
    found = next(c for c in status["conditions"] if c["type"] == kind)
    return datetime.fromisoformat(found["lastTransitionTime"])


def test_equal_statuses_need_no_write_and_a_pending_one_has_time() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    up, pending = runtime_status(UP, now), runtime_status(PENDING, now)
    assert patience_s(up, up) is None
    assert patience_s(CameraStatus(), pending) == DEBOUNCE_S
    assert patience_s(pending, up) == 0.0
