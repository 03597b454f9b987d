# SPDX-License-Identifier: Apache-2.0
"""All writes to the API server, and their budget, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from camfleet_api.names import OPERATOR_MANAGER
from camfleet_base.token_bucket import TokenBucket
from camfleet_operator.cluster.apply import Writer
from camfleet_operator.errors import Conflict, NotFound, NotLeading, Throttled
from camfleet_operator.plan.actions import Apply, Delete, Phase
from camfleet_operator.resources import CAMERAS, SHARDS
from virtual_time import run_virtual


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


def writer(api: Answers, leading: bool = True) -> Writer:
    return Writer(api, TokenBucket(10, 5), lambda: leading, timeout_s=5)


def status_apply(uid: str = "u1") -> Apply:
    return Apply(
        Phase.STATUS, CAMERAS, "ns", "cam0", {"status": {}}, "", subresource="status", uid=uid
    )


def answer(uid: str = "u1") -> dict[str, Any]:
    return {"metadata": {"uid": uid, "name": "cam0"}}


async def test_an_apply_names_its_manager_and_forces() -> None:
    api = Answers(answer())
    assert await writer(api).apply(status_apply()) == answer()
    ((method, path, query, _),) = api.asked
    assert (method, path) == (
        "PATCH",
        "/apis/camfleet.vnpt.vn/v1alpha1/namespaces/ns/cameras/cam0/status",
    )
    assert query == {"fieldManager": OPERATOR_MANAGER, "force": "true"}


async def test_a_status_that_met_another_object_of_the_same_name_is_no_answer() -> None:
    assert await writer(Answers(answer("other"))).apply(status_apply()) is None


async def test_a_status_of_an_object_that_is_gone_is_no_error() -> None:
    gone = NotFound(404, "NotFound", "gone")
    assert await writer(Answers(gone)).apply(status_apply()) is None


async def test_an_object_that_cannot_be_made_because_its_namespace_is_gone_is_an_error() -> None:
    gone = NotFound(404, "NotFound", "namespace")
    with pytest.raises(NotFound):
        await writer(Answers(gone)).apply(Apply(Phase.WORK, SHARDS, "ns", "s", {}, ""))


async def test_a_replica_that_does_not_lead_writes_nothing() -> None:
    api = Answers(answer())
    with pytest.raises(NotLeading):
        await writer(api, leading=False).apply(status_apply())
    assert api.asked == []


def test_a_throttled_write_waits_as_long_as_asked_and_is_tried_again() -> None:
    api = Answers(Throttled("busy", 7.0), answer())

    async def main() -> float:
        assert await writer(api).apply(status_apply()) is not None
        return asyncio.get_running_loop().time()

    assert run_virtual(main()) == pytest.approx(7.0)
    assert len(api.asked) == 2


def test_a_write_that_is_always_throttled_goes_back_to_the_queue() -> None:
    api = Answers(*(Throttled("busy", 1.0) for _ in range(9)))
    with pytest.raises(Throttled):
        run_virtual(writer(api).apply(status_apply()))
    assert len(api.asked) == 5


def test_writes_keep_to_the_budget() -> None:
    api = Answers(*(answer() for _ in range(25)))

    async def main() -> float:
        budgeted = writer(api)
        for _ in range(25):
            await budgeted.apply(status_apply())
        return asyncio.get_running_loop().time()

    assert run_virtual(main()) == pytest.approx(2.0)


async def test_a_delete_names_the_uid_and_forgives_what_is_gone_or_another() -> None:
    api = Answers(NotFound(404, "", ""), Conflict(409, "", ""))
    door = writer(api)
    action = Delete(Phase.REMOVAL, SHARDS, "ns", "s", "u9", "")
    await door.delete(action)
    await door.delete(action)
    assert [body["preconditions"] for *_, body in api.asked] == [{"uid": "u9"}] * 2
