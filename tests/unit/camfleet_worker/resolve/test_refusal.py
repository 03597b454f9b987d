# SPDX-License-Identifier: Apache-2.0
"""What a device that refuses us offers, and what its refusal of our credentials means."""

from __future__ import annotations

import pytest

from camfleet_api.conditions import ConditionType, Reason
from camfleet_worker.base.errors import Retry
from camfleet_worker.login.challenges import parse_challenges
from camfleet_worker.resolve.attempts import AuthScheme
from camfleet_worker.resolve.refusal import Fault, Refusal, no_way_in, refusal_of, rejection

DIGEST = 'Digest realm="IP Camera", nonce="n", qop="auth"'
BASIC = 'Basic realm="IP Camera"'
NOT_AUTHORIZED = Fault(("Sender", "NotAuthorized"), "Sender not authorized")
TOKEN = AuthScheme.USERNAME_TOKEN


def refused(
    status: int = 401, challenges: tuple[str, ...] = (), fault: Fault | None = None, words: str = ""
) -> Refusal:
    refusal = refusal_of(status, tuple(parse_challenges(challenges)), fault, words)
    assert refusal is not None
    return refusal


@pytest.mark.parametrize(
    ("refusal", "offers"),
    [
        (refused(challenges=(DIGEST,)), (AuthScheme.DIGEST,)),
        (refused(challenges=(BASIC, DIGEST)), (AuthScheme.DIGEST,)),
        (refused(challenges=(DIGEST,), fault=NOT_AUTHORIZED), (AuthScheme.DIGEST, TOKEN)),
        (refused(400, fault=NOT_AUTHORIZED), (TOKEN,)),
        (refused(200, fault=NOT_AUTHORIZED), (TOKEN,)),
        (refused(401), (TOKEN,)),
        (refused(401, (BASIC,)), ()),
        (refused(403), ()),
    ],
    ids=[
        "digest",
        "basic-and-digest",
        "digest-and-fault",
        "fault-400",
        "fault-200",
        "bare-401",
        "basic",
        "bare-403",
    ],
)
def test_a_refusal_offers_its_schemes(refusal: Refusal, offers: tuple[AuthScheme, ...]) -> None:
    assert refusal.offers == offers


@pytest.mark.parametrize(
    ("status", "fault"),
    [
        (200, None),
        (404, None),
        (500, Fault(("Receiver", "ActionNotSupported"), "Optional Action Not Implemented")),
        (400, Fault(("Sender", "InvalidArgVal", "NoProfile"), "No such profile")),
    ],
)
def test_other_answers_are_no_refusal(status: int, fault: Fault | None) -> None:
    assert refusal_of(status, (), fault) is None


@pytest.mark.parametrize(
    "fault",
    [
        Fault(("Sender", "FailedAuthentication"), ""),
        Fault(("Receiver",), "Authority failure"),
        Fault(("Sender",), "The security token could not be authenticated or authorized"),
    ],
)
def test_a_fault_about_the_account_is_a_refusal_in_any_wording(fault: Fault) -> None:
    assert refused(500, fault=fault).offers == (TOKEN,)


@pytest.mark.parametrize(
    "words",
    [
        "The account is locked",
        "User locked out for 30 minutes",
        "Too many failed logins",
        "ter:AccountLocked",
    ],
)
def test_a_locked_account_is_recognised_and_left_alone(words: str) -> None:
    error = rejection((AuthScheme.DIGEST,), refused(words=words), 0.0)
    assert error.reason is Reason.ACCOUNT_LOCKED
    assert error.retry is Retry.SLOW


@pytest.mark.parametrize(
    "words",
    [
        "Timestamp is out of range",
        "wsse:MessageExpired",
        "Clock skew too large",
        "Invalid time in security token",
        "the Created value is too old",
    ],
)
def test_a_refusal_that_names_the_clock_is_about_the_clock(words: str) -> None:
    error = rejection((TOKEN,), refused(fault=Fault(("NotAuthorized",), words)), 3.0)
    assert error.reason is Reason.CLOCK_SKEW_REJECTED


@pytest.mark.parametrize(
    "words", ["Sender not authorized", "Wrong password, try again some time later", "Blocklist: no"]
)
def test_other_words_mean_a_wrong_user_name_or_password(words: str) -> None:
    error = rejection((TOKEN,), refused(fault=Fault(("NotAuthorized",), words)), 3.0)
    assert error.condition is ConditionType.AUTHENTICATED
    assert error.reason is Reason.CREDENTIALS_REJECTED
    assert error.retry is Retry.ON_SECRET_CHANGE


def test_a_token_signed_without_knowing_the_cameras_time_was_refused_for_the_clock() -> None:
    error = rejection((TOKEN,), refused(400, fault=NOT_AUTHORIZED), None)
    assert error.reason is Reason.CLOCK_SKEW_REJECTED


def test_where_digest_was_refused_too_the_clock_is_no_excuse() -> None:
    error = rejection((AuthScheme.DIGEST, TOKEN), refused(400, fault=NOT_AUTHORIZED), None)
    assert error.reason is Reason.CREDENTIALS_REJECTED
    assert error.detail.endswith("(HTTP Digest, then WS-UsernameToken)")


def test_a_login_by_basic_is_no_onvif_and_is_never_answered() -> None:
    error = no_way_in(80, refused(401, (BASIC,)))
    assert error.reason is Reason.NOT_ONVIF
    assert error.detail == (
        "Port 80 asks for a login by HTTP Basic, which is not how an ONVIF device asks"
    )


def test_a_port_that_forbids_everything_is_not_said_to_ask_for_a_login() -> None:
    error = no_way_in(80, refused(403))
    assert error.reason is Reason.NOT_ONVIF
    assert error.detail == (
        "Port 80 refuses every request, and asks for no login as an ONVIF device does"
    )


def test_a_token_that_was_refused_without_the_cameras_time_may_be_a_wrong_password() -> None:
    error = rejection((TOKEN,), refused(400, fault=NOT_AUTHORIZED), None)
    assert error.message.endswith("check the user name and the password.")
    assert "or the user name or the password" in error.detail


@pytest.mark.parametrize(
    "challenge",
    [
        'Digest realm="IP Camera"',
        'Digest realm="IP Camera", nonce="n", algorithm=SHA-512-256',
        'Digest realm="IP Camera", nonce="n", qop="auth-int"',
    ],
)
def test_a_digest_that_nobody_can_answer_is_named_and_is_no_way_in(challenge: str) -> None:
    refusal = refused(401, (BASIC, challenge))
    assert refusal.offers == ()
    error = no_way_in(80, refusal)
    assert error.reason is Reason.PROTOCOL_ERROR
    assert error.detail.startswith("Port 80 asks for a login by a Digest challenge that cannot be")


def test_where_digest_cannot_be_answered_the_token_is_tried_alone() -> None:
    unanswerable = 'Digest realm="IP Camera", nonce="n", algorithm=SHA-512-256'
    assert refused(401, (unanswerable,), NOT_AUTHORIZED).offers == (TOKEN,)
