# SPDX-License-Identifier: Apache-2.0
"""Controls access to snapshots on the second listener: one ServiceAccount has it, by a token that
the API server has reviewed.

The app puts it before the pages of that listener. It fails closed: while the API server does not
answer, only a token that was admitted within the last seconds is accepted. Unknown tokens cannot
overload the API server: their reviews have a rate limit and few places, and a token that was good
before never waits behind them.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from camfleet_base.token_bucket import TokenBucket
from camfleet_worker.cluster.errors import ClusterError
from camfleet_worker.cluster.reviewed_token import ReviewedToken
from camfleet_worker.endpoints.bearer import Verdicts, bearer_token, fingerprint, judged
from camfleet_worker.endpoints.http_server import Request

log = logging.getLogger(__name__)

Review = Callable[[str], Awaitable[ReviewedToken]]
"""Asks the API server about a token. Raises ClusterError."""

REVIEWS_PER_S = 1.0
REVIEWS_BURST = 10
"""More than a viewer's replicas that all start at the same moment."""
MOST_STRANGERS = 4
MOST_ASKED = 8
"""Reviews on their way at once; the client's pool has 20 connections, and statuses need them."""
PAUSE_S = 1.0
"""How long no review follows one without an answer; a token that was good waits only after a review
of such a token."""
LONGEST_PAUSE_S = 30.0


class SnapshotGate:
    """Lets the requests of one user pass, with tokens for one audience."""

    def __init__(
        self,
        review: Review,
        audience: str,
        user: str,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._review = review
        self._audience = audience
        self._user = user
        self._monotonic = monotonic
        self._verdicts = Verdicts()
        self._strangers = TokenBucket(REVIEWS_PER_S, REVIEWS_BURST)
        self._asking: dict[str, asyncio.Task[HTTPStatus]] = {}
        self._strangers_paused_until = float("-inf")
        self._known_paused_until = float("-inf")
        self._unanswered = False
        self.answers: Counter[HTTPStatus] = Counter()
        """By status, OK where the request was let through."""
        self.reviews = 0

    async def __call__(self, request: Request) -> HTTPStatus:
        """OK lets a request pass, anything else is its answer: 401, 403, 429 or 503."""
        status = await self._decide(request)
        self.answers[status] += 1
        return status

    async def _decide(self, request: Request) -> HTTPStatus:
        token = bearer_token(request.authorization)
        if token is None:
            return HTTPStatus.UNAUTHORIZED
        key, now = fingerprint(token), self._monotonic()
        kept = self._verdicts.find(key, now)
        if kept is not None:
            return kept
        asking = self._asking.get(key)
        if asking is None:
            if now < self._paused_until(key):
                return HTTPStatus.SERVICE_UNAVAILABLE
            if not self._may_ask(key, now):
                return HTTPStatus.TOO_MANY_REQUESTS
            asking = self._begin(key, token)
        # A client that gives up ends its own waiting and not that of others.
        return await asyncio.shield(asking)

    def _may_ask(self, key: str, now: float) -> bool:
        if self._verdicts.is_known(key):
            return len(self._asking) < MOST_ASKED
        if len(self._asking) >= MOST_STRANGERS or self._strangers.next_at > now:
            return False
        self._strangers.reserve(now)
        return True

    def _paused_until(self, key: str) -> float:
        known = self._verdicts.is_known(key)
        return self._known_paused_until if known else self._strangers_paused_until

    def _begin(self, key: str, token: str) -> asyncio.Task[HTTPStatus]:
        asking = asyncio.create_task(self._ask(key, token), name="token review")
        self._asking[key] = asking
        asking.add_done_callback(lambda _: self._asking.pop(key))
        return asking

    async def _ask(self, key: str, token: str) -> HTTPStatus:
        self.reviews += 1
        try:
            reviewed = await self._review(token)
        except ClusterError as error:
            self._pause(key, error)
            return HTTPStatus.SERVICE_UNAVAILABLE
        self._unanswered = False
        verdict = judged(reviewed, self._audience, self._user)
        self._verdicts.keep(key, verdict, self._monotonic())
        if verdict is HTTPStatus.FORBIDDEN:
            log.warning("snapshots refused to another account", extra={"user": reviewed.user})
        return verdict

    def _pause(self, key: str, error: ClusterError) -> None:
        wait_s = min(max(PAUSE_S, error.retry_after_s or 0.0), LONGEST_PAUSE_S)
        self._strangers_paused_until = self._monotonic() + wait_s
        if self._verdicts.is_known(key):
            # A stranger's review may fail by what the stranger sent, this one's does not.
            self._known_paused_until = self._strangers_paused_until
        if not self._unanswered:
            log.warning("snapshots are refused, no token is reviewed", extra={"cause": str(error)})
        self._unanswered = True
