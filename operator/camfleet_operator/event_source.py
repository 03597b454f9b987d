# SPDX-License-Identifier: Apache-2.0
"""kopf as the source of watch events. No other module imports kopf.

`app` runs it on every replica, in a thread and an event loop of its own: at exit kopf cancels all
that was started after it in its loop, and it replaces signal handlers. Its handlers decide nothing:
each passes its event to `on_event`, which passes it to the main loop. No create/update/delete
handlers, finalizers, indices, timers or patches of kopf are used.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from typing import Any, cast

import aiohttp
import kopf

from camfleet_api.names import OPERATOR_MANAGER
from camfleet_operator.cluster.api import Access
from camfleet_operator.observed import Raw
from camfleet_operator.resources import WATCHED, Resource
from camfleet_operator.watch_health import WatchHealth, watch_response

OnEvent = Callable[[Resource, bool, Raw], None]
"""Gets the kind, whether the object was deleted, and the object. Called in kopf's thread."""

log = logging.getLogger(__name__)


class EventSource:
    """The thread in which kopf watches every kind of `resources.WATCHED`."""

    def __init__(self, access: Access, health: WatchHealth, on_event: OnEvent) -> None:
        self._access = access
        self._health = health
        self._on_event = on_event
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="event-source", daemon=True)

    def start(self) -> None:
        """Start watching. Every CRD must be served: kopf never watches one that comes later."""
        self._thread.start()

    def is_alive(self) -> bool:
        """False once kopf has ended for any reason; the process must then end too."""
        return self._thread.is_alive()

    def stop(self, within_s: float) -> None:
        """Stop watching."""
        self._stop.set()
        self._thread.join(within_s)

    def _run(self) -> None:
        try:
            asyncio.run(
                kopf.operator(
                    registry=_registry(self._access, self._health, self._on_event),
                    settings=_settings(),
                    stop_flag=self._stop,
                    clusterwide=True,
                    standalone=True,
                    # Unused without peering; kopf's own asks for a user name, and the user id of
                    # the image has none.
                    identity=cast(Any, OPERATOR_MANAGER),
                )
            )
        except Exception:
            log.exception("kopf ended; the process ends too")


def _registry(access: Access, health: WatchHealth, on_event: OnEvent) -> kopf.OperatorRegistry:
    registry = kopf.OperatorRegistry()

    async def login(**_: Any) -> kopf.AiohttpSession:
        return await _session(access, health)

    kopf.on.login(registry=registry)(login)
    for resource in WATCHED:
        _register(registry, resource, on_event)
    return registry


def _register(registry: kopf.OperatorRegistry, resource: Resource, on_event: OnEvent) -> None:
    """Register handlers that pass on the events of one kind."""

    async def pass_on(event: Any, **_: Any) -> None:
        on_event(resource, event["type"] == "DELETED", event["object"])

    kopf.on.event(
        resource.group, resource.version, resource.plural, id=resource.plural, registry=registry
    )(pass_on)


async def _session(access: Access, health: WatchHealth) -> kopf.AiohttpSession:
    """kopf's HTTP session: it notes when a watch receives something, and reads its token again when
    that changes."""

    async def authorize(
        request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        request.headers.update(await access.authorization())
        return await handler(request)

    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ssl=access.ssl_context()),
        response_class=watch_response(health),
        middlewares=(authorize,),
    )
    return kopf.AiohttpSession(server=access.server, aiohttp_session=session)


def _settings() -> kopf.OperatorSettings:
    """kopf's settings, each with its reason beside it."""
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False  # Events are ours: transitions only, aggregated.
    settings.posting.loggers = False
    settings.peering.standalone = True  # Peering has no fencing; we hold a Lease.
    settings.scanning.disabled = True  # CRDs exist before we start; saves rights on CRDs.
    settings.watching.server_timeout = 300  # An integer, or the API server refuses it.
    settings.watching.client_timeout = 330
    settings.watching.connect_timeout = 5
    settings.watching.inactivity_timeout = 70  # Bookmarks come about every 60 s.
    settings.watching.reconnect_backoff = 1
    settings.watching.chunk_size = 500  # An unpaged first LIST costs memory on both sides.
    settings.networking.request_timeout = 30
    settings.networking.error_backoffs = (1, 2, 4, 8, 15, 30)
    settings.queueing.worker_limit = None  # Not a limit of handlers; it starves (kopf #1244).
    settings.queueing.idle_timeout = 1  # One task per object seen in this time.
    settings.execution.max_workers = 2  # No synchronous handlers.
    for resource in WATCHED:
        if resource.selector:
            key = (resource.group, resource.version, resource.plural)
            settings.watching.label_selectors[key] = resource.selector
    return settings
