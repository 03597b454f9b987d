# SPDX-License-Identifier: Apache-2.0
"""/healthz, /readyz and /metrics. Started before everything else, so that kubelet always gets an
answer.

/healthz is false when a watch is dead or kopf has ended; kopf's own answer would be true. /readyz
is true on a standby too, once its store is warm.
"""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from camfleet_operator.metrics import REGISTRY

Trouble = Callable[[], str]
"""Answers what is wrong; an empty string when nothing is."""


async def serve_probes(host: str, port: int, health: Trouble, readiness: Trouble) -> web.AppRunner:
    """Serve until the runner is cleaned up. Port 0 picks a free one."""

    async def answer(trouble: Trouble) -> web.Response:
        text = trouble()
        return web.Response(status=503 if text else 200, text=text or "ok")

    async def healthz(_: web.Request) -> web.Response:
        return await answer(health)

    async def readyz(_: web.Request) -> web.Response:
        return await answer(readiness)

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(
            body=generate_latest(REGISTRY), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )

    application = web.Application()
    application.router.add_get("/healthz", healthz)
    application.router.add_get("/readyz", readyz)
    application.router.add_get("/metrics", metrics)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, host or None, port).start()
    return runner
