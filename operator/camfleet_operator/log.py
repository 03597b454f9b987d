# SPDX-License-Identifier: Apache-2.0
"""Structured logs: one JSON object a line on standard error.

No secret can appear: nothing in this package reads one, objects' bodies are never logged, and
`fields` are names, counts and reasons. Other libraries speak from WARNING on, kopf from
ERROR (it warns that signals are not its own, which is what we want).
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime


class JsonLines(logging.Formatter):
    """A record as one line of JSON; `extra={"fields": {...}}` is spread into it."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= getattr(record, "fields", {})
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def set_up_logging(level: str) -> None:
    """Send everything to standard error as JSON."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level="WARNING", handlers=[handler], force=True)
    logging.getLogger("kopf").setLevel("ERROR")
    logging.getLogger("camfleet_operator").setLevel(level)
