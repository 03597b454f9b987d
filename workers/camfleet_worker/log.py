# SPDX-License-Identifier: Apache-2.0
"""What the worker adds to `camfleet_base.log`: no secret in any line.

Secrets that the worker holds are known by value, so they are masked by value, whatever message,
library or traceback they turn up in; credentials in URLs are masked by their shape.
"""

from __future__ import annotations

import html
from urllib.parse import quote, quote_plus

from camfleet_base.log import MASK, mask_userinfo, set_up_logging

_SHORTEST = 4
"""Shorter passwords would mask ordinary text; they are never logged by our own lines anyway."""


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
        text = mask_userinfo(text)
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


def set_up(redactor: Redactor) -> None:
    """Send every record of the process to standard error, redacted."""
    # httpx logs every request's URL at INFO: noise at 200 cameras.
    noisy = dict.fromkeys(("httpx", "httpcore", "zeep", "libav"), "WARNING")
    set_up_logging({"": "INFO"} | noisy, redactor.redact)
