# SPDX-License-Identifier: Apache-2.0
"""Finds secrets in texts of other programs and hides them. Pure.

Called for log lines and for quotations of a camera. Sentences of ours must not be given to it, only
values and quotations: a password may be one letter, or the word "camera".
"""

from __future__ import annotations

import html
import re
from collections.abc import Collection
from urllib.parse import quote, quote_plus

SHORTEST_ANYWHERE = 4
"""A secret with this many characters is hidden at any place. A shorter one is hidden only where it
has no letter or digit beside it, because a "p" within a word reveals nothing."""


class Hider:
    """Replaces each of some secrets by a mask, in every form in which it may stand in a text."""

    def __init__(self, secrets: Collection[str], mask: str) -> None:
        """Blank secrets are none."""
        self._mask = mask
        forms = {form for secret in secrets if secret.strip() for form in _forms(secret)}
        # The longest first, since one may hold another; all at once, since one may be in the mask.
        patterns = [_pattern(form) for form in sorted(forms, key=len, reverse=True)]
        self._pattern = re.compile("|".join(patterns)) if patterns else None

    def hide(self, text: str) -> str:
        """The text without the secrets."""
        if self._pattern is None:
            return text
        return self._pattern.sub(lambda _: self._mask, text)


def _forms(secret: str) -> tuple[str, ...]:
    """A secret as it stands, with its blanks as `printable` writes them, in a URL (both ways of
    quoting a slash), in XML, in a repr."""
    return (
        secret,
        " ".join(secret.split()),
        quote(secret),
        quote(secret, safe=""),
        quote_plus(secret),
        html.escape(secret),
        repr(secret)[1:-1],
    )


def _pattern(form: str) -> str:
    if len(form) >= SHORTEST_ANYWHERE:
        return re.escape(form)
    before = r"(?<![^\W_])" if form[0].isalnum() else ""
    after = r"(?![^\W_])" if form[-1].isalnum() else ""
    return before + re.escape(form) + after
