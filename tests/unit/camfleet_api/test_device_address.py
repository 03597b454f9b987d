# SPDX-License-Identifier: Apache-2.0
"""Which device an address names: one value, however the address is spelled."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camfleet_api.device_address import DeviceAddress, account_key, normalised_host

labels = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-", min_size=1)
names = st.lists(labels, min_size=1, max_size=4).map(".".join)
visible = st.text(st.characters(exclude_categories=["Z", "C"]), min_size=1)
hosts = st.one_of(names, st.ip_addresses().map(str), visible)
ports = st.integers(1, 65535)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("NVR1.site", "nvr1.site"),
        ("nvr1.site.", "nvr1.site"),
        ("FD00:0:0:0:0:0:0:1", "fd00::1"),
        ("fd00:0000::0001", "fd00::1"),
        ("[fd00::1]", "fd00::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
    ],
)
def test_spellings_of_one_host_are_one_device(one: str, other: str) -> None:
    assert DeviceAddress(one, 80) == DeviceAddress(other, 80)
    assert len({DeviceAddress(one, 80), DeviceAddress(other, 80)}) == 1


@pytest.mark.parametrize(
    ("host", "port"),
    [("nvr2.site", 80), ("nvr1.site", 81), ("192.0.2.1", 80), ("nvr1", 80), ("nvr1.site.vn", 80)],
)
def test_another_host_or_another_port_is_another_device(host: str, port: int) -> None:
    assert DeviceAddress(host, port) != DeviceAddress("nvr1.site", 80)


def test_an_address_is_shown_as_in_a_url() -> None:
    assert str(DeviceAddress("NVR1.site", 8080)) == "nvr1.site:8080"
    assert str(DeviceAddress("fd00::1", 80)) == "[fd00::1]:80"


@given(hosts)
def test_a_normalised_host_is_not_normalised_further_and_never_empty(host: str) -> None:
    assert normalised_host(normalised_host(host)) == normalised_host(host) != ""


@given(names, ports)
def test_the_case_of_a_name_and_the_dot_of_the_root_distinguish_nothing(
    name: str, port: int
) -> None:
    spellings = {name, name.lower(), name.upper(), name.swapcase(), f"{name}."}
    assert len({DeviceAddress(one, port) for one in spellings}) == 1


@given(st.ip_addresses(v=6), ports)
def test_the_form_of_an_ipv6_address_distinguishes_nothing(address: IPv6Address, port: int) -> None:
    spellings = {address.compressed, address.exploded, address.exploded.upper(), f"[{address}]"}
    assert len({DeviceAddress(one, port) for one in spellings}) == 1


@given(st.ip_addresses(), st.ip_addresses(), ports, ports)
def test_different_addresses_stay_different(
    one: IPv4Address | IPv6Address, other: IPv4Address | IPv6Address, port: int, second: int
) -> None:
    same = (_real(one), port) == (_real(other), second)
    assert (DeviceAddress(str(one), port) == DeviceAddress(str(other), second)) is same


def _real(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    return getattr(address, "ipv4_mapped", None) or address


def test_the_key_of_an_account_is_the_one_that_stands_in_statuses_already() -> None:
    """Were it another one after an upgrade, each account would have fresh attempts."""
    assert account_key(DeviceAddress("192.0.2.1", 80), "admin", "1") == "e4e719e25b267dfb"
    assert account_key(DeviceAddress("fd00::1", 80), "admin", "1") == "e5d0e2b24de0eaad"


def test_an_account_is_one_for_all_spellings_of_its_device() -> None:
    devices = (DeviceAddress("NVR1.site", 80), DeviceAddress("nvr1.site.", 80))
    keys = {account_key(device, "admin", "1") for device in devices}
    assert len(keys) == 1
    assert account_key(DeviceAddress("nvr1.site", 81), "admin", "1") not in keys
    assert account_key(DeviceAddress("nvr1.site", 80), "root", "1") not in keys
    assert account_key(DeviceAddress("nvr1.site", 80), "admin", "2") not in keys
