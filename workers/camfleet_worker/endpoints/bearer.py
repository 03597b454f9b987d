# SPDX-License-Identifier: Apache-2.0
"""Reads a bearer token from a request, judges the API server's review of it, and keeps the verdict
for seconds. Pure; `snapshot_gate` asks the API server.
"""

from __future__ import annotations

import hashlib
import re
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus

from camfleet_worker.cluster.reviewed_token import ReviewedToken

ADMITTED_S = 30.0
"""For this time a withdrawn token may still be used."""
REFUSED_S = 5.0
MOST_ADMITTED = 32
"""Each replica of a viewer has a token of its own, and a new one each hour."""
MOST_REFUSED = 256

_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")


def bearer_token(authorization: Sequence[str]) -> str | None:
    """The token in the Authorization fields of a request (RFC 6750 section 2.1); None where there
    is none, more than one field, or something that no token can be."""
    if len(authorization) != 1:
        return None
    scheme, _, token = authorization[0].partition(" ")
    token = token.strip(" ")
    if scheme.lower() != "bearer" or _TOKEN.fullmatch(token) is None:
        return None
    return token


def judged(reviewed: ReviewedToken, audience: str, user: str) -> HTTPStatus:
    """OK for that one user with a token for that audience; else 401, or 403 for another user."""
    if not reviewed.authenticated or audience not in reviewed.audiences:
        return HTTPStatus.UNAUTHORIZED
    return HTTPStatus.OK if reviewed.user == user else HTTPStatus.FORBIDDEN


def fingerprint(token: str) -> str:
    """The hash that is kept in place of a token, so that a core dump reveals none."""
    return hashlib.sha256(token.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class _Kept:
    verdict: HTTPStatus
    until: float


class Verdicts:
    """The latest verdicts by fingerprint. `now` is monotonic seconds.

    Admitted and refused tokens are kept apart, so that a thousand wrong ones remove no right one.
    An admitted one stays known when its time is over, so that it is reviewed again at once.
    """

    def __init__(self) -> None:
        self._admitted: OrderedDict[str, _Kept] = OrderedDict()
        self._refused: OrderedDict[str, _Kept] = OrderedDict()

    def find(self, key: str, now: float) -> HTTPStatus | None:
        """The verdict that still counts."""
        kept = self._admitted.get(key) or self._refused.get(key)
        return kept.verdict if kept is not None and now < kept.until else None

    def is_known(self, key: str) -> bool:
        """Whether the token was good when it was last asked about, however long ago."""
        return key in self._admitted

    def keep(self, key: str, verdict: HTTPStatus, now: float) -> None:
        """Take a new verdict; the oldest of its sort makes room."""
        self._admitted.pop(key, None)
        self._refused.pop(key, None)
        if verdict is HTTPStatus.OK:
            shelf, most, seconds = self._admitted, MOST_ADMITTED, ADMITTED_S
        else:
            shelf, most, seconds = self._refused, MOST_REFUSED, REFUSED_S
        shelf[key] = _Kept(verdict, now + seconds)
        if len(shelf) > most:
            shelf.popitem(last=False)
