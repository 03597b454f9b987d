# SPDX-License-Identifier: Apache-2.0
"""The doorkeeper of a camera: which attempts open it, which count, and when it locks."""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camera_simulator.authentication import Doorkeeper, UsernameToken, parse_auth_parameters
from camera_simulator.counters import Counters, Verdict
from camera_simulator.settings import CameraSettings

NOW = datetime(2021, 5, 30, 7, 0, tzinfo=UTC)
CAMERA = CameraSettings("gate", password="p@ss:/%", lockout_after=3, lockout_s=60.0)
printable = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40)


@pytest.fixture
def doorkeeper() -> Doorkeeper:
    return Doorkeeper(Counters())


def token(
    password: str = "p@ss:/%",
    username: str = "ingest",
    created: datetime = NOW,
    nonce: bytes = b"n" * 16,
    digested: bool = True,
) -> UsernameToken:
    stamp = created.strftime("%Y-%m-%dT%H:%M:%SZ")
    digest = hashlib.sha1(nonce + stamp.encode() + password.encode()).digest()
    said = base64.b64encode(digest).decode()
    return UsernameToken(username, said, digested, base64.b64encode(nonce).decode(), stamp)


def digest_header(doorkeeper: Doorkeeper, password: str, uri: str = "/x", count: int = 1) -> str:
    """An Authorization header for a fresh challenge of the ONVIF door, by RFC 2617 §3.2.2."""
    challenge = parse_auth_parameters(doorkeeper.challenges(CAMERA, "onvif")[0].partition(" ")[2])
    return answer(challenge, password, uri, count)


def answer(challenge: dict[str, str], password: str, uri: str = "/x", count: int = 1) -> str:
    secret = md5(f"ingest:{challenge['realm']}:{password}")
    nonce = challenge["nonce"]
    response = md5(f"{secret}:{nonce}:{count:08x}:cn:auth:{md5(f'POST:{uri}')}")
    return (
        f'Digest username="ingest", realm="{challenge["realm"]}", nonce="{nonce}", uri="{uri}", '
        f'qop=auth, nc={count:08x}, cnonce="cn", response="{response}"'
    )


def md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()


@pytest.mark.parametrize(
    ("said", "verdict"),
    [
        pytest.param(token(), Verdict.ACCEPTED, id="right"),
        pytest.param(token(password="no"), Verdict.WRONG_PASSWORD, id="wrong password"),
        pytest.param(token(username="root"), Verdict.UNKNOWN_ACCOUNT, id="unknown account"),
        pytest.param(
            token(created=NOW + timedelta(seconds=61)), Verdict.CLOCK, id="from the future"
        ),
        pytest.param(token(created=NOW - timedelta(seconds=61)), Verdict.CLOCK, id="too old"),
        pytest.param(
            token(created=NOW - timedelta(seconds=59)), Verdict.ACCEPTED, id="in the window"
        ),
        pytest.param(token(digested=False), Verdict.MALFORMED, id="password in clear"),
    ],
)
def test_a_token_is_judged(doorkeeper: Doorkeeper, said: UsernameToken, verdict: Verdict) -> None:
    assert doorkeeper.judge_token(said, CAMERA, NOW, 0.0) is verdict


@given(password=printable)
def test_any_printable_password_opens_and_only_that(password: str) -> None:
    settings = CameraSettings("gate", password=password)
    doorkeeper = Doorkeeper(Counters())
    assert doorkeeper.judge_token(token(password), settings, NOW, 0.0) is Verdict.ACCEPTED
    other = token(password + "x", nonce=b"m" * 16)
    assert doorkeeper.judge_token(other, settings, NOW, 0.0) is Verdict.WRONG_PASSWORD


def test_a_token_sent_twice_is_a_replay(doorkeeper: Doorkeeper) -> None:
    assert doorkeeper.judge_token(token(), CAMERA, NOW, 0.0) is Verdict.ACCEPTED
    assert doorkeeper.judge_token(token(), CAMERA, NOW, 0.0) is Verdict.REPLAYED


def test_refusals_in_a_row_lock_the_account_for_every_scheme_until_time_has_passed(
    doorkeeper: Doorkeeper,
) -> None:
    for number in range(3):
        wrong = token("no", nonce=bytes([number]) * 16)
        assert doorkeeper.judge_token(wrong, CAMERA, NOW, 0.0) is Verdict.WRONG_PASSWORD
    right = digest_header(doorkeeper, "p@ss:/%")
    judged = doorkeeper.judge_authorization(right, CAMERA, "onvif", "POST", "/x", 59.0)
    assert judged is Verdict.LOCKED
    assert doorkeeper.judge_token(token(), CAMERA, NOW, 61.0) is Verdict.ACCEPTED


def test_a_success_between_refusals_keeps_the_account_open(doorkeeper: Doorkeeper) -> None:
    for number in range(6):
        password = "p@ss:/%" if number % 3 == 2 else "no"
        said = token(password, nonce=bytes([number]) * 16)
        assert doorkeeper.judge_token(said, CAMERA, NOW, 0.0) is not Verdict.LOCKED


@pytest.mark.parametrize(
    ("password", "uri", "verdict"),
    [
        pytest.param("p@ss:/%", "/x", Verdict.ACCEPTED, id="right"),
        pytest.param("no", "/x", Verdict.WRONG_PASSWORD, id="wrong password"),
        pytest.param("p@ss:/%", "/y", Verdict.MALFORMED, id="for another address"),
    ],
)
def test_http_digest_is_judged(
    doorkeeper: Doorkeeper, password: str, uri: str, verdict: Verdict
) -> None:
    header = digest_header(doorkeeper, password, uri)
    assert doorkeeper.judge_authorization(header, CAMERA, "onvif", "POST", "/x", 0.0) is verdict


def test_a_digest_answer_cannot_be_used_twice_but_its_nonce_can(doorkeeper: Doorkeeper) -> None:
    challenge = parse_auth_parameters(doorkeeper.challenges(CAMERA, "onvif")[0].partition(" ")[2])
    judged = [
        doorkeeper.judge_authorization(
            answer(challenge, "p@ss:/%", count=count), CAMERA, "onvif", "POST", "/x", 0.0
        )
        for count in (1, 1, 2)
    ]
    assert judged == [Verdict.ACCEPTED, Verdict.REPLAYED, Verdict.ACCEPTED]


def test_an_unknown_nonce_is_stale_and_counts_as_no_attempt() -> None:
    counters = Counters()
    doorkeeper = Doorkeeper(counters)
    header = answer({"realm": "r", "nonce": "never given"}, "p@ss:/%")
    judged = doorkeeper.judge_authorization(header, CAMERA, "onvif", "POST", "/x", 0.0)
    assert (judged, counters.refused()) == (Verdict.STALE_NONCE, 0)
    assert "stale=true" in doorkeeper.challenges(CAMERA, "onvif", stale=True)[0]


def test_a_scheme_that_the_camera_does_not_offer_never_opens_it(doorkeeper: Doorkeeper) -> None:
    basic = "Basic " + base64.b64encode(b"ingest:p@ss:/%").decode()
    judged = doorkeeper.judge_authorization(basic, CAMERA, "rtsp", "DESCRIBE", "/x", 0.0)
    assert judged is Verdict.MALFORMED
