# SPDX-License-Identifier: Apache-2.0
"""What the worker adds to `camfleet_base.log`: no secret in any line.

Secrets that the worker holds are known by value, so they are masked by value, whatever message,
library or traceback they turn up in; credentials in URLs are masked by their shape.
"""

from __future__ import annotations

from camfleet_base.log import MASK, mask_userinfo, set_up_logging
from camfleet_worker.base.redaction import Hider


class Redactor:
    """Takes secrets out of a text."""

    def __init__(self) -> None:
        self._hider = Hider((), MASK)

    def know(self, secrets: set[str]) -> None:
        """Replace the set of values to mask."""
        self._hider = Hider(secrets, MASK)

    def redact(self, text: str) -> str:
        """The text without credentials."""
        return self._hider.hide(mask_userinfo(text))


def set_up(redactor: Redactor) -> None:
    """Send every record of the process to standard error, redacted."""
    # httpx logs every request's URL at INFO: noise at 200 cameras.
    noisy = dict.fromkeys(("httpx", "httpcore", "zeep", "libav"), "WARNING")
    set_up_logging({"": "INFO"} | noisy, redactor.redact)
