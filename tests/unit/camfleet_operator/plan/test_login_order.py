# SPDX-License-Identifier: Apache-2.0
"""Cameras of one device stand together; where they cannot, one worker alone tries their account."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from camfleet_api.device_address import DeviceAddress
from camfleet_operator.plan.packing import Packing, PlacementRequest, pack
from fleet_objects import camera, site

NAMESPACE = "phu-yen"
CAPACITY = 5
RECORDER = "192.0.2.1"


def channels(name: str, count: int, site: str = "barracks", **spec: Any) -> list[dict[str, Any]]:
    """Cameras that are channels of one recorder."""
    return [
        camera(
            NAMESPACE, f"{name}{n}", site, source={"channel": n + 1}, **{"host": RECORDER} | spec
        )
        for n in range(count)
    ]


def lines(province: Any) -> dict[str, dict[str, Any]]:
    """By camera: its line, with the shard it stands in."""
    return {
        one["name"]: one | {"shard": shard}
        for shard in province.names("IngestShard")
        for one in province.get("IngestShard", shard)["spec"]["cameras"]
    }


def login_after(province: Any) -> dict[str, str]:
    return {name: one["loginAfter"] for name, one in lines(province).items() if "loginAfter" in one}


def split_by_placement(province: Any) -> Any:
    """A recorder of which two sites of different placement have two channels each."""
    province.declare(site(NAMESPACE, credentials={"secret": {"secretName": "recorder"}}))
    elsewhere = {"nodeSelector": {"zone": "b"}}
    province.declare(
        site(
            NAMESPACE,
            "annex",
            placement=elsewhere,
            credentials={"secret": {"secretName": "recorder"}},
        )
    )
    yard = channels("yard", 4)[2:]
    for one in yard:
        one["spec"]["siteRef"] = "annex"
    province.declare(*channels("gate", 2), *yard)
    return province


def test_channels_in_one_shard_wait_for_no_other_camera(province: Any) -> None:
    province.declare(site(NAMESPACE), *channels("gate", 16))
    province.workers_live()
    assert login_after(province) == {}


def test_channels_in_another_shard_wait_for_the_first_camera_of_the_device(province: Any) -> None:
    split_by_placement(province).workers_live()
    assert login_after(province) == {"yard2": "gate0", "yard3": "gate0"}


def test_another_account_at_the_same_device_waits_for_no_other_camera(province: Any) -> None:
    split_by_placement(province)
    own = {"secret": {"secretName": "recorder", "usernameKey": "second"}}
    province.edit("Camera", "yard2", credentials=own)
    province.edit("Camera", "yard3", credentials={"anonymous": True})
    province.workers_live()
    assert login_after(province) == {}


def test_another_spelling_of_the_host_makes_no_other_device(province: Any) -> None:
    split_by_placement(province)
    for name in ("gate0", "gate1"):
        province.edit("Camera", name, host="NVR1.site")
    province.edit("Camera", "yard2", host="nvr1.site")
    province.edit("Camera", "yard3", host="nvr1.site.")
    province.workers_live()
    assert login_after(province) == {"yard2": "gate0", "yard3": "gate0"}


def test_the_same_port_map_makes_another_device(province: Any) -> None:
    split_by_placement(province)
    for name in ("yard2", "yard3"):
        province.edit("Camera", name, ports={"onvif": 8080})
    province.workers_live()
    assert login_after(province) == {}


def test_a_worker_may_read_the_camera_it_waits_for_and_nothing_more(province: Any) -> None:
    split_by_placement(province).workers_live()
    shard = lines(province)["yard2"]["shard"]
    rules = {
        (rule["resources"][0], tuple(rule["verbs"])): rule["resourceNames"]
        for rule in province.get("Role", shard)["rules"]
    }
    assert rules["cameras", ("get",)] == ["gate0", "yard2", "yard3"]
    assert rules["cameras/status", ("patch",)] == ["yard2", "yard3"]
    assert rules["secrets", ("get", "list", "watch")] == ["recorder", "vms-login"]
    first = province.get("Role", lines(province)["gate0"]["shard"])["rules"]
    assert "yard2" not in str(first)


def test_the_right_to_read_goes_with_the_wait(province: Any) -> None:
    split_by_placement(province).workers_live()
    shard = lines(province)["yard2"]["shard"]
    province.delete("Camera", "gate0")
    province.delete("Camera", "gate1")
    province.workers_live()
    assert login_after(province) == {}
    assert "gate" not in str(province.get("Role", shard)["rules"])


def test_the_next_camera_of_the_leading_shard_follows_one_that_is_paused(province: Any) -> None:
    split_by_placement(province).workers_live()
    province.edit("Camera", "gate0", paused=True)
    province.workers_live()
    assert login_after(province) == {"yard2": "gate1", "yard3": "gate1"}


def test_the_lead_does_not_move_to_a_newcomer_with_an_earlier_name(province: Any) -> None:
    split_by_placement(province).workers_live()
    province.declare(*channels("ant", 5, "annex")[4:])
    province.workers_live()
    assert login_after(province) == {"ant4": "gate0", "yard2": "gate0", "yard3": "gate0"}


def test_no_shard_leads_before_the_former_leader_has_acknowledged(province: Any) -> None:
    split_by_placement(province)
    province.delete("Camera", "gate1")
    province.workers_live()
    led_by = lines(province)["gate0"]["shard"]
    province.edit("Camera", "gate0", paused=True)
    province.done()
    assert login_after(province) == {"yard2": "gate0", "yard3": "gate0"}
    province.worker_lives(led_by)
    province.workers_live()
    assert login_after(province) == {}


def test_a_camera_whose_site_vanished_goes_on_waiting(province: Any) -> None:
    split_by_placement(province).workers_live()
    before = lines(province)
    province.delete("Site", "annex")
    province.workers_live()
    assert lines(province) == before


steps = st.one_of(
    st.tuples(st.just("declare"), st.integers(0, 9), st.sampled_from(["barracks", "annex"])),
    st.tuples(st.just("remove"), st.integers(0, 9)),
    st.tuples(st.just("pause"), st.integers(0, 9), st.booleans()),
    st.tuples(st.just("workers")),
    st.tuples(st.just("round")),
)


def perform(province: Any, step: tuple[Any, ...]) -> None:
    what, *arguments = step
    name = f"c{arguments[0]}" if arguments else ""
    exists = name in province.names("Camera")
    if what == "declare" and not exists:
        number, home = arguments
        host = f"192.0.2.{number % 2}"
        source = {"channel": number + 1}
        province.declare(camera(NAMESPACE, name, home, host=host, source=source))
    elif what == "remove" and exists:
        province.delete("Camera", name)
    elif what == "pause" and exists:
        province.edit("Camera", name, paused=arguments[1])
    elif what == "workers":
        for shard in {*province.names("IngestShard")} & {*province.names("Lease")}:
            province.worker_lives(shard)
    elif what == "round":
        province.round()


def leading_shards(province: Any) -> dict[str, set[str]]:
    """By account: the shards whose worker tries it without asking anybody."""
    leading: dict[str, set[str]] = defaultdict(set)
    for one in lines(province).values():
        leading[f"{one['host']} {one['credentials']}"] |= (
            set() if "loginAfter" in one else {one["shard"]}
        )
    return leading


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(steps, min_size=3, max_size=30))
def test_in_every_history_one_shard_alone_leads_an_account(
    province: Any, history: list[tuple[Any, ...]]
) -> None:
    fresh = type(province)(replace(province.settings, cameras_per_shard=3))
    login = {"secret": {"secretName": "recorder"}}
    fresh.declare(
        site(NAMESPACE, credentials=login),
        site(NAMESPACE, "annex", credentials=login, placement={"nodeSelector": {"zone": "b"}}),
    )
    for step in history:
        perform(fresh, step)
        assert all(len(shards) <= 1 for shards in leading_shards(fresh).values())
    fresh.workers_live()
    assert all(len(shards) == 1 for shards in leading_shards(fresh).values())
    stood = lines(fresh)
    for name, first in login_after(fresh).items():
        assert "loginAfter" not in stood[first]
        assert stood[first]["shard"] != stood[name]["shard"]
        assert stood[first]["host"] == stood[name]["host"]


devices = st.lists(st.tuples(st.integers(1, 9), st.sampled_from(["s1", "s2"])), max_size=8)


def device(name: str) -> DeviceAddress:
    return DeviceAddress(name, 80)


def items_of(wanted: list[tuple[int, str]]) -> list[PlacementRequest]:
    return [
        PlacementRequest(f"{number}-{n}", home, device(f"d{number}"), "a")
        for number, (count, home) in enumerate(wanted)
        for n in range(count)
    ]


def parts(items: list[PlacementRequest], packing: Packing) -> dict[DeviceAddress, int]:
    """In how many shards each device stands."""
    shards: dict[DeviceAddress, set[str]] = defaultdict(set)
    for item in items:
        shards[item.device].add(packing.shard_of[item.uid])
    return {one: len(names) for one, names in shards.items()}


@given(devices)
def test_a_device_is_split_only_where_it_is_too_large_and_then_least(
    wanted: list[tuple[int, str]],
) -> None:
    items = items_of(wanted)
    packing = pack(items, {}, CAPACITY, 50)
    sizes = {device(f"d{number}"): count for number, (count, _) in enumerate(wanted)}
    assert parts(items, packing) == {d: -(-count // CAPACITY) for d, count in sizes.items()}


@given(devices, st.integers(1, 9), st.integers(0, 3))
def test_a_new_device_is_not_split_while_a_shard_has_room_for_it(
    wanted: list[tuple[int, str]], top: int, size: int
) -> None:
    before = pack(items_of(wanted), {}, CAPACITY, top)
    counts = list(before.shard_of.values())
    largest = max(CAPACITY - counts.count(f"ingest-a-{n}") for n in range(top))
    placed = [item for item in items_of(wanted) if item.uid in before.shard_of]
    new = [PlacementRequest(f"new-{n}", "s3", device("new"), "a") for n in range(size)]
    after = pack([*placed, *new], before.shard_of, CAPACITY, top)
    if 0 < size <= largest:
        assert parts(new, after) == {device("new"): 1}


@given(devices, st.integers(1, 9))
def test_packing_what_is_packed_moves_nothing(wanted: list[tuple[int, str]], top: int) -> None:
    items = items_of(wanted)
    before = pack(items, {}, CAPACITY, top)
    assert pack(items, before.shard_of, CAPACITY, top) == before


@given(devices, st.data())
def test_a_camera_that_lost_its_place_goes_back_to_its_device(
    wanted: list[tuple[int, str]], data: st.DataObject
) -> None:
    items = items_of(wanted)
    before = pack(items, {}, CAPACITY, 50)
    if not items:
        return
    lost = data.draw(st.sampled_from(items))
    present = {uid: shard for uid, shard in before.shard_of.items() if uid != lost.uid}
    siblings = [i for i in items if i.device == lost.device and i is not lost]
    after = pack(items, present, CAPACITY, 50)
    rooms = {present[i.uid]: list(present.values()).count(present[i.uid]) for i in siblings}
    if any(count < CAPACITY for count in rooms.values()):
        assert after.shard_of[lost.uid] in rooms


def test_a_full_placement_splits_a_device_rather_than_leaving_it_out() -> None:
    present = {"x": "ingest-a-0", "y": "ingest-a-1"}
    items = [PlacementRequest(uid, "s1", device(uid), "a") for uid in present]
    items += [PlacementRequest(f"c{n}", "s1", device("recorder"), "a") for n in range(6)]
    packing = pack(items, present, CAPACITY - 1, 2)
    assert packing.unplaced == set()
    assert parts(items, packing)[device("recorder")] == 2


@pytest.mark.parametrize("field", ["host", "credentials"])
def test_a_device_that_changes_leads_and_follows_anew(province: Any, field: str) -> None:
    split_by_placement(province).workers_live()
    other = {"host": "192.0.2.9"} if field == "host" else {"credentials": {"anonymous": True}}
    province.edit("Camera", "gate0", **other)
    province.workers_live()
    assert login_after(province) == {"yard2": "gate1", "yard3": "gate1"}
