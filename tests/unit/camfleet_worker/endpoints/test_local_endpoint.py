# SPDX-License-Identifier: Apache-2.0
"""The loopback listener, asked by what a browser behind a forwarded port would send."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from http import HTTPStatus

import httpx
import pytest

from camfleet_worker.endpoints.http_server import READING, Answer, HttpServer, Request
from camfleet_worker.endpoints.local_endpoint import LOOPBACK, Loopback
from camfleet_worker.endpoints.probes import Page

PICTURE = b"\xff\xd8\xff"
JOURNAL = "/journal"


def _snapshot(path: str) -> Page | None:
    return (lambda: Answer(HTTPStatus.OK, PICTURE)) if path == "/snapshot/gate" else None


async def _journal(_request: Request) -> Answer:
    return Answer(HTTPStatus.OK, b"{}", content_type="application/json")


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    server = HttpServer(Loopback(_snapshot, {JOURNAL: (READING, _journal)}).answer)
    port = await server.start(LOOPBACK, 0)
    async with httpx.AsyncClient(base_url=f"http://{LOOPBACK}:{port}") as asking:
        yield asking
    await server.close()


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost:8080", "LOCALHOST", "192.0.2.7:9091", "[::1]:9091", ""]
)
@pytest.mark.parametrize("path", ["/snapshot/gate", JOURNAL])
async def test_a_forwarded_port_answers_by_address_and_as_localhost(
    client: httpx.AsyncClient, path: str, host: str
) -> None:
    answer = await client.get(path, headers={"Host": host})
    assert answer.status_code == HTTPStatus.OK


@pytest.mark.parametrize(
    "host", ["example.org:9091", "localhost.example.org", "127.0.0.1.example.org", "1.2.3.4@x", "é"]
)
@pytest.mark.parametrize("path", ["/snapshot/gate", "/snapshot/nothing", JOURNAL])
async def test_a_name_that_was_pointed_at_a_forwarded_port_reads_nothing(
    client: httpx.AsyncClient, path: str, host: str
) -> None:
    answer = await client.get(path, headers={b"Host": host.encode()})
    assert (answer.status_code, answer.content) == (HTTPStatus.MISDIRECTED_REQUEST, b"")


async def test_one_good_host_among_two_is_none(client: httpx.AsyncClient) -> None:
    reader, writer = await asyncio.open_connection(LOOPBACK, client.base_url.port)
    writer.write(b"GET /snapshot/gate HTTP/1.1\r\nHost: localhost\r\nHost: example.org\r\n\r\n")
    assert (await reader.read())[9:12] == b"400", "RFC 9112 section 3.2"
    writer.close()


async def test_headers_forbid_a_browser_to_sniff_and_to_embed_the_answer(
    client: httpx.AsyncClient,
) -> None:
    fields = (await client.get("/snapshot/gate")).headers
    assert fields["X-Content-Type-Options"] == "nosniff"
    assert fields["Cross-Origin-Resource-Policy"] == "same-origin"
    assert fields["Cache-Control"] == "no-store"
