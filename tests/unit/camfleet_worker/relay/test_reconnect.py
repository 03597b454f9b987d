# SPDX-License-Identifier: Apache-2.0
"""When relays connect again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from camfleet_worker.base.errors import Retry
from camfleet_worker.relay.reconnect import (
    FIRST_S,
    HEALTHY_S,
    LONGEST_S,
    SHORT_IN_A_ROW,
    SLOW_S,
    Reconnect,
)

SHARES = st.floats(0, 1, exclude_max=True)


@given(st.lists(SHARES, min_size=1, max_size=12))
def test_the_wait_is_a_random_share_of_an_interval_that_doubles_up_to_a_limit(
    shares: list[float],
) -> None:
    given_shares = iter(shares)
    reconnect = Reconnect(lambda: next(given_shares))
    for failures, share in enumerate(shares):
        now = 1000.0 * failures
        reconnect.failed(now, Retry.BACKOFF)
        due = now + share * min(LONGEST_S, FIRST_S * 2**failures)
        assert reconnect.may_connect(due)
        assert due == now or not reconnect.may_connect((now + due) / 2)


@given(SHARES, st.integers(1, 200))
def test_a_system_that_was_away_for_long_is_tried_often_enough_to_be_back_in_ten_seconds(
    share: float, failures: int
) -> None:
    reconnect = Reconnect(lambda: share)
    for failure in range(failures):
        reconnect.failed(1000.0 * failure, Retry.BACKOFF)
    assert reconnect.may_connect(1000.0 * (failures - 1) + 7.0)


def test_only_a_healthy_minute_resets_the_backoff() -> None:
    reconnect = Reconnect(lambda: 0.999)
    for _ in range(5):
        reconnect.failed(0.0, Retry.BACKOFF)
    reconnect.healthy(100.0)
    reconnect.failed(159.0, Retry.BACKOFF)
    assert not reconnect.may_connect(159.0 + 0.9 * LONGEST_S)
    reconnect.healthy(300.0)
    reconnect.failed(361.0, Retry.BACKOFF)
    assert reconnect.may_connect(361.0 + FIRST_S)


@given(st.lists(st.integers(0, int(HEALTHY_S) - 1), max_size=8))
def test_sessions_that_end_within_a_minute_again_and_again_are_unsteady(
    lasted: list[int],
) -> None:
    reconnect, now = Reconnect(lambda: 0.0), 0.0
    for number, session_s in enumerate(lasted):
        assert reconnect.unsteady(now) == (number >= SHORT_IN_A_ROW)
        reconnect.healthy(now)
        assert reconnect.unsteady(now) == (number >= SHORT_IN_A_ROW)
        now += session_s
        reconnect.failed(now, Retry.BACKOFF)
    reconnect.healthy(now)
    assert not reconnect.unsteady(now + HEALTHY_S + 0.001)
    reconnect.failed(now + HEALTHY_S + 0.001, Retry.BACKOFF)
    assert reconnect.short_sessions == 0


def test_attempts_that_never_open_a_session_are_no_short_sessions() -> None:
    reconnect = Reconnect(lambda: 0.0)
    for second in range(10):
        reconnect.failed(float(second), Retry.BACKOFF)
    assert not reconnect.unsteady(10.0)


@given(SHARES)
def test_refused_credentials_are_tried_again_rarely(share: float) -> None:
    reconnect = Reconnect(lambda: share)
    reconnect.failed(0.0, Retry.ON_SECRET_CHANGE)
    assert not reconnect.may_connect(SLOW_S / 2 - 1)
    assert reconnect.may_connect(SLOW_S)


def test_a_failure_that_only_a_declaration_can_end_is_not_tried_again() -> None:
    reconnect = Reconnect(lambda: 0.0)
    reconnect.failed(0.0, Retry.ON_SPEC_CHANGE)
    assert not reconnect.may_connect(1e12)
