# SPDX-License-Identifier: Apache-2.0
"""How many logins one attempt to play costs an account."""

from __future__ import annotations

import asyncio

import pytest

from camfleet_api.conditions import Reason
from camfleet_worker.base.errors import IngestError
from camfleet_worker.login.challenges import Authorizer
from camfleet_worker.rtsp.login import RtspLogin
from camfleet_worker.rtsp.message import Headers, Response
from camfleet_worker.rtsp.session import RtspSession

DIGEST = ("WWW-Authenticate", 'Digest realm="r", nonce="n"')
BASIC = ("WWW-Authenticate", 'Basic realm="r"')


def refusal(*headers: tuple[str, str], body: bytes = b"") -> Response:
    return Response(401, "Unauthorized", Headers(headers), body)


class Camera:
    """Answers what it was given to answer, and counts what was spent."""

    def __init__(self, *answers: Response, credentials: bool = True) -> None:
        self.answers = list(answers)
        self.attempts = 0
        self.accepted = 0
        session = RtspSession(Authorizer("user", "secret") if credentials else None)
        self.login = RtspLogin(session, credentials, self.count, self.note_accepted)

    async def count(self) -> None:
        self.attempts += 1

    def note_accepted(self) -> None:
        self.accepted += 1

    async def ask(self) -> Response:
        return self.answers.pop(0)

    def challenge(self, response: Response) -> Response:
        return asyncio.run(self.login.answer(response, self.ask))


def test_right_credentials_cost_one_attempt_and_a_nonce_for_each_url_none() -> None:
    camera = Camera(Response(200, "OK"), Response(200, "OK"))
    assert camera.challenge(refusal(DIGEST)).status == 200
    assert camera.challenge(refusal(DIGEST)).status == 200
    assert camera.attempts == 1


@pytest.mark.parametrize(
    ("status", "accepted"),
    [(200, 1), (302, 1), (404, 1), (453, 1), (461, 1), (401, 0), (400, 0), (403, 0), (500, 0)],
)
def test_a_login_is_accepted_where_the_answer_is_about_something_else(
    status: int, accepted: int
) -> None:
    camera = Camera(Response(status, ""))
    camera.challenge(refusal(DIGEST))
    assert camera.accepted == accepted


@pytest.mark.parametrize(
    ("offered", "attempts"), [((DIGEST,), 1), ((DIGEST, BASIC), 2)], ids=["one", "two"]
)
def test_wrong_credentials_cost_one_attempt_for_each_scheme_offered(
    offered: tuple[tuple[str, str], ...], attempts: int
) -> None:
    camera = Camera(*[refusal(*offered)] * 3)
    assert camera.challenge(refusal(*offered)).status == 401
    assert camera.attempts == attempts


def test_a_stale_nonce_costs_no_further_attempt() -> None:
    stale = refusal(("WWW-Authenticate", DIGEST[1] + ", stale=true"))
    camera = Camera(stale, Response(200, "OK"))
    assert camera.challenge(refusal(DIGEST)).status == 200
    assert camera.attempts == 1


@pytest.mark.parametrize(
    ("challenge", "credentials", "reason"),
    [
        (refusal(DIGEST), False, Reason.CREDENTIALS_MISSING),
        (refusal(("WWW-Authenticate", "Negotiate")), True, Reason.PROTOCOL_ERROR),
        (refusal(DIGEST, body=b"the account is locked"), True, Reason.ACCOUNT_LOCKED),
    ],
    ids=["nothing-at-hand", "another-scheme", "locked"],
)
def test_a_login_that_cannot_succeed_costs_no_attempt(
    challenge: Response, credentials: bool, reason: Reason
) -> None:
    camera = Camera(credentials=credentials)
    with pytest.raises(IngestError) as refused:
        camera.challenge(challenge)
    assert (refused.value.reason, camera.attempts) == (reason, 0)
