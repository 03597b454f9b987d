# SPDX-License-Identifier: Apache-2.0
"""What a camera's refusal means, by its status and by what it writes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camfleet_api.conditions import Reason
from camfleet_worker.rtsp.message import Headers, Response
from camfleet_worker.rtsp.refusal import attempts_left, locked, redirected_host, refused


def answer(status: int, body: str = "", *fields: tuple[str, str], phrase: str = "") -> Response:
    return Response(status, phrase, Headers(fields), body.encode())


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("You still have 22 attempts", 22),
        ("3 attempts left", 3),
        ("1 more login attempt before the account is locked out for 30 minutes", 1),
        ("<retryTimes>4</retryTimes>", 4),
        ("retryTimes: 4", 4),
        ("attempts left=0", 0),
        ("Unauthorized", None),
        ("", None),
    ],
)
def test_attempts_left_are_read_from_what_cameras_write(text: str, left: int | None) -> None:
    assert attempts_left(answer(401, text)) == left


@pytest.mark.parametrize(
    "text",
    [
        "The account is locked",
        "User Locked",
        "illegal login",
        "0 attempts left",
        "<lockStatus>lock</lockStatus>",
    ],
)
def test_a_locked_account_is_recognised(text: str) -> None:
    for response in (
        answer(401, text),
        answer(403, phrase=text),
        answer(401, "", ("X-Error", text)),
    ):
        assert refused("DESCRIBE", response).reason is Reason.ACCOUNT_LOCKED


@pytest.mark.parametrize(
    "text",
    [
        "clock is wrong",
        "blocked by peer",
        "unlock the door",
        "<lockStatus>unlock</lockStatus>",
        "5 attempts left",
        "1 more attempt before the account is locked",
    ],
)
def test_other_words_lock_nothing(text: str) -> None:
    assert not locked(answer(401, text))


@pytest.mark.parametrize(
    ("fields", "known_s", "wait_s"),
    [
        ([("Retry-After", "17")], 30.0, 17.0),
        ([("Session", "1;timeout=20")], 30.0, 20.0),
        ([("Session", "1")], 30.0, 30.0),
        ([], 0.0, 60.0),
        ([("Retry-After", "999999")], 0.0, 120.0),
        ([("Retry-After", "soon")], 0.0, 60.0),
    ],
)
def test_a_session_limit_is_waited_out_for_as_long_as_a_session_lasts(
    fields: list[tuple[str, str]], known_s: float, wait_s: float
) -> None:
    error = refused("SETUP", answer(453, "", *fields), known_s)
    assert (error.reason, error.retry_after_s) == (Reason.SESSION_LIMIT, wait_s)


@pytest.mark.parametrize(
    ("location", "host"),
    [
        ("rtsp://192.168.1.88:554/live", "192.168.1.88"),
        ("/live/other", ""),
        ("rtsp://user:secret@camera/live", "camera"),
        ("rtsp://[bad", ""),
    ],
)
def test_the_host_of_a_redirect(location: str, host: str) -> None:
    assert redirected_host(location) == host


@given(st.integers(100, 999), st.text(), st.binary(max_size=300))
def test_every_refusal_has_a_reason_and_a_fact_for_people(
    status: int, phrase: str, body: bytes
) -> None:
    error = refused("PLAY", Response(status, phrase, Headers(), body))
    assert error.detail.isprintable()
    assert error.detail
