# SPDX-License-Identifier: Apache-2.0
"""The pages of port 9090, asked by a real HTTP client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from http import HTTPStatus

import httpx
import pytest

from camfleet_worker.endpoints.http_server import Answer
from camfleet_worker.endpoints.probes import ProbeServer, Progress
from eventually import eventually_async


@pytest.fixture
async def address() -> AsyncIterator[str]:
    pages = {
        "/healthz": lambda: Answer(HTTPStatus.OK, b"ok\n"),
        "/readyz": lambda: Answer(HTTPStatus.SERVICE_UNAVAILABLE, b"no shard yet\n"),
    }
    server = ProbeServer(pages.get)
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


@pytest.mark.parametrize("octets", [b"", b"GET", b"\xff" * 20_000, b"\r\n\r\n"])
async def test_nonsense_ends_its_own_connection_only(address: str, octets: bytes) -> None:
    port = int(address.rpartition(":")[2])
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(octets)
    writer.close()
    async with httpx.AsyncClient() as client:
        assert (await client.get(f"{address}/healthz")).status_code == 200


@pytest.fixture
async def guarded() -> AsyncIterator[str]:
    """A server that lets requests pass which say so, two connections at once."""

    async def gate(head: bytes) -> HTTPStatus:
        return HTTPStatus.OK if b"\r\nopen: sesame\r\n" in head.lower() else HTTPStatus.UNAUTHORIZED

    pages = {"/picture": lambda: Answer(HTTPStatus.OK, b"a picture")}
    server = ProbeServer(pages.get, gate, most_open=2)
    port = await server.start("127.0.0.1", 0)
    yield f"http://127.0.0.1:{port}"
    await server.close()


@pytest.mark.parametrize("path", ["/picture", "/nothing"])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_who_is_not_let_in_learns_nothing_of_what_there_is(
    guarded: str, method: str, path: str
) -> None:
    async with httpx.AsyncClient() as client:
        refused = await client.request(method, guarded + path)
        admitted = await client.get(f"{guarded}/picture", headers={"Open": "sesame"})
    assert (refused.status_code, refused.content) == (401, b"")
    assert refused.headers["WWW-Authenticate"] == "Bearer"
    assert (admitted.status_code, admitted.content) == (200, b"a picture")


async def test_more_connections_than_agreed_are_closed_unheard(guarded: str) -> None:
    async def picture() -> int:
        async with httpx.AsyncClient() as client:
            answer = await client.get(f"{guarded}/picture", headers={"Open": "sesame"})
        return answer.status_code

    port = int(guarded.rpartition(":")[2])
    slow = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
    with pytest.raises(httpx.TransportError):
        await picture()
    for _, writer in slow:
        writer.close()
    assert await eventually_async(picture) == 200


async def test_a_request_that_does_not_end_is_ended(
    guarded: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("camfleet_worker.endpoints.http_server.REQUEST_S", 0.2)
    reader, writer = await asyncio.open_connection("127.0.0.1", int(guarded.rpartition(":")[2]))
    writer.write(b"GET /picture HTTP/1.1\r\nOpen: sesame\r\n")
    assert await reader.read() == b""
    writer.close()


def test_a_counter_that_stands_still_is_noticed_after_its_patience() -> None:
    count = 0
    progress = Progress(lambda: count, patience_s=10)
    assert not progress.stalled(now=100)
    assert not progress.stalled(now=110)
    assert progress.stalled(now=111)
    count += 1
    assert not progress.stalled(now=112)
