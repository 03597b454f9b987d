# SPDX-License-Identifier: Apache-2.0
"""Reads the words with which a camera refuses a login: attempts that are left, or a locked account.

Pure; used for refusals of ONVIF and of RTSP, because cameras use the same words in both.
"""

from __future__ import annotations

import re

FEWEST_LEFT = 2
"""With fewer logins left than this, one more could be the one that locks the account."""

_LOCKED = re.compile(
    r"\block(ed|out)\b|accountlocked|lockStatus\W+lock\b|illegal login"
    r"|too many (failed |wrong )?(log-?ins?|attempts?|tries)\b",
    re.IGNORECASE,
)
_ATTEMPTS_LEFT = re.compile(
    r"(?P<before>\d{1,4})\s+(?:more\s+|login\s+)*(?:attempts?|tries|chances?)\b"
    r"|(?:attempts?|tries|retry\s?(?:login\s?)?times?)[\s_-]*(?:left|remaining)?\s*[:=>]+\s*"
    r"(?P<after>\d{1,4})",
    re.IGNORECASE,
)


def attempts_left(words: str) -> int | None:
    """How many more logins the camera says it accepts; None where the words name no number."""
    found = _ATTEMPTS_LEFT.search(words)
    return int(found["before"] or found["after"]) if found else None


def says_locked(words: str) -> bool:
    """Whether the words mean a locked account."""
    left = attempts_left(words)
    # "One more attempt before the account is locked" means that it is not locked yet.
    return left == 0 or (left is None and bool(_LOCKED.search(words)))
