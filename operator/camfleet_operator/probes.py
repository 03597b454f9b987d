# SPDX-License-Identifier: Apache-2.0
"""Serves /healthz, /readyz and /metrics. It starts before everything else, so that the kubelet
always gets an answer.

/healthz fails when a watch is dead or kopf has ended; kopf's own probe would succeed. /readyz
succeeds on a standby too, once its store is filled.
"""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from camfleet_operator.metrics import REGISTRY

Trouble = Callable[[], str]
"""Returns the problem in words, or an empty string without one."""


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
