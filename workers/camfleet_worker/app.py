# SPDX-License-Identifier: Apache-2.0
"""The worker process: makes its parts, runs them, and ends them within ten seconds.

The parent starts `run`. The shard follower, what ingests (`ingest.py`), the Lease and the endpoints
are made here and know nothing of each other. A part that ends by itself ends the process; the
parent starts it again at once. Nothing is decided here.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import time
from http import HTTPStatus

from camfleet_base.environment import SettingsError
from camfleet_worker import log as logs
from camfleet_worker.base.clock import wall_clock
from camfleet_worker.cluster.api import Cluster
from camfleet_worker.cluster.connection import Connection
from camfleet_worker.cluster.heartbeat import Heartbeat
from camfleet_worker.cluster.token_reviews import TokenReviews
from camfleet_worker.endpoints.http_server import READING, Answer, HttpServer, Limits
from camfleet_worker.endpoints.journal_pages import ACKNOWLEDGE, JOURNAL, JournalPages
from camfleet_worker.endpoints.local_endpoint import LOOPBACK, Loopback
from camfleet_worker.endpoints.probes import Page, Progress, pages_only
from camfleet_worker.endpoints.snapshot_gate import SnapshotGate
from camfleet_worker.endpoints.snapshots import snapshot_page
from camfleet_worker.ingest import Ingest
from camfleet_worker.login.accounts import Accounts
from camfleet_worker.metrics.collector import (
    ViewerCollector,
    WorkerCollector,
    registry_of,
    rendered,
)
from camfleet_worker.record.housekeeping import VolumeSettings
from camfleet_worker.reporter.shard_status import ShardStatus
from camfleet_worker.settings import Settings
from camfleet_worker.shard_follower import ShardFollower

log = logging.getLogger(__name__)

JOURNAL_S = 60.0
"""A journal of many days, over a forwarded port."""
VIEWER_CONNECTIONS = 64
"""At once, each for five seconds at most."""


class Worker:
    """One process: the cameras of one shard."""

    def __init__(self, settings: Settings, connection: Connection, redactor: logs.Redactor) -> None:
        self._settings = settings
        self._redactor = redactor
        self._connection = connection
        cluster = Cluster(connection, settings.namespace)
        accounts = Accounts(cluster.secret)
        accounts.on_change(self._mask)  # before all others: what they log is masked
        volume = VolumeSettings(settings.recordings, settings.recordings_max_bytes)
        self._ingest = Ingest(settings, cluster, accounts, volume)
        self._status = ShardStatus(
            settings.shard,
            cluster,
            lambda: self._ingest.volume.housekeeper.early.of(settings.namespace),
            wall_clock,
        )
        self._follower = ShardFollower(
            settings.shard, cluster, self._status, accounts, self._ingest.fleet, self._ingest.cache
        )
        self._ticks = Progress(lambda: self._ingest.media.counters.ticks)
        self._heartbeat = Heartbeat(
            cluster,
            settings.shard,
            settings.holder,
            settings.lease_s,
            wall_clock,
            self._ingest.reporter.reread,
        )
        self._registry = registry_of(self._collector())

    def _collector(self) -> WorkerCollector:
        ingest = self._ingest
        return WorkerCollector(
            self._settings.namespace,
            ingest.fleet,
            ingest.media,
            ingest.pictures.counters,
            lambda: ingest.reporter.writes,
            ingest.journals.counters,
            lambda: ingest.volume.housekeeper.deleted_for_space,
            ingest.onvif.mends.counts,
        )

    def _snapshot_servers(self) -> list[tuple[HttpServer, str, int]]:
        """The servers of snapshots: one for forwarded ports, with the journal too, and one for a
        viewer where that is declared."""
        loopback = HttpServer(self._loopback().answer, limits=Limits(answer_s=JOURNAL_S))
        servers = [(loopback, LOOPBACK, self._settings.snapshot_port)]
        if viewer := self._settings.viewer:
            reviews = TokenReviews(self._connection, viewer.audience)
            gate = SnapshotGate(reviews.review, viewer.audience, viewer.user)
            self._registry.register(ViewerCollector(gate))
            limits = Limits(most_open=VIEWER_CONNECTIONS)
            server = HttpServer(pages_only(self._snapshot), gate, limits)
            servers.append((server, viewer.address, viewer.port))
        return servers

    def _loopback(self) -> Loopback:
        journal = JournalPages(self._ingest.journals)
        pages = {JOURNAL: (READING, journal.read), ACKNOWLEDGE: (("POST",), journal.acknowledge)}
        return Loopback(self._snapshot, pages)

    def _snapshot(self, path: str) -> Page | None:
        return snapshot_page(self._ingest.fleet, path)

    async def run(self, stop: asyncio.Event) -> None:
        """Run until `stop` is set; raises the exception of a part that must not end."""
        self._ingest.start()
        pages = {"/metrics": self._metrics, "/healthz": self._healthz, "/readyz": self._readyz}
        probes = HttpServer(pages_only(pages.get))
        snapshots = self._snapshot_servers()
        port = await probes.start(self._settings.metrics_address, self._settings.metrics_port)
        for where in snapshots:
            await self._serve_snapshots(*where)
        log.info("worker started", extra={"shard": self._settings.shard, "port": port})
        parts = [
            asyncio.create_task(part, name=name)
            for name, part in {
                "shard": self._follower.run(),
                "shard status": self._status.run(),
                "lease": self._heartbeat.run(),
                **self._ingest.parts(),
            }.items()
        ]
        stopping = asyncio.create_task(stop.wait(), name="stop")
        try:
            await _first_end(stopping, parts)
        finally:
            await self._stop(parts)
            await probes.close()
            for server, *_ in snapshots:
                await server.close()

    async def _serve_snapshots(self, server: HttpServer, address: str, port: int) -> None:
        """A port that is taken costs what is served there and nothing else."""
        try:
            port = await server.start(address, port)
        except OSError as error:
            cause = error.strerror or str(error)
            log.warning("no snapshots are served", extra={"address": address, "cause": cause})
        else:
            log.info("snapshots are served", extra={"address": address, "port": port})

    def _mask(self, _: str) -> None:
        # A VMS account is often called like the namespace: masked, no line could be read.
        self._redactor.know(self._ingest.accounts.values() - {self._settings.namespace})

    async def _stop(self, parts: list[asyncio.Task[None]]) -> None:
        log.info("worker stops")
        for task in parts:
            task.cancel()
        await asyncio.gather(*parts, return_exceptions=True)
        await self._ingest.stop()
        log.info("worker stopped")

    def _metrics(self) -> Answer:
        return Answer(HTTPStatus.OK, rendered(self._registry))

    def _healthz(self) -> Answer:
        if self._ingest.media.alive and not self._ticks.stalled(time.monotonic()):
            return Answer(HTTPStatus.OK, b"ok\n")
        return Answer(HTTPStatus.SERVICE_UNAVAILABLE, b"the media loop does not tick\n")

    def _readyz(self) -> Answer:
        if self._follower.ready:
            return Answer(HTTPStatus.OK, b"ok\n")
        return Answer(HTTPStatus.SERVICE_UNAVAILABLE, b"no shard yet\n")


def run() -> int:
    """The process under the parent: settings, logs, signals, one event loop."""
    redactor = logs.Redactor()
    logs.set_up(redactor)
    try:
        settings = Settings.of(os.environ)
    except SettingsError as error:
        log.error("settings are wrong", extra={"cause": str(error)})
        return 2
    try:
        asyncio.run(_main(settings, redactor))
    except Exception:
        # The parent starts the next one; the log must say why in our form, secrets masked.
        log.exception("worker died")
        return 1
    return 0


async def _main(settings: Settings, redactor: logs.Redactor) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with await Connection.open(settings.kubeconfig) as connection:
        worker = Worker(settings, connection, redactor)
        _set_aside_what_stays()
        await worker.run(stop)


def _set_aside_what_stays() -> None:
    """Spare the garbage collector what was imported: some 200,000 objects that never go.

    To walk them would hold the media loop for 0.13 s, and CPython puts a full collection off until
    a quarter as much has piled up beside them.
    """
    gc.collect()
    gc.freeze()


async def _first_end(stopping: asyncio.Task[bool], parts: list[asyncio.Task[None]]) -> None:
    """Wait for the stop. A part that ends by itself is a bug: its exception ends the process."""
    done, _ = await asyncio.wait({stopping, *parts}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    for task in done - {stopping}:
        error = task.exception()
        raise error or RuntimeError(f"part {task.get_name()} ended")
