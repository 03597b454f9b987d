# SPDX-License-Identifier: Apache-2.0
"""A watch that only sends bookmarks is alive, one that sends nothing is not: over a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web

from camfleet_operator.watch_health import WatchHealth, watch_response
from eventually import eventually_async


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def api_server(bookmark: asyncio.Event) -> AsyncIterator[str]:
    """Answers every watch with a stream that carries one bookmark, when told."""
    closing = asyncio.Event()

    async def watch(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await bookmark.wait()
        await response.write(b'{"type": "BOOKMARK"}\n')
        await closing.wait()
        return response

    application = web.Application()
    application.router.add_get("/{path:.*}", watch)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    try:
        yield f"http://{host}:{port}"
    finally:
        bookmark.set()
        closing.set()
        await runner.cleanup()


async def read(session: aiohttp.ClientSession, url: str) -> None:
    async with session.get(url) as response:
        async for _ in response.content.iter_chunked(1024):
            pass


async def test_bookmarks_keep_a_watch_alive_and_silence_makes_it_stale() -> None:
    clock, bookmark = Clock(), asyncio.Event()
    health = WatchHealth(["cameras", "sites"], clock)
    async with (
        api_server(bookmark) as base,
        aiohttp.ClientSession(response_class=watch_response(health)) as session,
    ):
        url = f"{base}/apis/camfleet.vnpt.vn/v1alpha1/cameras?watch=true"
        task = asyncio.create_task(read(session, url))
        clock.now = 200
        assert health.stale(180) == ["cameras", "sites"]
        bookmark.set()
        await eventually_async(lambda: health.stale(180) == ["sites"], within_s=10)
        clock.now = 400
        assert health.stale(180) == ["cameras", "sites"]
        task.cancel()


async def test_answers_that_are_no_watch_are_no_sign_of_life() -> None:
    clock, bookmark = Clock(), asyncio.Event()
    bookmark.set()
    health = WatchHealth(["cameras"], clock)
    async with (
        api_server(bookmark) as base,
        aiohttp.ClientSession(response_class=watch_response(health)) as session,
        session.get(f"{base}/apis/camfleet.vnpt.vn/v1alpha1/cameras") as response,
    ):
        clock.now = 200
        assert await response.content.readany()
        assert health.stale(180) == ["cameras"]
