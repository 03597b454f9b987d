# SPDX-License-Identifier: Apache-2.0
"""Makes texts of a camera safe for a condition, an event or a log line."""

from __future__ import annotations

MAX_WORDS = 80
"""How many characters of a camera's text a message, which has at most 512, may contain."""


def printable(text: str | None, limit: int = MAX_WORDS) -> str:
    """One line without control characters, at most `limit` characters long."""
    if not text:
        return ""
    shown = "".join(char if char.isprintable() else " " for char in text[: limit * 8])
    line = " ".join(shown.split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def listed(items: tuple[str, ...], at_most: int = 5) -> str:
    """A list such as "a, b and c", or the first few items and "others"."""
    if len(items) > at_most:
        items = (*items[:at_most], "others")
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} and {items[-1]}"
