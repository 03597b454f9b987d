# SPDX-License-Identifier: Apache-2.0
"""The one door for writes, and the budget behind it, on a clock that tests set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from camfleet_api.names import OPERATOR_MANAGER
from camfleet_operator.cluster.apply import Writer
from camfleet_operator.cluster.bucket import TokenBucket
from camfleet_operator.errors import Conflict, NotFound, NotLeading, Throttled
from camfleet_operator.plan.actions import Apply, Delete, Phase
from camfleet_operator.resources import CAMERAS, SHARDS


class Time:
    """A clock that moves by sleeping."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


class Answers:
    """An API server that answers from a list, one by one, and keeps what it was asked."""

    def __init__(self, *answers: dict[str, Any] | Exception) -> None:
        self._answers = list(answers)
        self.asked: list[tuple[str, str, Mapping[str, str], Any]] = []

    async def request(self, method: str, path: str, **rest: Any) -> dict[str, Any]:
        self.asked.append((method, path, rest.get("query") or {}, rest.get("body")))
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def writer(api: Answers, time: Time, leading: bool = True) -> Writer:
    bucket = TokenBucket(10, 5, time, time.sleep)
    return Writer(api, bucket, lambda: leading, timeout_s=5)


def status_apply(uid: str = "u1") -> Apply:
    return Apply(
        Phase.STATUS, CAMERAS, "ns", "cam0", {"status": {}}, "", subresource="status", uid=uid
    )


def answer(uid: str = "u1") -> dict[str, Any]:
    return {"metadata": {"uid": uid, "name": "cam0"}}


async def test_an_apply_names_its_manager_and_forces() -> None:
    api = Answers(answer())
    assert await writer(api, Time()).apply(status_apply()) == answer()
    ((method, path, query, _),) = api.asked
    assert (method, path) == (
        "PATCH",
        "/apis/camfleet.vnpt.vn/v1alpha1/namespaces/ns/cameras/cam0/status",
    )
    assert query == {"fieldManager": OPERATOR_MANAGER, "force": "true"}


async def test_a_status_that_met_another_object_of_the_same_name_is_no_answer() -> None:
    assert await writer(Answers(answer("other")), Time()).apply(status_apply()) is None


async def test_a_status_of_an_object_that_is_gone_is_no_error() -> None:
    gone = NotFound(404, "NotFound", "gone")
    assert await writer(Answers(gone), Time()).apply(status_apply()) is None


async def test_an_object_that_cannot_be_made_because_its_namespace_is_gone_is_an_error() -> None:
    gone = NotFound(404, "NotFound", "namespace")
    with pytest.raises(NotFound):
        await writer(Answers(gone), Time()).apply(Apply(Phase.WORK, SHARDS, "ns", "s", {}, ""))


async def test_who_does_not_lead_writes_nothing() -> None:
    api = Answers(answer())
    with pytest.raises(NotLeading):
        await writer(api, Time(), leading=False).apply(status_apply())
    assert api.asked == []


async def test_a_throttled_write_waits_as_long_as_asked_and_is_tried_again() -> None:
    time = Time()
    api = Answers(Throttled("busy", 7.0), answer())
    assert await writer(api, time).apply(status_apply()) is not None
    assert time.now >= 7.0
    assert len(api.asked) == 2


async def test_a_write_that_is_always_throttled_goes_back_to_the_queue() -> None:
    api = Answers(*(Throttled("busy", 1.0) for _ in range(9)))
    with pytest.raises(Throttled):
        await writer(api, Time()).apply(status_apply())
    assert len(api.asked) == 5


async def test_a_delete_names_the_uid_and_forgives_what_is_gone_or_another() -> None:
    api = Answers(NotFound(404, "", ""), Conflict(409, "", ""))
    door = writer(api, Time())
    action = Delete(Phase.REMOVAL, SHARDS, "ns", "s", "u9", "")
    await door.delete(action)
    await door.delete(action)
    assert [body["preconditions"] for *_, body in api.asked] == [{"uid": "u9"}] * 2


async def test_the_bucket_lets_a_burst_through_and_then_keeps_its_rate() -> None:
    time = Time()
    bucket = TokenBucket(10, 5, time, time.sleep)
    for _ in range(5):
        await bucket.take()
    assert time.now == 0
    for _ in range(20):
        await bucket.take()
    assert time.now == pytest.approx(2.0)


async def test_saved_tokens_never_exceed_the_burst() -> None:
    time = Time()
    bucket = TokenBucket(10, 5, time, time.sleep)
    time.now = 3600
    for _ in range(6):
        await bucket.take()
    assert sum(time.slept) == pytest.approx(0.1)
