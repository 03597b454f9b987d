# SPDX-License-Identifier: Apache-2.0
"""No secret reaches a log line, whatever way it takes."""

from __future__ import annotations

import json
import logging
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camfleet_base.log import JsonLines
from camfleet_worker.log import Redactor

# A password that stands in every log line anyway, such as "info", could not be told apart.
passwords = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S"]), min_size=4).map(
    lambda text: f"#{text}#"
)


def line(secret: str, record: logging.LogRecord) -> str:
    redactor = Redactor()
    redactor.know({secret})
    return JsonLines(redactor.redact).format(record)


def record(message: str, *args: object, **extra: object) -> logging.LogRecord:
    made = logging.makeLogRecord({"msg": message, "args": args, "levelname": "INFO", "name": "x"})
    vars(made).update(extra)
    return made


@given(passwords)
def test_a_known_secret_is_masked_in_message_arguments_and_fields(secret: str) -> None:
    for made in (record(f"got {secret}!"), record("got %s", secret), record("got", url=secret)):
        fields = json.loads(line(secret, made))
        assert secret not in "".join(str(value) for value in fields.values())


@given(passwords)
def test_a_known_secret_is_masked_in_a_traceback(secret: str) -> None:
    try:
        raise ValueError(secret)
    except ValueError:
        made = record("failed", exc_info=sys.exc_info())
    assert secret not in json.loads(line(secret, made))["exception"]


def test_a_secret_that_holds_another_is_masked_whole() -> None:
    redactor = Redactor()
    redactor.know({"abcd", "abcdefgh"})
    assert redactor.redact("x abcdefgh y") == "x *** y"


def test_credentials_in_a_url_are_masked_without_being_known() -> None:
    shown = Redactor().redact("open rtsp://admin:hunter2@192.0.2.1/live")
    assert shown == "open rtsp://***@192.0.2.1/live"


def test_a_secret_is_masked_in_the_forms_that_urls_xml_and_reprs_give_it() -> None:
    redactor = Redactor()
    redactor.know({"p@ss/w<rd>'"})
    for shown in ("p%40ss/w%3Crd%3E%27", "p%40ss%2Fw%3Crd%3E%27", "p@ss/w&lt;rd&gt;&#x27;"):
        assert redactor.redact(f"GET {shown} HTTP") == "GET *** HTTP"


@pytest.mark.parametrize("secret", ["p", "stopped", "worker stopped", "worker"])
def test_a_password_that_is_a_word_of_ours_leaves_our_messages_readable(secret: str) -> None:
    made = record("worker stopped", account=secret)
    made.name = "camfleet_worker.app"
    fields = json.loads(line(secret, made))
    assert (fields["message"], fields["account"]) == ("worker stopped", "***")


def test_a_message_of_ours_with_arguments_is_masked_like_any_other() -> None:
    made = record("worker stopped: %s", "hunter2")
    made.name = "camfleet_worker.app"
    assert json.loads(line("hunter2", made))["message"] == "worker stopped: ***"
