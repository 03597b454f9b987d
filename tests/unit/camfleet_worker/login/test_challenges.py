# SPDX-License-Identifier: Apache-2.0
"""Login answers against the examples printed in the RFCs, and the choice between challenges."""

from __future__ import annotations

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camfleet_worker.base.octets import OCTETS
from camfleet_worker.login.challenges import (
    Authorization,
    Authorizer,
    parse_challenges,
)
from camfleet_worker.rtsp.message import Response, parse_message


def answer(
    *challenges: str,
    username: str = "Mufasa",
    password: str = "Circle Of Life",
    cnonce: str = "0a4f113b",
) -> Authorization | None:
    authorizer = Authorizer(username, password, lambda: cnonce)
    return authorizer.answer(parse_challenges(challenges))


def fields(header: str) -> dict[str, str]:
    (challenge,) = parse_challenges([header])
    return challenge.parameters


def test_the_example_of_rfc_2617_section_3_5() -> None:
    digest = answer(
        'Digest realm="testrealm@host.com", qop="auth,auth-int", '
        'nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", opaque="5ccc069c403ebaf9f0171e9517f40e41"'
    )
    assert digest is not None
    sent = fields(digest.header("GET", "/dir/index.html"))
    assert sent["response"] == "6629fae49393a05397450978507c4ef1"
    assert (sent["nc"], sent["qop"]) == ("00000001", "auth")
    assert sent["opaque"] == "5ccc069c403ebaf9f0171e9517f40e41"


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_the_examples_of_rfc_7616_section_3_9_1(algorithm: str, response: str) -> None:
    digest = answer(
        f'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm={algorithm}, '
        'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", '
        'opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"',
        password="Circle of Life",
        cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
    )
    assert digest is not None
    sent = fields(digest.header("GET", "/dir/index.html"))
    assert (sent["response"], sent["algorithm"]) == (response, algorithm)


def test_digest_without_qop_is_the_one_of_rfc_2069() -> None:
    digest = answer('Digest realm="r", nonce="n"', username="u", password="p")
    assert digest is not None

    def md5(text: str) -> str:
        return hashlib.md5(text.encode()).hexdigest()

    sent = fields(digest.header("DESCRIBE", "rtsp://c/1"))
    assert sent["response"] == md5(f"{md5('u:r:p')}:n:{md5('DESCRIBE:rtsp://c/1')}")
    assert not {"qop", "nc", "cnonce", "algorithm", "opaque"} & sent.keys()


def test_the_count_of_a_nonce_rises_with_each_request() -> None:
    digest = answer('Digest realm="r", nonce="n", qop="auth"')
    assert digest is not None
    counts = [fields(digest.header("OPTIONS", "rtsp://c/"))["nc"] for _ in range(3)]
    assert counts == ["00000001", "00000002", "00000003"]


def test_digest_is_taken_before_basic_whatever_their_order() -> None:
    chosen = answer('Basic realm="r"', 'Digest realm="r", nonce="n"')
    assert chosen is not None
    assert chosen.scheme == "Digest"


def test_the_first_digest_that_we_can_compute_is_taken() -> None:
    chosen = answer(
        'Digest realm="r", nonce="1", algorithm=SHA-512-256',
        'Digest realm="r", nonce="2", qop="auth-int"',
        'Digest realm="r", nonce="3", algorithm=SHA-256',
        'Digest realm="r", nonce="4", algorithm=MD5',
    )
    assert chosen is not None
    assert fields(chosen.header("PLAY", "rtsp://c/"))["nonce"] == "3"


def test_of_all_that_can_be_computed_the_strongest_comes_first() -> None:
    offers = Authorizer("u", "p").answers(
        parse_challenges(
            [
                'Basic realm="r", Digest realm="r", nonce="1", algorithm=MD5',
                'Digest realm="r", nonce="2", algorithm=SHA-256-sess, qop="auth"',
                'Digest realm="r", nonce="3", algorithm=MD5-sess, qop="auth"',
                'Digest realm="r", nonce="4", algorithm=SHA-256',
                'Digest realm="r", nonce="5", algorithm=SHA-256',
            ]
        )
    )
    assert [offer.name for offer in offers] == [
        "Digest SHA-256",
        "Digest SHA-256-SESS",
        "Digest MD5",
        "Digest MD5-SESS",
        "Basic",
    ]


def test_two_challenges_in_one_header_are_parsed_as_two() -> None:
    schemes = [c.scheme for c in parse_challenges(['Basic realm="a, b", Digest nonce=n, realm=r'])]
    assert schemes == ["basic", "digest"]


@pytest.mark.parametrize(
    ("header", "schemes", "skipped"),
    [
        ('Digest realm="r", strict, nonce="n"', ["digest"], ["strict"]),
        ("Digest realm=r, qop=auth,auth-int, nonce=n", ["digest"], ["auth-int"]),
        ('Negotiate YII+Basic/Q==, Digest realm="r", nonce="n"', ["negotiate", "digest"], []),
        ('NTLM, Digest realm="r", nonce="n"', ["ntlm", "digest"], []),
        ('Digest realm="r", nonce="n", Hawk id="1"', ["digest", "hawk"], []),
        ('Digest realm="r", {"a"}, nonce="n"', ["digest"], ['{"a"}']),
        ('realm="r", Digest realm="r", nonce="n"', ["digest"], ['realm="r"']),
        ('Digest realm="r", nonce="n", BASIC', ["digest", "basic"], []),
    ],
)
def test_an_element_that_cannot_be_read_costs_nothing_beside_it(
    header: str, schemes: list[str], skipped: list[str]
) -> None:
    passed_over: list[str] = []
    found = parse_challenges([header], passed_over.append)
    assert [challenge.scheme for challenge in found] == schemes
    assert passed_over == skipped
    digest = next(challenge for challenge in found if challenge.scheme == "digest")
    assert {name: digest.parameters[name] for name in ("realm", "nonce")} == {
        "realm": "r",
        "nonce": "n",
    }


@pytest.mark.parametrize(
    ("listed", "name", "echoed"),
    [
        ('"SHA-512-256, MD5"', "Digest MD5", "MD5"),
        ("MD5,SHA-256", "Digest MD5", "MD5"),
        ('"SHA-256-sess , MD5"', "Digest SHA-256-SESS", "SHA-256-sess"),
    ],
)
def test_of_a_list_of_algorithms_the_first_that_we_can_compute_is_taken(
    listed: str, name: str, echoed: str
) -> None:
    digest = answer(f'Digest realm="r", nonce="n", algorithm={listed}')
    assert digest is not None
    assert digest.name == name
    assert fields(digest.header("PLAY", "rtsp://c/"))["algorithm"] == echoed


@pytest.mark.parametrize(
    "header", ["", "Negotiate", 'Digest realm="no nonce"', "Bearer x=1", '"""', "=,=,="]
)
def test_where_nothing_can_be_answered_there_is_no_answer(header: str) -> None:
    assert answer(header) is None


@pytest.mark.parametrize(
    ("header", "stale"),
    [
        ('Digest realm="r", nonce="n", stale=TRUE', True),
        ('Digest realm="r", nonce="n", stale="true"', True),
        ('Digest realm="r", nonce="n", stale=false', False),
        ('Digest realm="r", nonce="n"', False),
    ],
)
def test_a_stale_nonce_is_no_wrong_password(header: str, stale: bool) -> None:
    (challenge,) = parse_challenges([header])
    assert challenge.stale is stale


@given(st.text(min_size=1), st.text())
def test_any_user_and_password_go_through_basic(username: str, password: str) -> None:
    try:
        pair = f"{username}:{password}".encode()
    except UnicodeEncodeError:
        return
    basic = answer("Basic realm=x", username=username, password=password)
    assert basic is not None
    assert base64.b64decode(basic.header("PLAY", "rtsp://c/").split()[1]) == pair


def test_a_quote_in_the_user_name_stays_inside_its_quotes() -> None:
    digest = answer('Digest realm="r", nonce="n"', username='a"b\\c')
    assert digest is not None
    assert 'username="a\\"b\\\\c", realm="r"' in digest.header("PLAY", "rtsp://c/")


@given(realm=st.binary(min_size=1, max_size=32))
def test_a_realm_is_hashed_and_echoed_octet_by_octet(realm: bytes) -> None:
    realm = realm.translate(None, b'"\\\r\n\0')
    head = (
        b'RTSP/1.0 401 Unauthorized\r\nWWW-Authenticate: Digest realm="' + realm + b'", nonce="n"'
    )
    response, _ = parse_message(head + b"\r\n\r\n", 0, len(head) + 4)
    assert isinstance(response, Response)
    digest = Authorizer("user", "khẩu").answer(
        parse_challenges(response.headers.all("WWW-Authenticate"))
    )
    assert digest is not None
    said = digest.header("PLAY", "rtsp://c/").encode(errors=OCTETS)
    assert b'realm="' + realm + b'"' in said
    secret = hashlib.md5(b"user:" + realm + ":khẩu".encode()).hexdigest()
    request = hashlib.md5(b"PLAY:rtsp://c/").hexdigest()
    assert hashlib.md5(f"{secret}:n:{request}".encode()).hexdigest().encode() in said


@given(st.text(max_size=200))
def test_no_challenge_text_raises(text: str) -> None:
    parse_challenges([text])
