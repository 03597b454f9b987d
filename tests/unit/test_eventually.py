# SPDX-License-Identifier: Apache-2.0
"""The waiting that every other test relies on."""

from __future__ import annotations

import itertools

import pytest

from eventually import consistently, consistently_async, eventually, eventually_async


def test_eventually_returns_the_first_truthy_answer() -> None:
    answers = iter([0, None, "", "yes", "later"])
    assert eventually(lambda: next(answers), every_s=0) == "yes"


def test_eventually_forgives_exceptions_until_time_runs_out_and_then_shows_the_last() -> None:
    attempts = itertools.count()

    def never() -> bool:
        raise LookupError(f"no pod, attempt {next(attempts)}")

    with pytest.raises(AssertionError, match=r"never did not come true .* LookupError: no pod"):
        eventually(never, within_s=0.05, every_s=0.01)
    assert next(attempts) > 1


def test_eventually_shows_the_last_value() -> None:
    with pytest.raises(AssertionError, match=r"test_eventually.py:\d+ .* last value was 0"):
        eventually(lambda: 0, within_s=0.01)


def test_consistently_fails_at_the_first_false_answer() -> None:
    answers = iter([True, True, False, True])
    with pytest.raises(AssertionError, match="did not stay true"):
        consistently(lambda: next(answers), during_s=5, every_s=0)


async def test_the_async_twins_take_plain_and_async_predicates() -> None:
    async def soon() -> int:
        return next(answers)

    answers = iter([0, 0, 7])
    assert await eventually_async(soon, every_s=0) == 7
    assert await eventually_async(lambda: 7) == 7
    await consistently_async(lambda: True, during_s=0.01)
    with pytest.raises(AssertionError):
        await eventually_async(lambda: None, within_s=0.01)
