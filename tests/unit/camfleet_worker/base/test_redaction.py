# SPDX-License-Identifier: Apache-2.0
"""Secrets in what others write are hidden; our own sentences stay as they are."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camfleet_api.conditions import REASONS, ConditionType, Reason
from camfleet_worker.base.errors import IngestError, Quotation
from camfleet_worker.base.redaction import Hider

MASK = "(hidden)"
PRINTABLE = st.characters(codec="utf-8", categories=["L", "N", "P", "S"])
OUR_WORDS = st.sampled_from(
    sorted({word for entry in REASONS.values() for word in entry.next_action.split()})
)
secrets = st.one_of(
    st.text(PRINTABLE, min_size=1, max_size=20), st.sampled_from(string.ascii_letters), OUR_WORDS
)


def hidden(secret: str, text: str) -> str:
    return Hider((secret,), MASK).hide(text)


@given(secrets, st.sampled_from(list(Reason)))
def test_no_secret_changes_a_sentence_of_ours(secret: str, reason: Reason) -> None:
    error = IngestError(
        ConditionType.ELIGIBLE,
        reason,
        ("The camera answers the password with (", Quotation("x"), ")"),
    )
    said = error.hiding(Hider((secret,), MASK).hide).message
    assert said in (error.message, error.message.replace("(x)", f"({MASK})", 1))


@given(secrets, st.sampled_from(list(Reason)), st.sampled_from(["@@", "''", ",;", ":\t"]))
def test_a_secret_that_a_camera_repeats_as_a_value_does_not_survive(
    secret: str, reason: Reason, around: str
) -> None:
    before, after = (*around, " ", " ")[:2]
    quoted = Quotation(f"unknown user{before}{secret}{after}")
    error = IngestError(ConditionType.ELIGIBLE, reason, ("A fault (", quoted, ")"))
    told = error.hiding(Hider((secret,), MASK).hide)
    assert MASK in told.parts[1]
    assert secret not in told.parts[1].replace(MASK, "").replace("unknown user", "")
    assert told.parts[0] == "A fault ("
    assert (told.condition, told.reason, told.retry) == (error.condition, reason, error.retry)


def test_an_error_that_quotes_no_secret_is_the_same_error() -> None:
    error = IngestError(ConditionType.ELIGIBLE, Reason.NOT_ONVIF, ("A ", Quotation("fault")))
    assert error.hiding(Hider(("other",), MASK).hide) is error
    plain = IngestError(ConditionType.ELIGIBLE, Reason.NOT_ONVIF, "The password is secret")
    assert plain.hiding(Hider(("secret",), MASK).hide) is plain


@pytest.mark.parametrize(
    ("secret", "text", "shown"),
    [
        ("p", "the password is p.", "the password is (hidden)."),
        ("p", "pass=p&user=q", "pass=(hidden)&user=q"),
        ("1", "HTTP/1.1 121 a1", "HTTP/(hidden).(hidden) 121 a1"),
        ("abc", "xabcx abc_ -abc", "xabcx (hidden)_ -(hidden)"),
        ("!", "no!way", "no(hidden)way"),
        ("abcd", "xabcdx", "x(hidden)x"),
        ("", "nothing", "nothing"),
        ("  ", "a  blank", "a  blank"),
        ("lead  and trail ", "with lead and trail it", "with (hidden) it"),
    ],
)
def test_a_short_secret_is_hidden_where_it_stands_alone_and_a_long_one_everywhere(
    secret: str, text: str, shown: str
) -> None:
    assert hidden(secret, text) == shown


def test_a_secret_that_stands_in_the_mask_does_not_hide_it_again() -> None:
    both = Hider(("hidden", "hunter2"), MASK)
    assert both.hide("hunter2 and hidden") == "(hidden) and (hidden)"
