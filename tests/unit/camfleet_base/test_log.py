# SPDX-License-Identifier: Apache-2.0
"""A log line is one JSON object, its fields are typed, and no text escapes the redaction."""

from __future__ import annotations

import json
import logging
import sys
from typing import Any

import pytest

from camfleet_base.log import EXCERPT_CHARS, Excerpt, JsonLines, set_up_logging


def record(message: str, *args: object, **extra: object) -> logging.LogRecord:
    made = logging.makeLogRecord({"msg": message, "args": args, "levelname": "INFO", "name": "x"})
    vars(made).update(extra)
    return made


def line(made: logging.LogRecord) -> dict[str, Any]:
    text = JsonLines(lambda text: text.replace("hunter2", "***")).format(made)
    assert "\n" not in text
    fields: dict[str, Any] = json.loads(text)
    return fields


def test_a_line_has_the_time_in_utc_the_level_the_logger_and_the_message() -> None:
    fields = line(record("hello\nworld"))
    assert list(fields) == ["time", "level", "logger", "message"]
    assert fields["time"].endswith("+00:00")
    assert (fields["level"], fields["logger"], fields["message"]) == ("info", "x", "hello\nworld")


def test_numbers_and_lists_of_a_field_keep_their_type() -> None:
    fields = line(record("plan", actions=3, first_actions=["a", "b"], cause=ValueError("no")))
    assert fields["actions"] == 3
    assert fields["first_actions"] == ["a", "b"]
    assert fields["cause"] == "no"


@pytest.mark.parametrize(
    "made",
    [
        record("got hunter2"),
        record("got %s", "hunter2"),
        record("got", cause="hunter2"),
        record("got", first_actions=["hunter2"]),
        record("got", cause=ValueError("hunter2")),
    ],
    ids=["message", "argument", "field", "list", "object"],
)
def test_every_text_is_redacted(made: logging.LogRecord) -> None:
    assert "hunter2" not in str(line(made))


def test_an_excerpt_is_cut_once_no_secret_can_be_cut_with_it() -> None:
    text = "a" * (EXCERPT_CHARS - 3) + "hunter2"
    cause = line(record("skipped", cause=Excerpt(text)))["cause"]
    assert cause == "a" * (EXCERPT_CHARS - 3) + "***"


def test_an_exception_is_redacted_too() -> None:
    try:
        raise ValueError("hunter2")
    except ValueError:
        made = record("failed", exc_info=sys.exc_info())
    assert "ValueError: ***" in line(made)["exception"]


def test_credentials_in_urls_are_masked_without_another_redaction() -> None:
    text = JsonLines().format(record("open rtsp://admin:hunter2@192.0.2.1/live"))
    assert json.loads(text)["message"] == "open rtsp://***@192.0.2.1/live"


@pytest.fixture
def restored_logging() -> Any:
    root, kopf = logging.getLogger(), logging.getLogger("kopf")
    before = root.handlers[:], root.level, kopf.level
    yield
    root.handlers[:], root.level, kopf.level = before


@pytest.mark.usefixtures("restored_logging")
def test_levels_are_set_by_logger(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging({"": "WARNING", "kopf": "ERROR"})
    logging.getLogger("anything").info("below the root's")
    logging.getLogger("kopf").warning("below kopf's")
    logging.getLogger("anything").warning("shown", extra={"cause": "it is"})
    (only,) = capsys.readouterr().err.splitlines()
    assert json.loads(only)["message"] == "shown"
