# SPDX-License-Identifier: Apache-2.0
"""Reading a bearer token, judging a review, and remembering verdicts."""

from __future__ import annotations

from http import HTTPStatus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camfleet_worker.cluster.reviewed_token import ReviewedToken
from camfleet_worker.endpoints.bearer import (
    ADMITTED_S,
    MOST_ADMITTED,
    MOST_REFUSED,
    REFUSED_S,
    Verdicts,
    bearer_token,
    judged,
)

AUDIENCE = "camfleet-snapshots"
VIEWER = "system:serviceaccount:camfleet-page:page"
OK, UNAUTHORIZED, FORBIDDEN = HTTPStatus.OK, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN


@pytest.mark.parametrize(
    ("field", "token"),
    [
        ("Bearer abc.DEF-1_2", "abc.DEF-1_2"),
        ("bearer   abc==", "abc=="),
        ("BEARER a~b+c/d", "a~b+c/d"),
    ],
)
def test_a_token_is_read_however_the_field_is_written(field: str, token: str) -> None:
    assert bearer_token([field]) == token


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param((), id="no field"),
        pytest.param(("",), id="an empty field"),
        pytest.param(("Bearer",), id="no token"),
        pytest.param(("Bearer ",), id="an empty token"),
        pytest.param(("Basic YTpi",), id="another scheme"),
        pytest.param(("abc",), id="no scheme"),
        pytest.param(("Bearer a b",), id="two words"),
        pytest.param(("Bearer a\x00b",), id="a control character"),
        pytest.param(("Bearer abc\n",), id="the end of a line"),
        pytest.param(("Bearer ábc",), id="not ASCII"),
        pytest.param(("Bearer abc", "Bearer abc"), id="two fields"),
    ],
)
def test_an_invalid_authorization_has_no_token(fields: tuple[str, ...]) -> None:
    assert bearer_token(fields) is None


@given(st.lists(st.text(max_size=40), max_size=2))
def test_any_fields_can_be_read(fields: list[str]) -> None:
    token = bearer_token(fields)
    assert token is None or (token and token.isascii() and token in fields[0])


@pytest.mark.parametrize(
    ("authenticated", "user", "audiences", "verdict"),
    [
        (True, VIEWER, {AUDIENCE}, OK),
        (True, VIEWER, {AUDIENCE, "other"}, OK),
        (False, VIEWER, {AUDIENCE}, UNAUTHORIZED),
        (True, VIEWER, set(), UNAUTHORIZED),
        (True, VIEWER, {"other"}, UNAUTHORIZED),
        (True, VIEWER + "r", {AUDIENCE}, FORBIDDEN),
        (True, "", {AUDIENCE}, FORBIDDEN),
        (True, "system:serviceaccount:phu-yen:page", {AUDIENCE}, FORBIDDEN),
    ],
)
def test_one_user_is_admitted_with_a_token_for_the_audience_and_no_other(
    authenticated: bool, user: str, audiences: set[str], verdict: HTTPStatus
) -> None:
    assert (
        judged(ReviewedToken(authenticated, user, frozenset(audiences)), AUDIENCE, VIEWER)
        is verdict
    )


def test_a_verdict_counts_for_moments_and_a_good_token_stays_known() -> None:
    verdicts = Verdicts()
    verdicts.keep("good", OK, now=100)
    verdicts.keep("bad", UNAUTHORIZED, now=100)
    assert verdicts.find("good", 100 + ADMITTED_S - 1) is OK
    assert verdicts.find("good", 100 + ADMITTED_S) is None
    assert verdicts.find("bad", 100 + REFUSED_S - 1) is UNAUTHORIZED
    assert verdicts.find("bad", 100 + REFUSED_S) is None
    assert verdicts.is_known("good")
    assert not verdicts.is_known("bad")


def test_a_token_that_is_withdrawn_is_known_no_more() -> None:
    verdicts = Verdicts()
    verdicts.keep("page", OK, now=100)
    verdicts.keep("page", UNAUTHORIZED, now=140)
    assert verdicts.find("page", 141) is UNAUTHORIZED
    assert not verdicts.is_known("page")


@given(st.lists(st.tuples(st.integers(0, 999), st.booleans()), max_size=900))
def test_no_number_of_tokens_makes_it_remember_more_than_its_bounds(
    shown: list[tuple[int, bool]],
) -> None:
    verdicts = Verdicts()
    for number, good in shown:
        verdicts.keep(str(number), OK if good else FORBIDDEN, now=0)
    found = [verdicts.find(str(number), 1) for number in range(1000)]
    assert found.count(OK) <= MOST_ADMITTED
    assert found.count(FORBIDDEN) <= MOST_REFUSED


def test_wrong_tokens_push_no_right_one_out() -> None:
    verdicts = Verdicts()
    verdicts.keep("page", OK, now=0)
    for number in range(10 * MOST_REFUSED):
        verdicts.keep(str(number), UNAUTHORIZED, now=1)
    assert verdicts.find("page", 2) is OK
