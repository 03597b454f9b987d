# SPDX-License-Identifier: Apache-2.0
"""The arithmetic behind the tables of the fleet measurements."""

from __future__ import annotations

import math
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.benchmarks.figures import Figures, percentile, slope, slope_error
from tests.benchmarks.fleet.connects import Connect, busiest_second
from tests.benchmarks.fleet.source_network import NUMBERS, SourceNetwork

GATE, YARD = IPv4Address("10.246.0.1"), IPv4Address("10.246.0.2")

numbers = st.floats(-1e3, 1e3)


@given(st.lists(numbers, min_size=1), st.floats(0.01, 1.0))
def test_a_percentile_is_a_value_that_this_share_does_not_exceed(
    values: list[float], share: float
) -> None:
    found = percentile(values, share)
    assert found in values
    assert sum(value <= found for value in values) >= int(share * 100) / 100 * len(values)


def test_the_percentiles_of_a_hundred_are_their_numbers() -> None:
    values = [float(number) for number in range(1, 101)]
    assert [percentile(values, share) for share in (0.5, 0.95, 1.0)] == [50, 95, 100]


@given(numbers, numbers)
def test_a_straight_line_has_its_slope_and_no_error(tilt: float, start: float) -> None:
    points = [(x / 10, start + tilt * x / 10) for x in range(20)]
    assert slope(points) == pytest.approx(tilt, abs=1e-6)
    assert slope_error(points) == pytest.approx(0, abs=1e-6)


def test_scatter_tilts_a_line_by_no_more_than_its_error_tells() -> None:
    points = [(float(x), 5.0 if x % 2 else -5.0) for x in range(100)]
    assert abs(slope(points)) <= 2 * slope_error(points)
    assert slope_error(points[:2]) == math.inf


def test_the_busiest_second_is_found_wherever_it_begins() -> None:
    times = [0.0, 0.9, 1.5, 1.6, 1.8, 2.49, 4.0]
    seen = [Connect(at, GATE, accepted=False) for at in times]
    seen.append(Connect(1.5, YARD, accepted=False))
    assert busiest_second(seen, str) == {str(GATE): 4, str(YARD): 1}
    assert busiest_second(seen, lambda _: "site") == {"site": 5}


def test_no_two_networks_or_sites_share_an_address() -> None:
    networks = [SourceNetwork(number) for number in NUMBERS]
    sites = [network.site(site) for network in networks for site in range(128)]
    assert len(set(sites)) == len(sites)
    assert all(network.site(127).subnet_of(network.cameras) for network in networks)
    assert all(len(network.interface) < 16 for network in networks)  # IFNAMSIZ


def test_a_demand_that_is_not_met_fails_the_measurement(capsys: pytest.CaptureFixture[str]) -> None:
    figures = Figures()
    figures.add("cameras", "500", "500")
    figures.demand(met=True, failure="never said")
    assert figures.print() == 0
    figures.demand(met=False, failure="an account is locked")
    assert figures.print() == 1
    assert "FAILED an account is locked" in capsys.readouterr().out
