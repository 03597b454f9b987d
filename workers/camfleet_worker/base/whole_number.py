# SPDX-License-Identifier: Apache-2.0
"""Reads a whole number from an untrusted text: a header, a parameter, a file. Pure."""

from __future__ import annotations


def whole_number(text: str | None, digits: int) -> int | None:
    """The decimal number that `text` spells in at most so many ASCII digits, blanks around them
    allowed; None for anything else.

    Python's int() takes signs, underscores, digits of any script, and as many as there are.
    """
    text = (text or "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) <= digits else None
