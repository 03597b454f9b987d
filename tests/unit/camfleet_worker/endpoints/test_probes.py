# SPDX-License-Identifier: Apache-2.0
"""The pages of port 9090, asked by a real HTTP client, and a counter that stands still."""

from __future__ import annotations

from collections.abc import AsyncIterator
from http import HTTPStatus

import httpx
import pytest

from camfleet_worker.endpoints.http_server import Answer, HttpServer
from camfleet_worker.endpoints.probes import Progress, pages_only


@pytest.fixture
async def address() -> AsyncIterator[str]:
    pages = {
        "/healthz": lambda: Answer(HTTPStatus.OK, b"ok\n"),
        "/readyz": lambda: Answer(HTTPStatus.SERVICE_UNAVAILABLE, b"no shard yet\n"),
    }
    server = HttpServer(pages_only(pages.get))
    port = await server.start("127.0.0.1", 0)
    yield f"http://127.0.0.1:{port}"
    await server.close()


@pytest.mark.parametrize(
    ("method", "path", "status", "text"),
    [
        ("GET", "/healthz", 200, "ok\n"),
        ("GET", "/healthz?verbose", 200, "ok\n"),
        ("HEAD", "/healthz", 200, ""),
        ("GET", "/readyz", 503, "no shard yet\n"),
        ("GET", "/secrets", 404, ""),
        ("POST", "/healthz", 405, ""),
    ],
)
async def test_a_page_is_served_by_path_and_method(
    address: str, method: str, path: str, status: int, text: str
) -> None:
    async with httpx.AsyncClient() as client:
        answer = await client.request(method, address + path)
    assert (answer.status_code, answer.text) == (status, text)


def test_a_counter_that_stands_still_is_noticed_after_its_patience() -> None:
    count = 0
    progress = Progress(lambda: count, patience_s=10)
    assert not progress.stalled(now=100)
    assert not progress.stalled(now=110)
    assert progress.stalled(now=111)
    count += 1
    assert not progress.stalled(now=112)
