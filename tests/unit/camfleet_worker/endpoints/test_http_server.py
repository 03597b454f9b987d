# SPDX-License-Identifier: Apache-2.0
"""What strangers may take of a listener of the worker: connections, octets and time."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from camfleet_worker.endpoints.bearer import bearer_token
from camfleet_worker.endpoints.http_server import Answer, Gate, HttpServer, Limits, Request
from camfleet_worker.endpoints.probes import Page, pages_only
from eventually import eventually_async

LOOPBACK = "127.0.0.1"
BIG = b"x" * 8_000_000
"""More than the sockets of both ends hold."""
ASKED = b"GET /picture HTTP/1.1\r\nHost: pod\r\n"
WITH_TOKEN = ASKED + b"Authorization: Bearer sesame\r\n"


async def gate(request: Request) -> HTTPStatus:
    """Admits requests with the one good token."""
    admitted = bearer_token(request.authorization) == "sesame"
    return HTTPStatus.OK if admitted else HTTPStatus.UNAUTHORIZED


@asynccontextmanager
async def serving(guard: Gate | None = None, limits: Limits | None = None) -> AsyncIterator[int]:
    """A server with a few pages; its port."""

    def bug() -> Answer:
        raise ZeroDivisionError

    pages: dict[str, Page] = {
        "/picture": lambda: Answer(HTTPStatus.OK, b"a picture"),
        "/big": lambda: Answer(HTTPStatus.OK, BIG),
        "/bug": bug,
    }
    server = HttpServer(pages_only(pages.get), guard, limits)
    port = await server.start(LOOPBACK, 0)
    yield port
    await server.close()


async def answered(port: int, octets: bytes) -> bytes:
    """Everything that comes back until the server closes; empty where it resets."""
    reader, writer = await asyncio.open_connection(LOOPBACK, port)
    try:
        writer.write(octets)
        return await asyncio.wait_for(reader.read(), 10)
    except ConnectionError:
        return b""
    finally:
        writer.close()


async def status(port: int, path: str = "/picture", **headers: str) -> int:
    async with httpx.AsyncClient() as client:
        answer = await client.get(f"http://{LOOPBACK}:{port}{path}", headers=headers)
    return answer.status_code


@pytest.mark.parametrize("path", ["/picture", "/nothing"])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_client_without_access_learns_nothing_of_what_exists(
    method: str, path: str
) -> None:
    async with serving(gate) as port, httpx.AsyncClient() as client:
        address = f"http://{LOOPBACK}:{port}"
        refused = await client.request(method, address + path)
        admitted = await client.get(
            f"{address}/picture", headers={"Authorization": "Bearer sesame"}
        )
    assert (refused.status_code, refused.content) == (401, b"")
    assert refused.headers["WWW-Authenticate"] == "Bearer"
    assert (admitted.status_code, admitted.content) == (200, b"a picture")


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(ASKED + b"Authorization : Bearer sesame\r\n", id="a blank before the colon"),
        pytest.param(ASKED + b"X: y\r\n Authorization: Bearer sesame\r\n", id="a folded line"),
        pytest.param(WITH_TOKEN + b"authorization: Bearer sesame\r\n", id="two fields"),
        pytest.param(b"Authorization: Bearer sesame\r\nHost: pod\r\n", id="no request line"),
        pytest.param(WITH_TOKEN[:-1] + b"\x00\r\n", id="a zero octet"),
        pytest.param(ASKED + b"Authorization: Bearer\r\n sesame\r\n", id="a folded token"),
    ],
)
async def test_a_token_that_does_not_stand_where_tokens_stand_opens_nothing(head: bytes) -> None:
    async with serving(gate) as port:
        assert (await answered(port, WITH_TOKEN + b"\r\n")).endswith(b"\r\n\r\na picture")
        answer = await answered(port, head + b"\r\n")
    assert answer[9:12] in (b"400", b"401")
    assert answer.endswith(b"\r\n\r\n"), "a refusal has no body"


@settings(deadline=None, max_examples=50)
@given(st.binary(max_size=300))
def test_no_head_opens_anything_without_a_token(head: bytes) -> None:
    async def met() -> bytes:
        async with serving(gate, Limits(request_s=0.05)) as port:
            return await answered(port, head + b"\r\n\r\n")

    answer = asyncio.run(met())
    assert answer[9:12] in (b"", b"400", b"401"), answer


@pytest.mark.parametrize(
    "octets", [b"", b"GET", b"\xff" * 20_000, b"\r\n\r\n", b"\x16\x03\x01\r\n\r\n"]
)
async def test_nonsense_ends_its_own_connection_only(octets: bytes) -> None:
    async with serving(limits=Limits(request_s=0.2)) as port:
        await answered(port, octets)
        assert await status(port) == 200


async def test_nonsense_is_not_quoted_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "camfleet_worker")
    caplog.set_level(logging.INFO, "aiohttp")
    async with serving(gate) as port:
        for nonsense in (b"GET  sesame\r\n\r\n", ASKED + b"sesame : \x00\r\n\r\n"):
            assert b"sesame" not in await answered(port, nonsense)
    assert caplog.records == []


async def test_a_bug_is_logged_and_not_shown_to_the_client(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with serving() as port:
        answer = await answered(port, b"GET /bug HTTP/1.1\r\nHost: pod\r\n\r\n")
        assert await status(port) == 200
    assert answer.startswith(b"HTTP/1.1 500 ")
    assert answer.endswith(b"\r\n\r\n")
    assert "ZeroDivisionError" in caplog.text


async def test_a_head_beyond_its_bound_is_not_read_on() -> None:
    async with serving(limits=Limits(head_bytes=1000)) as port:
        fits = ASKED + b"X: " + b"y" * (1000 - len(ASKED) - 7) + b"\r\n\r\n"
        assert len(fits) == 1000
        assert (await answered(port, fits)).startswith(b"HTTP/1.1 200 ")
        assert await answered(port, fits[:-4] + b"y\r\n\r\n") == b""
        assert await answered(port, ASKED + b"X: y\r\n" * 200) == b""


async def test_connections_beyond_the_limit_are_closed_unread() -> None:
    async with serving(gate, Limits(most_open=2)) as port:

        async def picture() -> int:
            return await status(port, Authorization="Bearer sesame")

        slow = [await asyncio.open_connection(LOOPBACK, port) for _ in range(2)]
        for _ in range(3):
            with pytest.raises(httpx.TransportError):
                await picture()
        for _, writer in slow:
            writer.close()
        assert await eventually_async(picture) == 200


async def test_a_request_that_does_not_end_is_ended() -> None:
    async with serving(gate, Limits(request_s=0.2)) as port:
        assert await answered(port, WITH_TOKEN) == b""


async def test_a_request_that_comes_octet_by_octet_gets_no_more_time() -> None:
    async with serving(limits=Limits(request_s=0.3)) as port:
        reader, writer = await asyncio.open_connection(LOOPBACK, port)
        ended = asyncio.create_task(reader.read())
        while not ended.done():
            writer.write(b"x")
            await asyncio.wait({ended}, timeout=0.02)
        writer.close()
        assert ended.exception() is not None or ended.result() == b""


@pytest.mark.parametrize("limits", [Limits(request_s=0.3), Limits(answer_s=0.3)])
async def test_a_client_that_does_not_take_its_answer_is_ended(limits: Limits) -> None:
    async with serving(limits=limits) as port:
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(client, (LOOPBACK, port))
            await loop.sock_sendall(client, b"GET /big HTTP/1.1\r\nHost: pod\r\n\r\n")
            await asyncio.sleep(0.6)  # the client's own delay: it is what this is about
            taken = 0
            try:
                while octets := await loop.sock_recv(client, 1_000_000):
                    taken += len(octets)
            except ConnectionResetError:
                pass
    assert taken < len(BIG)


async def test_an_answer_may_take_longer_than_a_request_where_it_is_agreed() -> None:
    async def slow(_request: Request) -> Answer:
        await asyncio.sleep(0.3)  # the time that a disk takes
        return Answer(HTTPStatus.OK, b"late")

    for answer_s, body in ((None, b""), (10.0, b"late")):
        server = HttpServer(slow, limits=Limits(request_s=0.1, answer_s=answer_s))
        port = await server.start(LOOPBACK, 0)
        assert (await answered(port, ASKED + b"\r\n"))[-4:] == body
        await server.close()


@pytest.mark.parametrize(
    "field", [b"Content-Length: 99999999", b"Transfer-Encoding: chunked", b"Expect: 100-continue"]
)
async def test_an_answer_comes_before_the_body_and_no_body_is_waited_for(field: bytes) -> None:
    async with serving() as port:
        head = b"POST /picture HTTP/1.1\r\nHost: pod\r\n" + field + b"\r\n\r\n"
        assert (await answered(port, head)).startswith(b"HTTP/1.1 405 ")
        assert (await answered(port, head + b"5" * 10_000)).startswith(b"HTTP/1.1 405 ")


async def test_a_connection_serves_one_request() -> None:
    async with serving() as port:
        answer = await answered(port, 3 * (ASKED + b"Connection: keep-alive\r\n\r\n"))
        assert answer.count(b"HTTP/1.1 200 ") == 1
        assert b"\r\nConnection: close\r\n" in answer
        upgrade = ASKED + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
        assert (await answered(port, upgrade)).count(b"HTTP/1.1 200 ") == 1


@pytest.mark.parametrize("head", [ASKED, b"nonsense\r\n"])
async def test_an_answer_does_not_name_the_software(head: bytes) -> None:
    async with serving() as port:
        assert b"\r\nserver:" not in (await answered(port, head + b"\r\n")).lower()


async def test_a_port_that_is_taken_is_an_error_of_that_server_only() -> None:
    async with serving() as port:
        second = HttpServer(pages_only(lambda path: None))
        with pytest.raises(OSError, match="in use"):
            await second.start(LOOPBACK, port)
        await second.close()
        assert await status(port) == 200


async def test_a_server_that_is_closed_waits_for_no_client() -> None:
    async with serving(limits=Limits(request_s=60)) as port:
        connections = [await asyncio.open_connection(LOOPBACK, port) for _ in range(3)]
        connections[0][1].write(WITH_TOKEN)
        began = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - began < 2
    for reader, writer in connections:
        assert await reader.read() == b""
        writer.close()
