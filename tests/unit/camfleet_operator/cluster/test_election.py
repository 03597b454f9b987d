# SPDX-License-Identifier: Apache-2.0
"""Leader election, two candidates on one Lease, on a clock that tests set."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from camfleet_operator.cluster.election import Election
from camfleet_operator.errors import ApiUnavailable, Conflict, LeadershipLost, NotFound
from camfleet_operator.settings import ElectionSettings

SETTINGS = ElectionSettings(lease_seconds=30, renew_deadline_seconds=20, retry_seconds=4)


class World:
    """A Lease with optimistic locking, and the time."""

    def __init__(self) -> None:
        self.now = 0.0
        self.lease: dict[str, Any] | None = None
        self.unreachable: set[str] = set()
        self._version = 0

    def candidate(self, name: str) -> Election:
        return Election(Door(self, name), "ns", name, SETTINGS, lambda: self.now, self.sleep)

    async def sleep(self, seconds: float) -> None:
        self.now += seconds

    def store(self, body: dict[str, Any]) -> dict[str, Any]:
        self._version += 1
        self.lease = copy.deepcopy(body)
        self.lease["metadata"]["resourceVersion"] = str(self._version)
        return copy.deepcopy(self.lease)

    @property
    def holder(self) -> str:
        assert self.lease is not None
        return str(self.lease["spec"]["holderIdentity"])


class Door:
    """One candidate's way to the API server."""

    def __init__(self, world: World, name: str) -> None:
        self._world = world
        self._name = name

    async def request(self, method: str, path: str, **rest: Any) -> dict[str, Any]:
        world = self._world
        body: dict[str, Any] = rest.get("body") or {}
        assert rest["timeout_s"] < SETTINGS.renew_deadline_seconds
        if self._name in world.unreachable:
            raise ApiUnavailable(0, "TimeoutError", path)
        if method == "GET":
            if world.lease is None:
                raise NotFound(404, "NotFound", path)
            return copy.deepcopy(world.lease)
        if method == "POST" and world.lease is not None:
            raise Conflict(409, "AlreadyExists", path)
        if method == "PUT":
            assert world.lease is not None
            held = world.lease["metadata"]["resourceVersion"]
            if body["metadata"]["resourceVersion"] != held:
                raise Conflict(409, "Conflict", path)
        return world.store(body)


async def test_the_first_candidate_makes_the_lease_and_leads() -> None:
    world = World()
    one = world.candidate("one")
    assert not one.may_write()
    await one.acquire()
    assert one.may_write()
    assert world.holder == "one"


async def test_a_second_candidate_waits_while_the_first_renews() -> None:
    world = World()
    one, two = world.candidate("one"), world.candidate("two")
    await one.acquire()
    for _ in range(30):
        assert await one._try()
        assert not await two._try()
        world.now += 4
    assert world.holder == "one"


async def test_a_silent_leader_is_replaced_only_after_it_has_stopped_writing() -> None:
    world = World()
    one, two = world.candidate("one"), world.candidate("two")
    await one.acquire()
    assert not await two._try()
    while not await two._try():
        assert not two.may_write()
        world.now += 1
    assert world.now >= SETTINGS.lease_seconds
    assert not one.may_write()


async def test_a_candidate_goes_by_its_own_clock_not_by_the_others_timestamps() -> None:
    world = World()
    one, two = world.candidate("one"), world.candidate("two")
    await one.acquire()
    assert world.lease is not None
    world.lease["spec"]["renewTime"] = "2001-01-01T00:00:00.000000Z"
    assert not await two._try()


async def test_a_leader_cut_off_stops_writing_at_its_deadline_and_gives_up() -> None:
    world = World()
    one = world.candidate("one")
    await one.acquire()
    world.unreachable.add("one")
    with pytest.raises(LeadershipLost):
        await one.hold()
    assert world.now <= SETTINGS.renew_deadline_seconds + 2 * SETTINGS.retry_seconds
    assert not one.may_write()


async def test_a_leader_whose_lease_was_taken_gives_up_at_once() -> None:
    world = World()
    one = world.candidate("one")
    await one.acquire()
    assert world.lease is not None
    world.lease["spec"]["holderIdentity"] = "two"
    with pytest.raises(LeadershipLost):
        await one.hold()


async def test_a_short_interruption_costs_no_leadership() -> None:
    world = World()
    one = world.candidate("one")
    await one.acquire()
    world.unreachable.add("one")
    world.now += 8
    assert not await one._try()
    assert one.may_write()
    world.unreachable.clear()
    assert await one._try()


async def test_a_released_lease_is_taken_at_once() -> None:
    world = World()
    one, two = world.candidate("one"), world.candidate("two")
    await one.acquire()
    await one.release()
    assert not one.may_write()
    assert await two._try()
    assert world.holder == "two"
    assert world.lease is not None
    assert world.lease["spec"]["leaseTransitions"] >= 1


async def test_two_candidates_that_try_at_once_do_not_both_win() -> None:
    world = World()
    one, two = world.candidate("one"), world.candidate("two")
    await one.acquire()
    await one.release()
    stale = await Door(world, "two").request("GET", "", timeout_s=1)
    assert await one._try()
    with pytest.raises(Conflict):
        await two._put(stale, holder="two")
