# SPDX-License-Identifier: Apache-2.0
"""Keepalives after PLAY: the method, the login, and when to give up."""

from __future__ import annotations

import pytest

from camfleet_worker.login.challenges import Authorizer
from camfleet_worker.rtsp.message import Headers, MessageReader, Request, Response
from camfleet_worker.rtsp.session import RtspSession, answer_request

CHALLENGE = ("WWW-Authenticate", 'Digest realm="r", nonce="new"')


def playing_session() -> RtspSession:
    session = RtspSession(Authorizer("user", "secret"))
    session.aggregate_url = "rtsp://camera/live/"
    session.learn(Response(200, "OK", Headers([("Session", "abc;timeout=30")])))
    return session


def sent(data: bytes | None) -> Request:
    assert data is not None
    reader = MessageReader()
    reader.feed(data)
    (request,) = reader
    assert isinstance(request, Request)
    return request


def answer(request: Request, status: int = 200, *fields: tuple[str, str]) -> Response:
    return Response(status, "", Headers([("CSeq", str(request.cseq)), *fields]))


def test_a_keepalive_names_its_session_and_comes_well_before_the_timeout() -> None:
    session = playing_session()
    request = sent(session.keepalive())
    assert (request.method, request.uri) == ("OPTIONS", "rtsp://camera/live/")
    assert request.headers.get("session") == "abc"
    assert session.keepalive_interval_s == 10


def test_get_parameter_alternates_once_the_camera_has_named_it() -> None:
    session = playing_session()
    first = sent(session.keepalive())
    session.keepalive_answered(answer(first, 200, ("Public", "OPTIONS, GET_PARAMETER")))
    methods = [sent(session.keepalive()).method for _ in range(3)]
    assert methods == ["GET_PARAMETER", "OPTIONS", "GET_PARAMETER"]


@pytest.mark.parametrize("status", [405, 501, 551])
def test_a_method_that_the_camera_named_and_does_not_know_is_not_used_again(status: int) -> None:
    session = playing_session()
    session.keepalive_answered(answer(sent(session.keepalive()), 200, ("Public", "GET_PARAMETER")))
    session.keepalive_answered(answer(sent(session.keepalive()), status))
    assert [sent(session.keepalive()).method for _ in range(2)] == ["OPTIONS", "OPTIONS"]


def test_all_methods_that_the_camera_names_come_within_its_timeout() -> None:
    session = playing_session()
    public = ("Public", "OPTIONS, SET_PARAMETER, GET_PARAMETER, PLAY")
    session.keepalive_answered(answer(sent(session.keepalive()), 200, public))
    assert {sent(session.keepalive()).method for _ in range(3)} == {
        "OPTIONS",
        "GET_PARAMETER",
        "SET_PARAMETER",
    }
    assert session.keepalive_interval_s * 3 < session.timeout_s


def test_a_camera_without_options_is_asked_by_get_parameter_and_then_by_nothing() -> None:
    session = playing_session()
    session.keepalive_answered(answer(sent(session.keepalive()), 501))
    second = sent(session.keepalive())
    assert second.method == "GET_PARAMETER"
    session.keepalive_answered(answer(second, 501))
    assert session.keepalive() is None


@pytest.mark.parametrize("header", ["abc", "abc;timeout=", "abc;timeout=99999999999999"])
def test_an_unstated_timeout_is_taken_for_half_a_minute(header: str) -> None:
    session = RtspSession(None)
    session.learn(Response(200, "OK", Headers([("Session", header)])))
    assert session.keepalive_interval_s == 10


def test_an_answer_without_timeout_takes_a_stated_one_not_back() -> None:
    session = playing_session()
    session.learn(Response(200, "OK", Headers([("Session", "other")])))
    assert (session.session_id, session.timeout_s) == ("other", 30)


def test_a_refused_keepalive_is_repeated_once_with_the_new_nonce() -> None:
    session = playing_session()
    first = sent(session.keepalive())
    again = sent(session.keepalive_answered(answer(first, 401, CHALLENGE)))
    assert again.method == first.method
    assert 'nonce="new"' in (again.headers.get("authorization") or "")
    assert session.keepalive_answered(answer(again, 401, CHALLENGE)) is None
    assert session.keepalive() is None


def test_an_accepted_repetition_starts_the_count_of_refusals_anew() -> None:
    session = playing_session()
    for _ in range(5):
        first = sent(session.keepalive())
        again = sent(session.keepalive_answered(answer(first, 401, CHALLENGE)))
        assert session.keepalive_answered(answer(again)) is None


@pytest.mark.parametrize("challenges", [[CHALLENGE], []], ids=["challenged", "just-refused"])
def test_options_without_a_login_does_not_reset_a_refused_get_parameter(
    challenges: list[tuple[str, str]],
) -> None:
    session = playing_session()
    session.keepalive_answered(answer(sent(session.keepalive()), 200, ("Public", "GET_PARAMETER")))
    refused = 0
    for _ in range(6):
        data = session.keepalive()
        while data is not None:
            request = sent(data)
            status = 401 if request.method == "GET_PARAMETER" else 200
            refused += status == 401
            data = session.keepalive_answered(answer(request, status, *challenges))
    assert refused == 2


def test_an_answer_to_something_else_is_no_answer_to_the_keepalive() -> None:
    session = playing_session()
    first = sent(session.keepalive())
    late = Response(401, "", Headers([("CSeq", str((first.cseq or 0) - 1)), CHALLENGE]))
    assert session.keepalive_answered(late) is None
    assert session.keepalive() is not None


@pytest.mark.parametrize(
    ("method", "status"), [("OPTIONS", 200), ("GET_PARAMETER", 200), ("REDIRECT", 501)]
)
def test_a_server_may_ask_whether_we_live_and_order_nothing(method: str, status: int) -> None:
    reader = MessageReader()
    reader.feed(answer_request(Request(method, "*", Headers([("CSeq", "42")]))))
    (reply,) = reader
    assert isinstance(reply, Response)
    assert (reply.status, reply.cseq) == (status, 42)


def test_a_method_that_public_does_not_name_is_sent_where_it_is_known_to_count() -> None:
    session = RtspSession(None, unnamed_keepalive="SET_PARAMETER")
    session.aggregate_url = "rtsp://camera/1"
    first = sent(session.keepalive())
    session.keepalive_answered(answer(first, 200, ("Public", "OPTIONS, PLAY")))
    methods = [sent(session.keepalive()).method for _ in range(3)]
    assert methods == ["SET_PARAMETER", "OPTIONS", "SET_PARAMETER"]


@pytest.mark.parametrize(
    ("header", "span_s"),
    [("1;timeout=10", (5.0, 20.0)), ("1", (15.0, 120.0)), ("", (15.0, 120.0))],
)
def test_a_session_whose_keepalives_do_not_count_ends_at_about_its_timeout(
    header: str, span_s: tuple[float, float]
) -> None:
    session = RtspSession(None)
    session.learn(Response(200, "OK", Headers([("Session", header)])))
    assert session.uncounted_ends_s == span_s
