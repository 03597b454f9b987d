# SPDX-License-Identifier: Apache-2.0
"""A rate and a burst are kept whatever comes when, and nobody waits longer than they demand."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camfleet_base.token_bucket import TokenBucket
from virtual_time import run_virtual

rates = st.integers(1, 100)
bursts = st.integers(1, 50)
gaps = st.lists(st.floats(0, 2), min_size=1, max_size=80)


@given(per_s=rates, burst=bursts, gaps=gaps)
def test_no_window_holds_more_than_rate_and_burst(
    per_s: int, burst: int, gaps: list[float]
) -> None:
    bucket, now, granted = TokenBucket(per_s, burst), 0.0, []
    for gap in gaps:
        now += gap
        granted.append(now + bucket.reserve(now))
    for begin in granted:
        within = [at for at in granted if begin <= at <= begin + 1.0]
        assert len(within) <= per_s + burst + 1


@given(per_s=rates, burst=bursts, gaps=gaps)
def test_tokens_are_those_of_a_bucket_that_is_refilled(
    per_s: int, burst: int, gaps: list[float]
) -> None:
    bucket, now, filled_at, tokens = TokenBucket(per_s, burst), 0.0, 0.0, float(burst)
    for gap in gaps:
        now += gap
        tokens = min(burst, tokens + (now - filled_at) * per_s) - 1
        filled_at = now
        assert bucket.reserve(now) == pytest.approx(max(0.0, -tokens / per_s), abs=1e-6)


@given(per_s=rates, burst=bursts, gaps=gaps)
def test_the_first_caller_is_served_first(per_s: int, burst: int, gaps: list[float]) -> None:
    bucket, now, granted = TokenBucket(per_s, burst), 0.0, []
    for gap in gaps:
        now += gap
        granted.append(now + bucket.reserve(now))
    assert granted == sorted(granted)


@given(per_s=rates, burst=bursts, gaps=gaps, opens_at=st.floats(0, 5))
def test_no_token_is_given_while_it_is_closed(
    per_s: int, burst: int, gaps: list[float], opens_at: float
) -> None:
    bucket, now = TokenBucket(per_s, burst), 0.0
    bucket.close_until(opens_at)
    bucket.close_until(opens_at / 2)
    for gap in gaps:
        now += gap
        assert now + bucket.reserve(now) >= opens_at - 1e-9


def test_a_rested_bucket_gives_its_burst_at_once_and_then_its_rate() -> None:
    bucket = TokenBucket(per_s=2, burst=3)
    assert [bucket.reserve(100.0) for _ in range(5)] == [0, 0, 0, 0.5, 1.0]


def test_another_rate_goes_on_from_what_is_spent() -> None:
    bucket = TokenBucket(per_s=1, burst=1)
    assert bucket.reserve(0.0) == 0
    bucket.change_rate(per_s=10, burst=1)
    assert [round(bucket.reserve(0.0), 3) for _ in range(3)] == [1.0, 1.1, 1.2]


def test_taking_a_token_waits_and_returns_the_wait() -> None:
    async def main() -> tuple[list[float], float]:
        bucket = TokenBucket(per_s=10, burst=5)
        waited = [await bucket.take() for _ in range(7)]
        return waited, asyncio.get_running_loop().time()

    waited, now = run_virtual(main())
    assert waited == pytest.approx([0, 0, 0, 0, 0, 0.1, 0.1])
    assert now == pytest.approx(0.2)
