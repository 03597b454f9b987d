# SPDX-License-Identifier: Apache-2.0
"""The log of both processes: one JSON object a line on standard error, with one set of field names.

Each line has `time`, `level`, `logger` and `message`, an `exception` where there is one, and the
fields that a call passes as `extra={...}`. FIELDS names all of those; `tests/house` refuses others.
Every text passes `redact`, which takes secrets out; by default it masks the credentials of URLs.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

MASK = "***"
EXCERPT_CHARS = 80

FIELDS: Mapping[str, str] = {
    "account": "a hash that stands for a device address and its credentials",
    "actions": "how many writes and deletions a plan has",
    "added": "how many cameras a shard got",
    "address": "an IP address, or host:port",
    "camera": "name of a Camera",
    "cause": "what was wrong: an error's text or type",
    "changed": "how many cameras of a shard have another configuration",
    "file": "name of a file",
    "first_actions": "the first actions of a plan and why",
    "freed_bytes": "how much was deleted",
    "hash": "the hash of an IngestShard's spec",
    "identity": "name of the pod that holds a Lease",
    "kind": "kind of a Kubernetes object",
    "namespace": "namespace of a Kubernetes object",
    "namespaces": "a number of namespaces",
    "object": "name of a Kubernetes object of `kind`",
    "port": "a TCP port",
    "removed": "how many cameras a shard lost",
    "scheme": "how a login is made: Digest, WS-UsernameToken",
    "secret": "name of a Secret, never its content",
    "shard": "name of an IngestShard",
    "sink": "name of an output of a camera: a recording or a relay",
    "site": "name of a Site",
    "step_seconds": "how far a wall clock jumped",
    "url": "a URL, without credentials",
    "user": "a user as the API server names it",
    "what": "what a message is about, where it is none of the others",
}
"""The fields of log lines and what each holds."""

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}
"""Attributes of a LogRecord that are no field of ours."""
_USERINFO = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*://)[^/\s@]+@")

Redact = Callable[[str], str]
"""A text without the secrets in it."""


def mask_userinfo(text: str) -> str:
    """The text with the credentials of URLs (RFC 3986, section 3.2.1) masked."""
    return _USERINFO.sub(rf"\g<scheme>{MASK}@", text)


class Excerpt(str):
    """A text of which the beginning is enough: it is cut to EXCERPT_CHARS once secrets are out of
    it, since half a secret would not be found."""

    __slots__ = ()


class JsonLines(logging.Formatter):
    """A record as one line of JSON."""

    def __init__(self, redact: Redact = mask_userinfo) -> None:
        super().__init__()
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": self._message(record),
        }
        fields = vars(record).items()
        line |= {key: self._redacted(value) for key, value in fields if key not in _STANDARD}
        if record.exc_info:
            line["exception"] = self._redact(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False)

    def _message(self, record: logging.LogRecord) -> str:
        """A message of ours without arguments is a constant, as `make lint` holds: no secret stands
        in it, but a word of it may be somebody's password."""
        if record.name.startswith("camfleet_") and not record.args:
            return record.getMessage()
        return self._redact(record.getMessage())

    def _redacted(self, value: object) -> object:
        """Numbers stay numbers and lists lists; everything else becomes text without secrets."""
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, list | tuple):
            return [self._redacted(one) for one in value]
        text = self._redact(str(value))
        return text[:EXCERPT_CHARS] if isinstance(value, Excerpt) else text


def set_up_logging(levels: Mapping[str, str], redact: Redact = mask_userinfo) -> None:
    """Send every record of the process to standard error as a line of JSON.

    `levels` holds the least level by name of the logger; the empty name is the root.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines(redact))
    logging.getLogger().handlers[:] = [handler]
    for logger, level in levels.items():
        logging.getLogger(logger).setLevel(level)
