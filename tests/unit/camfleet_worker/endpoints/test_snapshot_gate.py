# SPDX-License-Identifier: Apache-2.0
"""The gate before snapshots: what it asks, what it answers, and what strangers can make it do."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from http import HTTPStatus

import pytest

from camfleet_worker.cluster.errors import ClusterError, Trouble
from camfleet_worker.cluster.reviewed_token import ReviewedToken
from camfleet_worker.endpoints.bearer import ADMITTED_S, REFUSED_S
from camfleet_worker.endpoints.http_server import Request
from camfleet_worker.endpoints.snapshot_gate import (
    MOST_STRANGERS,
    PAUSE_S,
    REVIEWS_BURST,
    REVIEWS_PER_S,
    SnapshotGate,
)

AUDIENCE = "camfleet-snapshots"
VIEWER = "system:serviceaccount:camfleet-page:page"
OK, UNAUTHORIZED, FORBIDDEN = HTTPStatus.OK, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN
BUSY, UNAVAILABLE = HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE


class Reviewer:
    """An API server that knows tokens by their name, and a clock."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.asked: Counter[str] = Counter()
        self.users = {"page": VIEWER, "other": "system:serviceaccount:phu-yen:default"}
        self.trouble: ClusterError | None = None
        self.answers = asyncio.Event()
        self.answers.set()
        self.gate = SnapshotGate(self._review, AUDIENCE, VIEWER, lambda: self.now)

    async def _review(self, token: str) -> ReviewedToken:
        self.asked[token] += 1
        await self.answers.wait()
        if self.trouble is not None:
            raise self.trouble
        user = self.users.get(token)
        return ReviewedToken(user is not None, user or "", frozenset({AUDIENCE} if user else ()))

    async def shown(self, token: str) -> HTTPStatus:
        """The gate's answer to a request with a token."""
        return await self.gate(Request("GET", "/", authorization=(f"Bearer {token}",)))


@pytest.fixture
async def api() -> Reviewer:
    return Reviewer()


async def test_a_request_without_a_token_causes_no_review(api: Reviewer) -> None:
    assert await api.gate(Request("GET", "/snapshot/gate")) is UNAUTHORIZED
    assert api.asked.total() == 0


async def test_a_token_is_asked_about_once_while_its_verdict_counts(api: Reviewer) -> None:
    for _ in range(3):
        assert await api.shown("page") is OK
        assert await api.shown("other") is FORBIDDEN
        assert await api.shown("nonsense") is UNAUTHORIZED
    assert set(api.asked.values()) == {1}
    api.now += REFUSED_S
    assert [await api.shown(token) for token in ("page", "nonsense")] == [OK, UNAUTHORIZED]
    assert (api.asked["page"], api.asked["nonsense"]) == (1, 2)


async def test_a_token_that_is_withdrawn_is_refused_within_its_time(api: Reviewer) -> None:
    assert await api.shown("page") is OK
    del api.users["page"]
    api.now += ADMITTED_S
    assert await api.shown("page") is UNAUTHORIZED


async def test_requests_at_the_same_moment_share_one_review(api: Reviewer) -> None:
    api.answers.clear()
    requests = [asyncio.create_task(api.shown("page")) for _ in range(10)]
    await asyncio.sleep(0)
    requests[0].cancel()
    api.answers.set()
    assert await asyncio.gather(*requests[1:]) == [OK] * 9
    assert api.asked["page"] == 1


async def test_without_an_api_server_only_those_of_a_moment_ago_are_admitted(
    api: Reviewer,
) -> None:
    assert await api.shown("page") is OK
    api.trouble = ClusterError(Trouble.UNAVAILABLE, "review a token: TimeoutError")
    assert await api.shown("later") is UNAVAILABLE
    assert await api.shown("page") is OK
    api.now += ADMITTED_S
    assert await api.shown("page") is UNAVAILABLE
    api.trouble = None
    api.now += PAUSE_S
    assert await api.shown("page") is OK


async def test_an_api_server_that_does_not_answer_is_left_alone_for_a_moment(
    api: Reviewer,
) -> None:
    api.trouble = ClusterError(Trouble.THROTTLED, "review a token: HTTP 429", retry_after_s=5)
    for number in range(20):
        assert await api.shown(f"t{number}") is UNAVAILABLE
    assert api.asked.total() == 1
    api.now += 5
    await api.shown("t0")
    assert api.asked.total() == 2


async def test_a_strangers_review_that_fails_pauses_strangers_only(api: Reviewer) -> None:
    """Some tokens make an API server slow: it asks a webhook about those it does not know."""
    assert await api.shown("page") is OK
    api.now += ADMITTED_S
    api.trouble = ClusterError(Trouble.UNAVAILABLE, "review a token: TimeoutError")
    assert await api.shown("stranger") is UNAVAILABLE
    api.trouble = None
    assert await api.shown("page") is OK
    assert await api.shown("another") is UNAVAILABLE
    assert api.asked["another"] == 0


async def test_a_viewers_review_that_fails_pauses_everybody(api: Reviewer) -> None:
    assert await api.shown("page") is OK
    api.now += ADMITTED_S
    api.trouble = ClusterError(Trouble.UNAVAILABLE, "review a token: TimeoutError")
    for token in ("page", "page", "stranger"):
        assert await api.shown(token) is UNAVAILABLE
    assert (api.asked["page"], api.asked["stranger"]) == (2, 0)


async def test_strangers_have_a_rate_and_the_viewer_does_not_wait_behind_them(
    api: Reviewer,
) -> None:
    assert await api.shown("page") is OK
    seconds, answers = 60, Counter[HTTPStatus]()
    for number in range(seconds * 10):
        api.now += 0.1
        answers[await api.shown(f"stranger{number}")] += 1
        assert await api.shown("page") is OK
    assert answers.keys() == {UNAUTHORIZED, BUSY}
    assert answers[UNAUTHORIZED] <= REVIEWS_BURST + seconds * REVIEWS_PER_S
    assert api.asked["page"] <= 1 + seconds / ADMITTED_S


async def test_strangers_fill_few_places_of_an_api_server_that_is_slow(api: Reviewer) -> None:
    assert await api.shown("page") is OK
    api.now += ADMITTED_S
    api.answers.clear()
    strangers = [asyncio.create_task(api.shown(f"stranger{n}")) for n in range(20)]
    viewer = asyncio.create_task(api.shown("page"))
    await asyncio.sleep(0.01)
    api.answers.set()
    assert Counter(await asyncio.gather(*strangers)) == {
        UNAUTHORIZED: MOST_STRANGERS,
        BUSY: 20 - MOST_STRANGERS,
    }
    assert await viewer is OK


async def test_logs_and_metrics_contain_no_token(
    api: Reviewer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for token in ("page", "other", "nonsense"):
        await api.shown(token)
    api.trouble = ClusterError(Trouble.FORBIDDEN, "review a token: HTTP 403 (forbidden)")
    for number in range(5):
        api.now += PAUSE_S
        await api.shown(f"later{number}")
    ours = [record for record in caplog.records if record.name.startswith("camfleet")]
    assert [vars(record).get("user", record.levelname) for record in ours] == [
        api.users["other"],
        "WARNING",
    ], "each refusal of the API server is one line, not one a request"
    assert not any(token in caplog.text for token in ("nonsense", "later"))
    assert api.gate.answers == {OK: 1, FORBIDDEN: 1, UNAUTHORIZED: 1, UNAVAILABLE: 5}
    assert api.gate.reviews == 8
