# SPDX-License-Identifier: Apache-2.0
"""How often a namespace is planned and an object written, and that neither leaves a trace."""

from __future__ import annotations

from camfleet_operator.pace import BATCH_S, BatchPeriods, WritePace


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_changes_are_gathered_for_longer_where_planning_takes_longer() -> None:
    periods = BatchPeriods()
    periods.planned("large", took_s=0.5)
    periods.planned("small", took_s=0.001)
    assert periods.of("large") == 2.0
    assert periods.of("small") == periods.of("never planned") == BATCH_S


def test_a_namespace_that_became_small_has_the_usual_period_again() -> None:
    periods = BatchPeriods()
    periods.planned("ns", took_s=0.5)
    periods.planned("ns", took_s=0.0)
    assert periods.of("ns") == BATCH_S


def test_an_object_is_written_once_in_its_period() -> None:
    clock = Clock()
    pace = WritePace(clock)
    assert pace.wait_s("site", 2.0) == 0
    clock.now += 0.5
    assert pace.wait_s("site", 2.0) == 1.5
    assert pace.wait_s("another", 2.0) == 0
    clock.now += 1.5
    assert pace.wait_s("site", 2.0) == 0


def test_an_object_whose_period_is_over_is_forgotten() -> None:
    clock = Clock()
    pace = WritePace(clock)
    for number in range(100):
        pace.wait_s(number, 2.0)
    clock.now += 2.0
    pace.wait_s("one more", 2.0)
    assert len(pace) == 1
