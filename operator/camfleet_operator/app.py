# SPDX-License-Identifier: Apache-2.0
"""The composition root: builds every part, starts them in order, ends the process for the right
reasons.

Order matters. Probes first; then our CRDs must be served, because kopf stays deaf to what comes
later; then the watches, then a LIST of everything, so that nothing falls between; only then may
this replica be Ready and stand for election. Every replica keeps its store warm, one writes.

Crash-only: a dead watch, an ended kopf, a lost Lease or an unexpected error ends the process with
status 1, and its replacement starts from the cluster's state.
"""

from __future__ import annotations

import asyncio
import logging
import random
import signal
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from camfleet_operator.bells import Bells
from camfleet_operator.cluster.api import Access, KubernetesApi, open_api
from camfleet_operator.cluster.apply import Writer
from camfleet_operator.cluster.bucket import TokenBucket
from camfleet_operator.cluster.election import Election
from camfleet_operator.cluster.listing import Listing, all_crds_established
from camfleet_operator.errors import ApiError, OperatorError
from camfleet_operator.event_gathering import EventGathering, SiteKey
from camfleet_operator.events import EventRecorder
from camfleet_operator.log import set_up_logging
from camfleet_operator.metrics import LOOP_LAG, REGISTRY, FleetCollector
from camfleet_operator.observed import Raw, Site
from camfleet_operator.plan.site_incident import stands_in_incident
from camfleet_operator.plan.snapshot import is_enrolled
from camfleet_operator.probes import serve_probes
from camfleet_operator.queue import NamespaceQueue, Priority
from camfleet_operator.reconcile import Reconciler
from camfleet_operator.resources import CAMERAS, NAMESPACES, SITES, WATCHED, Resource
from camfleet_operator.settings import Settings
from camfleet_operator.store import Change, Store
from camfleet_operator.watch_health import WatchHealth

log = logging.getLogger(__name__)

LISTING_TIMEOUT_S = 60.0
"""A page of 500 objects from a busy API server."""
STOP_WITHIN_S = 5.0


class WatchDead(OperatorError):
    """A watch has been silent for too long, or kopf has ended."""


def run(settings: Settings) -> int:
    """Run until SIGTERM (0) or until something is wrong that a new process sets right (1)."""
    set_up_logging(settings.log_level)
    try:
        asyncio.run(_main(settings))
    except (OperatorError, ExceptionGroup) as error:
        log.error("the process ends", extra={"fields": {"error": _first(error)}})
        return 1
    return 0


async def _main(settings: Settings) -> None:
    access = await Access.load()
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
        self._bells: Bells | None = None
        self._loop = asyncio.get_running_loop()
        self._store = Store(settings.worker.lease_seconds)
        self._queue = NamespaceQueue()
        self._figures = FleetCollector(settings.cameras_per_shard)
        REGISTRY.register(self._figures)
        self._election = Election(api, settings.namespace, settings.identity, settings.election)
        self._writer = Writer(
            api,
            TokenBucket(settings.writes_per_second, settings.writes_burst),
            self._election.may_write,
            settings.request_timeout_seconds,
        )
        self._events = EventRecorder(
            self._writer,
            EventGathering(settings.event_hold_seconds, self._is_in_incident),
            settings.identity,
            self._is_open,
        )
        self._reconciler = Reconciler(
            self._store, self._queue, self._writer, self._figures, settings, self._take_answer
        )
        self._listing = Listing(api, self._store, self._heard, LISTING_TIMEOUT_S)

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
            if self._bells is not None:
                await asyncio.to_thread(self._bells.stop, STOP_WITHIN_S)
            await self._election.release()
            await probes.cleanup()

    async def _until_stopped(self, work: Awaitable[None]) -> None:
        """Run `work` until it ends by itself or we are told to stop."""
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
        self._bells = Bells(self._access, self._health, self._take_event)
        self._bells.start()
        await self._repeat_until_done("the first listing", self._listing.fill)
        self._synced = True
        log.info("store is synced", extra={"fields": {"namespaces": len(self._store.namespaces())}})
        async with asyncio.TaskGroup() as group:
            for work in (self._watch_watches, self._mend, self._measure_lag, self._lead):
                group.create_task(work(), name=work.__name__)

    async def _lead(self) -> None:
        await self._election.acquire()
        self._ring_all(Priority.RESYNC)
        async with asyncio.TaskGroup() as group:
            for work in (self._election.hold, self._reconciler.run, self._events.run):
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
                log.warning("waiting", extra={"fields": {"for": what, "error": str(error)}})
                await asyncio.sleep(1 + random.random())

    async def _watch_watches(self) -> None:
        while True:
            await asyncio.sleep(5)
            if trouble := self._trouble():
                raise WatchDead(trouble)

    async def _mend(self) -> None:
        while True:
            await asyncio.sleep(self._settings.resync_seconds * (0.9 + random.random() / 5))
            try:
                await self._listing.mend()
            except ApiError as error:
                log.warning("no listing this time", extra={"fields": {"error": str(error)}})
            self._ring_all(Priority.RESYNC)

    async def _measure_lag(self) -> None:
        while True:
            due = self._loop.time() + 1
            await asyncio.sleep(1)
            LOOP_LAG.set(max(0.0, self._loop.time() - due))

    def _take_event(self, resource: Resource, deleted: bool, raw: Raw) -> None:
        """From kopf's thread into ours."""
        self._loop.call_soon_threadsafe(self._take, resource, deleted, raw)

    def _take(self, resource: Resource, deleted: bool, raw: Raw) -> None:
        change = self._store.remove(resource, raw) if deleted else self._store.put(resource, raw)
        if change is not None:
            self._heard(change)

    def _take_answer(self, resource: Resource, answer: Mapping[str, Any]) -> None:
        """The answer to a write of ours is news that needs no watch."""
        self._take(resource, False, answer)

    def _heard(self, change: Change) -> None:
        if self._election.may_write():
            self._events.note(change)
        if not change.matters:
            return
        if change.resource is NAMESPACES:
            self._queue.ring(change.name, Priority.SPEC)
        elif change.resource.namespaced:
            quiet_s = self._reconciler.quiet_s(change.namespace)
            self._queue.ring(change.namespace, _priority(change), quiet_s)
        else:
            self._ring_all(Priority.SPEC)

    def _is_open(self, namespace: str) -> bool:
        """Whether we have the right to write there, and it makes sense."""
        snapshot = self._store.snapshot(namespace)
        return not snapshot.terminating and is_enrolled(snapshot, self._settings)

    def _is_in_incident(self, where: SiteKey) -> bool:
        site = self._store.get(SITES, *where)
        return isinstance(site, Site) and stands_in_incident(site.status.conditions)

    def _ring_all(self, priority: Priority) -> None:
        for namespace in self._store.namespaces():
            self._queue.ring(namespace, priority)

    def _trouble(self) -> str:
        if self._bells is None or self._health is None:
            return ""
        if not self._bells.is_alive():
            return "kopf has ended"
        stale = self._health.stale(self._settings.stale_watch_seconds)
        return f"silent watches: {', '.join(stale)}" if stale else ""

    def _unreadiness(self) -> str:
        return self._trouble() or ("" if self._synced else "the store is not synced yet")


def _priority(change: Change) -> Priority:
    """A report of a worker can wait behind what people declare."""
    before, after = change.before, change.after
    if change.resource in (CAMERAS, SITES) and before is not None and after is not None:
        same = before.meta.generation == after.meta.generation
        return Priority.STATUS if same and not after.meta.deleting else Priority.SPEC
    return Priority.SPEC


def _first(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"
