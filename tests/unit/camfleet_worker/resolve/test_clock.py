# SPDX-License-Identifier: Apache-2.0
"""What is said about a camera's clock, and what is not said because it would tick."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camfleet_api.conditions import Reason
from camfleet_worker.resolve.clock import clock_trouble, utc_epoch

DAY_S = 86_400


@pytest.mark.parametrize("offset_s", [0, 5, -5])
def test_a_clock_within_five_seconds_is_good_enough(offset_s: int) -> None:
    assert clock_trouble(offset_s) is None


@pytest.mark.parametrize(
    ("offset_s", "fact"),
    [
        (6, "The camera's clock is seconds ahead of ours"),
        (-61, "The camera's clock is 1 minute behind ours"),
        (7 * 3600 + 12, "The camera's clock is 7 hours ahead of ours"),
        (5 * 3600 + 1800, "The camera's clock is 5 hours ahead of ours"),
        (5 * 3600 + 2700, "The camera's clock is 5 hours ahead of ours"),
        (-184 * DAY_S - 3, "The camera's clock is 184 days behind ours"),
    ],
)
def test_the_offset_is_given_in_the_greatest_unit_that_fits(offset_s: int, fact: str) -> None:
    trouble = clock_trouble(offset_s)
    assert trouble is not None
    assert (trouble.reason, trouble.detail) == (Reason.CLOCK_OFF, fact)


@given(
    st.sampled_from([60, 3600, DAY_S]),
    st.integers(1, 14),
    st.integers(-5, 5),
    st.sampled_from([1, -1]),
)
def test_a_clock_off_by_whole_units_is_described_alike_however_it_is_read(
    unit_s: int, many: int, read_s: int, sign: int
) -> None:
    """Time zones are whole hours, and a reading is exact to some seconds."""
    assert clock_trouble(sign * (many * unit_s + read_s)) == clock_trouble(sign * many * unit_s)


def test_a_camera_that_does_not_report_its_time_is_not_synchronized() -> None:
    trouble = clock_trouble(None)
    assert trouble is not None
    assert trouble.reason is Reason.CLOCK_UNREADABLE


@given(st.integers(2, 300), st.integers(0, 3599), st.integers(0, 3599))
def test_the_message_stays_the_same_while_the_clock_drifts_within_the_hour(
    days: int, first_s: int, then_s: int
) -> None:
    assert clock_trouble(-days * DAY_S - first_s) == clock_trouble(-days * DAY_S - then_s)


@pytest.mark.parametrize(
    "said",
    [(0, 0, 0, 0, 0, 0), (2026, 2, 30, 1, 1, 1), (2026, 5, 1, 10, 61, 0), (2026, 5, 1, 24, 0, 0)],
)
def test_a_time_that_does_not_exist_is_none(said: tuple[int, int, int, int, int, int]) -> None:
    assert utc_epoch(*said) is None


def test_a_time_that_exists_is_seconds_since_1970() -> None:
    assert utc_epoch(1970, 1, 2, 0, 0, 1) == DAY_S + 1
