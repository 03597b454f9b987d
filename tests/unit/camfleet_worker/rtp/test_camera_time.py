# SPDX-License-Identifier: Apache-2.0
"""A sender report tells the camera's wall clock for the pictures around it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camfleet_worker.rtp.rtcp import SenderReport

_REPORTED_NTP = (1_000_000 + 2_208_988_800) << 32


@given(st.integers(0, 2**32 - 1), st.integers(-(10**8), 10**8))
def test_a_picture_is_as_far_from_the_report_as_its_timestamp_across_the_wrap(
    reference: int, step: int
) -> None:
    report = SenderReport(1, _REPORTED_NTP, reference, 0.0)
    found = report.camera_time_at((reference + step) % 2**32, 90_000)
    assert found == pytest.approx(1_000_000 + step / 90_000, rel=0, abs=1e-5)


def test_a_report_without_ntp_time_tells_no_clock() -> None:
    assert SenderReport(1, 0, 5, 0.0).camera_time_at(5, 90_000) is None
