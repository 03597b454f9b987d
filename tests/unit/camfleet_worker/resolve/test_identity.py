# SPDX-License-Identifier: Apache-2.0
"""Devices say who they are badly: what is concluded from it all the same, and what never is."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from camfleet_api.camera import DeviceStatus
from camfleet_worker.resolve.identity import Likeness, judge, merged, shared

GATE = DeviceStatus(
    manufacturer="Hikvision",
    model="DS-2CD2043",
    firmware_version="V5.5",
    serial_number="DS-2CD204320190101AAWRC12345678",
    endpoint_reference="urn:uuid:cea94000-fb96-11b3-8260-686dbc5cb15d",
    mac_address="68:6d:bc:5c:b1:5d",
)
LOBBY = DeviceStatus(
    manufacturer="Dahua",
    model="IPC-HDW",
    firmware_version="2.8",
    serial_number="6J0B4A5PAG00123",
    endpoint_reference="urn:uuid:3fa1fe68-b915-4053-a3e1-a8294833fe3c",
    mac_address="38:af:29:48:33:fe",
)
WORTHLESS = ("", "0", "00000000", "123456789", "N/A", "unknown", "FFFFFFFF", "\x00\x00", "-")

identities = st.builds(
    DeviceStatus,
    manufacturer=st.sampled_from(["", "Hikvision", "Dahua"]),
    model=st.sampled_from(["", "A", "B"]),
    firmware_version=st.text(max_size=8),
    serial_number=st.one_of(
        st.text(max_size=64), st.sampled_from([*WORTHLESS, "SN0017A", "X9Y8Z7"])
    ),
    endpoint_reference=st.one_of(
        st.text(max_size=64), st.uuids().map(lambda one: one.urn), st.just("urn:uuid:" + "0" * 32)
    ),
    mac_address=st.one_of(
        st.text(max_size=17),
        st.sampled_from(["00:00:00:00:00:00", "02:00:00:00:00:01", "AC-CC-8E-00-00-01"]),
    ),
)


@given(identities)
def test_a_device_is_never_taken_for_another_than_itself(one: DeviceStatus) -> None:
    assert judge(one, one).likeness in (Likeness.SAME, Likeness.UNKNOWN)


@given(identities, identities, st.text(max_size=12))
def test_a_verdict_is_the_same_from_both_sides_and_after_an_update(
    one: DeviceStatus, other: DeviceStatus, firmware: str
) -> None:
    verdict = judge(one, other)
    assert judge(other, one).likeness is verdict.likeness
    assert judge(one, other.model_copy(update={"firmware_version": firmware})) == verdict


@given(identities, identities, st.one_of(st.none(), st.text(max_size=64)))
def test_only_a_change_has_a_detail_and_it_is_one_printable_line(
    one: DeviceStatus, other: DeviceStatus, declared: str | None
) -> None:
    verdict = judge(one, other, declared)
    assert bool(verdict.detail) == verdict.changed
    assert verdict.detail.isprintable() or not verdict.detail
    assert len(verdict.detail) <= 200


@given(identities, st.sampled_from(WORTHLESS))
def test_without_any_hint_that_names_somebody_nothing_is_concluded(
    other: DeviceStatus, worthless: str
) -> None:
    before = DeviceStatus(
        manufacturer="Maker",
        model="Model",
        firmware_version="1",
        serial_number=worthless,
        mac_address="00:00:00:00:00:00",
    )
    now = other.model_copy(update={"manufacturer": "Maker", "model": "Model"})
    assert judge(before, now).likeness is Likeness.UNKNOWN


@pytest.mark.quirk(24)
def test_another_device_is_reported_with_old_and_new_identifier() -> None:
    verdict = judge(GATE, LOBBY)
    assert verdict.changed
    assert verdict.detail == (
        "The device with serial number DS-2CD204320190101AAWRC12345678 was here before, "
        "6J0B4A5PAG00123 answers"
    )


def test_a_stored_identity_is_compared_like_an_answer() -> None:
    status = DeviceStatus(serial_number=GATE.serial_number, mac_address=GATE.mac_address)
    assert judge(status, GATE).likeness is Likeness.SAME
    assert judge(status, LOBBY).changed


@pytest.mark.quirk(23)
@pytest.mark.parametrize(
    "now",
    [
        GATE.model_copy(update={"serial_number": "\x01\x02scrambled"}),
        GATE.model_copy(update={"serial_number": "0"}),
        GATE.model_copy(update={"mac_address": "00:00:00:00:00:00"}),
        GATE.model_copy(update={"mac_address": "02:00:00:00:00:01"}),
        GATE.model_copy(
            update={"endpoint_reference": "urn:uuid:11111111-2222-3333-4444-555566667777"}
        ),
        GATE.model_copy(update={"serial_number": "", "endpoint_reference": ""}),
        GATE.model_copy(update={"model": "DS-2CD2043G2-I", "firmware_version": "V5.7.1"}),
        GATE.model_copy(update={"serial_number": "ds2cd204320190101aawrc12345678"}),
        GATE.model_copy(
            update={
                "serial_number": "20190101AAWRC12345678",
                "mac_address": "",
                "endpoint_reference": "",
            }
        ),
    ],
    ids=[
        "scrambled-serial",
        "zero-serial",
        "zero-mac",
        "other-interface-first",
        "new-endpoint",
        "mac-alone",
        "update-renames-the-model",
        "hyphens-and-case",
        "update-cuts-the-serial",
    ],
)
def test_one_odd_hint_makes_no_other_device(now: DeviceStatus) -> None:
    assert judge(GATE, now).likeness is Likeness.SAME


@pytest.mark.quirk(23)
@pytest.mark.parametrize(
    "common",
    [
        {"mac_address": GATE.mac_address},
        {"serial_number": GATE.serial_number},
        {"endpoint_reference": GATE.endpoint_reference},
    ],
    ids=["first-interface-common", "serial-of-the-series", "endpoint-of-the-series"],
)
def test_one_hint_in_common_does_not_hide_another_device(common: dict[str, str]) -> None:
    assert judge(GATE, LOBBY.model_copy(update={**common})).changed


def test_hints_that_contradict_each_other_raise_no_alarm() -> None:
    now = GATE.model_copy(update={"mac_address": "68:6d:bc:00:00:01", "endpoint_reference": ""})
    assert judge(GATE, now).likeness is Likeness.UNKNOWN
    assert judge(GATE, now.model_copy(update={"manufacturer": "Dahua", "model": "IPC"})).changed


def test_the_serial_number_that_a_person_declares_confirms_an_exchange() -> None:
    assert judge(GATE, LOBBY, LOBBY.serial_number).likeness is Likeness.SAME
    verdict = judge(LOBBY, LOBBY, GATE.serial_number)
    assert verdict.changed
    assert verdict.detail == (
        "Serial number DS-2CD204320190101AAWRC12345678 is declared and 6J0B4A5PAG00123 answers"
    )


def test_a_device_without_a_serial_number_is_judged_by_the_rest() -> None:
    assert (
        judge(GATE, GATE.model_copy(update={"serial_number": ""}), "ABC123").likeness
        is Likeness.SAME
    )
    assert judge(GATE, LOBBY.model_copy(update={"serial_number": "0"}), GATE.serial_number).changed
    assert (
        judge(GATE, LOBBY.model_copy(update={"serial_number": "0"}), "0").likeness is Likeness.SAME
    )


@pytest.mark.quirk(23)
def test_ten_clones_are_one_group_and_each_names_the_others() -> None:
    clones = {f"10.0.0.{n}:80": GATE for n in range(1, 11)}
    groups = shared(clones | {"10.0.1.1:80": LOBBY})
    assert [group.devices for group in groups] == [tuple(sorted(clones))]
    detail = groups[0].detail_for("10.0.0.1:80")
    assert detail.startswith(f"Serial number {GATE.serial_number} is the answer of 10.0.0.10:80, ")
    assert "10.0.0.1:80" not in detail
    assert len(detail) <= 256


@pytest.mark.quirk(23)
def test_a_series_with_one_serial_number_is_no_group_of_clones() -> None:
    series = {
        f"10.0.0.{n}:80": GATE.model_copy(
            update={
                "mac_address": f"68:6d:bc:00:00:0{n}",
                "endpoint_reference": f"urn:uuid:abcdef0{n}-9876",
            }
        )
        for n in range(1, 6)
    }
    assert shared(series) == ()


@given(st.dictionaries(st.from_regex(r"10\.0\.0\.\d:80", fullmatch=True), identities, max_size=8))
def test_groups_do_not_depend_on_order_and_share_no_member(
    devices: dict[str, DeviceStatus],
) -> None:
    groups = shared(devices)
    backwards = shared(dict(reversed(devices.items())))
    assert [g.devices for g in groups] == [g.devices for g in backwards]
    members = [member for group in groups for member in group.devices]
    assert len(members) == len(set(members))
    assert all(len(group.devices) >= 2 for group in groups)


@given(identities)
def test_two_devices_without_usable_identifiers_are_no_clones(one: DeviceStatus) -> None:
    silent = one.model_copy(
        update={"serial_number": "0", "mac_address": "", "endpoint_reference": ""}
    )
    assert shared({"a:80": silent, "b:80": silent}) == ()


@given(identities, identities)
def test_an_identifier_that_is_missing_once_is_not_forgotten(
    before: DeviceStatus, now: DeviceStatus
) -> None:
    assume(judge(before, now).likeness is not Likeness.CHANGED)
    kept = merged(before, now)
    assert kept.serial_number == (now.serial_number or before.serial_number)
    assert kept.mac_address == (now.mac_address or before.mac_address)
    assert not judge(kept, now).changed
    assert merged(None, now) == now
