# SPDX-License-Identifier: Apache-2.0
"""Steps of the wall clock: told once, with their length; slewing and drift are no step."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camfleet_worker.timeline.clock_steps import STEP_S, ClockSteps


@given(st.floats(-1e9, 1e9).filter(lambda step: abs(step) >= STEP_S + 0.1))
def test_a_step_is_told_once(step_s: float) -> None:
    clock = ClockSteps()
    told = [clock.observe(1.7e9 + at + step_s * (at >= 5), float(at)) for at in range(10)]
    assert [round(one, 2) != 0 for one in told].index(True) == 5
    assert told[5] == pytest.approx(step_s, abs=0.01)
    assert [one for at, one in enumerate(told) if at != 5] == [0.0] * 9


@given(st.floats(-0.1, 0.1))
def test_drift_however_long_is_no_step(rate: float) -> None:
    clock = ClockSteps()
    assert not any(clock.observe(1.7e9 + at * (1 + rate), float(at)) for at in range(1000))


@given(st.floats(-1e9, 1e9), st.floats(-1e9, 1e9))
def test_how_far_the_wall_clock_is_ahead_is_known_after_each_call(one: float, two: float) -> None:
    clock = ClockSteps()
    for ahead_s in (one, two):
        clock.observe(1000.0 + ahead_s, 1000.0)
        assert clock.ahead_s == pytest.approx(ahead_s, abs=1e-3)
