# SPDX-License-Identifier: Apache-2.0
"""One Event that is to be posted, as a value. Pure."""

from __future__ import annotations

from dataclasses import dataclass

SiteKey = tuple[str, str]
"""Namespace and name of a Site."""


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One Event to post."""

    namespace: str
    kind: str
    name: str
    uid: str
    reason: str
    message: str
    warning: bool
    device: str = ""
    """Distinguishes two recorders whose Events are both about their Site."""
