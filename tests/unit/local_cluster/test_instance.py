# SPDX-License-Identifier: Apache-2.0
"""Names, numbers and addresses of local clusters."""

from itertools import combinations
from pathlib import Path

import pytest

from local_cluster.errors import ClusterError
from local_cluster.instance import HIGHEST_NUMBER, Instance, forget, instance, instances


@pytest.fixture(autouse=True)
def state_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAMFLEET_STATE", str(tmp_path / "state"))


def test_no_two_instances_share_an_address_or_a_name_of_anything() -> None:
    everything = [Instance(f"i{number}", number) for number in range(1, HIGHEST_NUMBER + 1)]
    for one, other in combinations(everything, 2):
        assert not one.pod_cidr.overlaps(other.pod_cidr)
        assert not one.service_cidr.overlaps(other.service_cidr)
        assert one.node_address != other.node_address
        assert one.host_address != other.host_address
        assert one.host_interface != other.host_interface
        assert one.network_namespace != other.network_namespace
        assert one.cgroup != other.cgroup
        assert one.folder != other.folder


def test_interface_names_fit_the_kernel() -> None:
    # IFNAMSIZ is 16 with the closing zero byte.
    assert len(Instance("n" * 20, HIGHEST_NUMBER).host_interface) <= 15


def test_an_instance_keeps_its_number_until_it_is_forgotten() -> None:
    first, second = instance("demo"), instance("tests")
    assert first.number != second.number
    assert instance("demo") == first
    assert [one.name for one in instances()] == ["demo", "tests"]
    forget("demo")
    assert instance("other").number == first.number


def test_forgetting_twice_is_fine() -> None:
    instance("demo")
    forget("demo")
    forget("demo")
    assert instances() == []


def test_a_sixteenth_instance_is_refused_with_the_way_out() -> None:
    for number in range(HIGHEST_NUMBER):
        instance(f"i{number}")
    with pytest.raises(ClusterError, match="down --name"):
        instance("one-too-many")


@pytest.mark.parametrize("name", ["", "Demo", "-demo", "demo-", "../demo", "demo/x", "d" * 21])
def test_a_name_that_would_break_a_path_or_a_host_name_is_refused(name: str) -> None:
    with pytest.raises(ClusterError, match="no instance name"):
        instance(name)
