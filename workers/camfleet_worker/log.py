# SPDX-License-Identifier: Apache-2.0
"""Log lines: one JSON object each, and no secret in any.

Secrets that the worker holds are known by value, so they are masked by value, whatever message,
library or traceback they turn up in; credentials in URLs are masked by their shape.
"""

from __future__ import annotations

import html
import json
import logging
import re
import sys
from datetime import UTC, datetime
from urllib.parse import quote, quote_plus

MASK = "***"
_USERINFO = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*://)[^/\s@]+@")
_SHORTEST = 4
"""Shorter passwords would mask ordinary text; they are never logged by our own lines anyway."""
# Keys of LogRecord that are no field of ours.
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


class Redactor:
    """Takes secrets out of a text."""

    def __init__(self) -> None:
        self._secrets: tuple[str, ...] = ()

    def know(self, secrets: set[str]) -> None:
        """Replace the set of values to mask; the longest first, since one may hold another."""
        forms = {form for s in secrets if len(s) >= _SHORTEST for form in _forms(s)}
        self._secrets = tuple(sorted(forms, key=len, reverse=True))

    def redact(self, text: str) -> str:
        """The text without credentials."""
        text = _USERINFO.sub(rf"\g<scheme>{MASK}@", text)
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        return text


def _forms(secret: str) -> tuple[str, ...]:
    """A secret as it stands, in a URL (both ways of quoting a slash), in XML, in a repr."""
    return (
        secret,
        quote(secret),
        quote(secret, safe=""),
        quote_plus(secret),
        html.escape(secret),
        repr(secret)[1:-1],
    )


class JsonFormatter(logging.Formatter):
    """A record as one line of JSON; `extra=` fields become fields."""

    def __init__(self, redactor: Redactor) -> None:
        super().__init__()
        self._redactor = redactor

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": self._redactor.redact(record.getMessage()),
        }
        for key, value in vars(record).items():
            if key not in _STANDARD:
                fields[key] = self._redactor.redact(str(value))
        if record.exc_info:
            fields["exception"] = self._redactor.redact(self.formatException(record.exc_info))
        return json.dumps(fields, ensure_ascii=False)


def set_up(redactor: Redactor, level: int = logging.INFO) -> None:
    """Send every record of the process to stderr through one redacting handler."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(redactor))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # httpx logs every request's URL at INFO: noise at 200 cameras.
    for noisy in ("httpx", "httpcore", "zeep", "libav"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
