# SPDX-License-Identifier: Apache-2.0
"""What holds for every province and every history: planning is pure and comes to rest."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from camfleet_api.device_address import DeviceAddress
from camfleet_operator.plan.packing import Packing, PlacementRequest, pack
from fleet_objects import camera, enrolment, profile, site, system

NAMESPACE = "phu-yen"
CAPACITY = 5

placements = st.sampled_from(["a", "b"])
items = st.lists(
    st.builds(
        PlacementRequest,
        uid=st.integers(0, 60).map(str),
        site=st.sampled_from(["s1", "s2", "s3"]),
        device=st.sampled_from([DeviceAddress(f"d{n}", 80) for n in range(1, 6)]),
        placement=placements,
    ),
    unique_by=lambda item: item.uid,
    max_size=40,
)


def counts(packing: Packing) -> dict[str, int]:
    shards = list(packing.shard_of.values())
    return {shard: shards.count(shard) for shard in shards}


@given(items, st.integers(1, 6))
def test_no_shard_holds_more_than_it_may_and_none_is_forgotten(
    wanted: list[PlacementRequest], top: int
) -> None:
    packing = pack(wanted, {}, CAPACITY, top)
    assert all(count <= CAPACITY for count in counts(packing).values())
    assert {*packing.shard_of, *packing.unplaced} == {item.uid for item in wanted}
    assert not packing.shard_of.keys() & packing.unplaced


@given(items, items)
def test_a_camera_with_a_place_keeps_it_when_others_come_and_go(
    first: list[PlacementRequest], second: list[PlacementRequest]
) -> None:
    before = pack(first, {}, CAPACITY, 50)
    after = pack(second, before.shard_of, CAPACITY, 50)
    stayed = {item.uid for item in second if item in first}
    moved = {uid for uid in stayed if before.shard_of[uid] != after.shard_of[uid]}
    assert moved == set()


@given(items)
def test_packing_does_not_depend_on_the_order_of_its_input(wanted: list[PlacementRequest]) -> None:
    assert pack(wanted, {}, CAPACITY, 50) == pack(reversed(wanted), {}, CAPACITY, 50)


@given(items)
def test_there_is_room_for_all_while_there_are_shards(wanted: list[PlacementRequest]) -> None:
    packing = pack(wanted, {}, CAPACITY, 50)
    assert packing.unplaced == set()


@given(st.integers(1, CAPACITY), st.integers(1, CAPACITY))
def test_a_sites_cameras_stand_together_where_they_fit(one: int, other: int) -> None:
    wanted = [PlacementRequest(f"a{n}", "s1", DeviceAddress(f"a{n}", 80), "a") for n in range(one)]
    wanted += [
        PlacementRequest(f"b{n}", "s2", DeviceAddress(f"b{n}", 80), "a") for n in range(other)
    ]
    packing = pack(wanted, {}, CAPACITY, 50)
    for name in ("s1", "s2"):
        assert len({packing.shard_of[item.uid] for item in wanted if item.site == name}) == 1


steps = st.one_of(
    st.tuples(st.just("camera"), st.integers(0, 5), st.sampled_from(["barracks", "hotel"])),
    st.tuples(st.just("remove"), st.integers(0, 5)),
    st.tuples(st.just("pause"), st.integers(0, 5), st.booleans()),
    st.tuples(st.just("slip"), st.sampled_from(["Site", "TechnicalProfile", "MonitoringSystem"])),
    st.tuples(st.just("mend")),
    st.tuples(st.just("vandal"), st.sampled_from(["Deployment", "Role", "IngestShard", "Lease"])),
    st.tuples(st.just("place"), st.sampled_from(["x", "y"])),
    st.tuples(st.just("workers")),
    st.tuples(st.just("time"), st.sampled_from([5, 50, 500])),
    st.tuples(st.just("round")),
)


def perform(province: Any, step: tuple[Any, ...]) -> None:
    what, *arguments = step
    if what == "camera":
        number, home = arguments
        name = f"cam{number}"
        if name not in province.names("Camera"):
            province.declare(camera(NAMESPACE, name, home))
    elif what == "remove":
        remove(province, "Camera", f"cam{arguments[0]}")
    elif what == "pause":
        if f"cam{arguments[0]}" in province.names("Camera"):
            province.edit("Camera", f"cam{arguments[0]}", paused=arguments[1])
    elif what == "slip":
        for name in province.names(arguments[0]):
            province.delete(arguments[0], name)
    elif what == "mend":
        mend(province)
    elif what == "vandal":
        for name in province.names(arguments[0]):
            remove(province, arguments[0], name)
    elif what == "place":
        if "barracks" in province.names("Site"):
            province.edit("Site", "barracks", placement={"nodeSelector": {"zone": arguments[0]}})
    elif what == "workers":
        live(province)
    elif what == "time":
        province.pass_time(arguments[0])
    else:
        province.round()


def remove(province: Any, kind: str, name: str) -> None:
    if name in province.names(kind):
        province.delete(kind, name)


def mend(province: Any) -> None:
    for raw in (profile(), system(), site(NAMESPACE), site(NAMESPACE, "hotel")):
        if raw["metadata"]["name"] not in province.names(raw["kind"]):
            province.declare(raw)


def live(province: Any) -> None:
    for shard in province.names("IngestShard"):
        if shard in province.names("Lease"):
            province.worker_lives(shard)


@pytest.fixture
def fresh(province: Any) -> Any:
    """Makes a new province for each history."""
    return lambda: type(province)(province.settings)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(steps, min_size=3, max_size=25))
def test_every_history_keeps_the_rules_and_comes_to_rest(
    fresh: Any, history: list[tuple[Any, ...]]
) -> None:
    province = fresh()
    mend(province)
    for step in history:
        perform(province, step)
        snapshot = province.store.snapshot(NAMESPACE)
        before = copy.deepcopy(snapshot)
        plan = province.plan()
        assert province.plan() == plan, "planning twice gives the same"
        assert snapshot == before, "planning changes nothing"
        assert no_camera_is_listed_twice(province)
    mend(province)
    if "camfleet" not in province.names("RoleBinding"):
        province.declare(enrolment(NAMESPACE))
    province.workers_live()
    assert no_camera_is_listed_twice(province)
    wanted = {
        name
        for name in province.names("Camera")
        if not province.get("Camera", name)["spec"].get("paused")
    }
    assert {name for lines in province.listed().values() for name in lines} == wanted


def no_camera_is_listed_twice(province: Any) -> bool:
    lines = [name for lines in province.listed().values() for name in lines]
    return len(lines) == len(set(lines))


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(["Site", "TechnicalProfile", "MonitoringSystem"]), max_size=6))
def test_no_sequence_of_slips_changes_what_runs(fresh: Any, slips: list[str]) -> None:
    province = fresh()
    mend(province)
    province.declare(*(camera(NAMESPACE, f"cam{n}") for n in range(3)))
    province.workers_live()
    before = province.listed()
    for kind in slips:
        for name in province.names(kind):
            province.delete(kind, name)
        province.done()
        live(province)
        assert province.listed() == before
