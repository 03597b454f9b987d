# SPDX-License-Identifier: Apache-2.0
"""The composition root: builds every part, starts them in order, and ends the process after errors
that only a new process can repair.

The order matters. Probes start first; then our CRDs must be served, because kopf never watches a
CRD that comes later; then the watches start, then a LIST reads everything, so that no change is
missed. Only then may this replica be Ready and a candidate. Every replica fills its store, one
writes.

Crash-only: a dead watch, an ended kopf, a lost Lease or an unexpected error ends the process with
status 1, and its replacement starts from the cluster's state.
"""

from __future__ import annotations

import asyncio
import logging
import random
import signal
from collections.abc import Awaitable, Callable
from functools import partial

from camfleet_base.log import set_up_logging
from camfleet_base.token_bucket import TokenBucket
from camfleet_operator.cluster.api import Access, KubernetesApi, open_api
from camfleet_operator.cluster.apply import Writer
from camfleet_operator.cluster.election import Election
from camfleet_operator.cluster.listing import Listing, all_crds_established
from camfleet_operator.errors import ApiError, OperatorError
from camfleet_operator.event_aggregation import EventAggregator, stored_site
from camfleet_operator.event_handler import EventHandler
from camfleet_operator.event_recorder import EventRecorder, may_post
from camfleet_operator.event_source import EventSource
from camfleet_operator.metrics import REGISTRY, FleetCollector, measure_loop_lag
from camfleet_operator.pace import BatchPeriods
from camfleet_operator.probes import serve_probes
from camfleet_operator.queue import NamespaceQueue, Priority
from camfleet_operator.reconcile import Reconciler
from camfleet_operator.resources import WATCHED
from camfleet_operator.settings import Settings
from camfleet_operator.store import Store
from camfleet_operator.watch_health import WatchHealth

log = logging.getLogger(__name__)

LISTING_TIMEOUT_S = 60.0
"""The deadline for a page of 500 objects from a busy API server."""
STOP_WITHIN_S = 5.0
LOG_LEVELS = {"": "WARNING", "kopf": "ERROR"}
"""kopf warns that it does not handle signals; this is intended."""


class WatchDead(OperatorError):
    """A watch received nothing for too long, or kopf has ended."""


def run(settings: Settings) -> int:
    """Run until SIGTERM (0) or until an error that a new process can repair (1)."""
    set_up_logging(LOG_LEVELS | {"camfleet_operator": settings.log_level})
    try:
        asyncio.run(_main(settings))
    except (OperatorError, ExceptionGroup) as error:
        log.error("the process ends", extra={"cause": _first(error)})
        return 1
    return 0


async def _main(settings: Settings) -> None:
    access = await Access.load(settings.kubeconfig)
    async with open_api(access) as api:
        await App(settings, access, api).run()


class App:
    """All parts of one replica."""

    def __init__(self, settings: Settings, access: Access, api: KubernetesApi) -> None:
        self._settings = settings
        self._access = access
        self._api = api
        self._stop = asyncio.Event()
        self._synced = False
        self._health: WatchHealth | None = None
        self._event_source: EventSource | None = None
        self._loop = asyncio.get_running_loop()
        self._store = Store(settings.worker.lease_seconds)
        queue = NamespaceQueue()
        figures = FleetCollector(settings.cameras_per_shard)
        REGISTRY.register(figures)
        self._election = Election(api, settings.namespace, settings.identity, settings.election)
        writer = Writer(
            api,
            TokenBucket(settings.writes_per_second, settings.writes_burst),
            self._election.may_write,
            settings.request_timeout_seconds,
        )
        self._recorder = EventRecorder(
            writer,
            EventAggregator(settings.event_hold_seconds, partial(stored_site, self._store)),
            settings.identity,
            partial(may_post, self._store, settings),
            self._election.may_write,
        )
        batches = BatchPeriods()
        self._handler = EventHandler(self._store, queue, self._recorder.note, batches.of)
        self._reconciler = Reconciler(
            self._store, queue, writer, figures, settings, batches, self._handler.on_answer
        )
        self._listing = Listing(api, self._store, self._handler.on_change, LISTING_TIMEOUT_S)

    async def run(self) -> None:
        """Start in order, run, stop in order."""
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._stop.set)
        settings = self._settings
        probes = await serve_probes(
            settings.http_host, settings.http_port, self._trouble, self._unreadiness
        )
        try:
            await self._until_stopped(self._live())
        finally:
            if self._event_source is not None:
                await asyncio.to_thread(self._event_source.stop, STOP_WITHIN_S)
            await self._election.release()
            await probes.cleanup()

    async def _until_stopped(self, work: Awaitable[None]) -> None:
        """Run `work` until it ends by itself or until SIGTERM."""
        task = asyncio.ensure_future(work)
        stop = asyncio.create_task(self._stop.wait())
        await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        if not task.done():
            log.info("stopping")
            task.cancel()
            await asyncio.wait({task}, timeout=STOP_WITHIN_S)
        if task.done() and not task.cancelled():
            task.result()

    async def _live(self) -> None:
        await self._until_crds_are_served()
        self._health = WatchHealth(resource.plural for resource in WATCHED)
        self._event_source = EventSource(self._access, self._health, self._handler.on_watch_event)
        self._event_source.start()
        await self._repeat_until_done("the first listing", self._listing.fill)
        self._synced = True
        log.info("store is synced", extra={"namespaces": len(self._store.namespaces())})
        async with asyncio.TaskGroup() as group:
            for work in (self._end_with_a_dead_watch, self._resync, measure_loop_lag, self._lead):
                group.create_task(work(), name=work.__name__)

    async def _lead(self) -> None:
        await self._election.acquire()
        self._handler.enqueue_all(Priority.RESYNC)
        async with asyncio.TaskGroup() as group:
            for work in (self._election.hold, self._reconciler.run, self._recorder.run):
                group.create_task(work())

    async def _until_crds_are_served(self) -> None:
        async def check() -> None:
            if not await all_crds_established(self._api, self._settings.request_timeout_seconds):
                raise ApiError(404, "NotFound", "not every CRD of camfleet is served yet")

        await self._repeat_until_done("CRDs", check)

    async def _repeat_until_done(self, what: str, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                return await work()
            except ApiError as error:
                log.warning("waiting", extra={"what": what, "cause": str(error)})
                await asyncio.sleep(1 + random.random())

    async def _end_with_a_dead_watch(self) -> None:
        while True:
            await asyncio.sleep(5)
            if trouble := self._trouble():
                raise WatchDead(trouble)

    async def _resync(self) -> None:
        while True:
            await asyncio.sleep(self._settings.resync_seconds * (0.9 + random.random() / 5))
            try:
                await self._listing.mend()
            except ApiError as error:
                log.warning("no listing this time", extra={"cause": str(error)})
            self._handler.enqueue_all(Priority.RESYNC)

    def _trouble(self) -> str:
        if self._event_source is None or self._health is None:
            return ""
        if not self._event_source.is_alive():
            return "kopf has ended"
        stale = self._health.stale(self._settings.stale_watch_seconds)
        return f"watches that receive nothing: {', '.join(stale)}" if stale else ""

    def _unreadiness(self) -> str:
        return self._trouble() or ("" if self._synced else "the store is not synced yet")


def _first(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"
