# SPDX-License-Identifier: Apache-2.0
"""The worker: puts the parts together, runs them, and ends them within ten seconds.

Flow: shard and Secrets in, supervisors in between, statuses, metrics and the Lease out. Anything
that ends unexpectedly here ends the process; the parent starts it again at once.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import time
from http import HTTPStatus

from pydantic import ValidationError

from camfleet_api.ingest_shard import IngestShardSpec, IngestShardStatus
from camfleet_base.environment import SettingsError
from camfleet_base.token_bucket import TokenBucket
from camfleet_worker import log as logs
from camfleet_worker.base.backoff import Backoff
from camfleet_worker.base.clock import wall_clock
from camfleet_worker.camera.connect_budget import ConnectBudget
from camfleet_worker.camera.fleet import Fleet
from camfleet_worker.camera.other_cameras import OtherCameras
from camfleet_worker.camera.sink_factory import SinkFactory
from camfleet_worker.camera.state_cache import StateCache
from camfleet_worker.camera.status_restore import Recollection
from camfleet_worker.camera.surroundings import Surroundings
from camfleet_worker.cluster.api import Cluster
from camfleet_worker.cluster.connection import Connection
from camfleet_worker.cluster.errors import ClusterError
from camfleet_worker.cluster.heartbeat import Heartbeat
from camfleet_worker.cluster.token_reviews import TokenReviews
from camfleet_worker.endpoints.http_server import READING, Answer, HttpServer
from camfleet_worker.endpoints.journal_pages import ACKNOWLEDGE, JOURNAL, JournalPages
from camfleet_worker.endpoints.local_endpoint import LOOPBACK, Loopback
from camfleet_worker.endpoints.probes import Page, ProbeServer, Progress
from camfleet_worker.endpoints.snapshot_gate import SnapshotGate
from camfleet_worker.endpoints.snapshots import snapshot_page
from camfleet_worker.journal.keeper import JournalPlaces, Journals
from camfleet_worker.login.accounts import Accounts
from camfleet_worker.login.attempts import AttemptLedger
from camfleet_worker.media.loop import MediaLoop
from camfleet_worker.metrics.collector import (
    ViewerCollector,
    WorkerCollector,
    registry_of,
    rendered,
)
from camfleet_worker.onvif.ports import port_trouble
from camfleet_worker.onvif.resolver import OnvifResolver
from camfleet_worker.picture.pool import PicturePool
from camfleet_worker.record.housekeeping import VolumeSettings
from camfleet_worker.record.volume import VolumeWriter
from camfleet_worker.recordings.listing import recorded_between
from camfleet_worker.relay.name_resolver import Resolver
from camfleet_worker.reporter.reporter import Reporter
from camfleet_worker.rtsp.client import open_stream
from camfleet_worker.settings import Settings

log = logging.getLogger(__name__)

SHARD_PATIENCE_S = 5.0
"""How long the API server may take before the copy of the last shard is run."""
STATUS_BURST_S = 10.0
"""The burst of status writes is what the budget gives in this time."""
STOP_S = 9.0
"""Everything after SIGTERM; the pod's grace period is longer."""
FLUSH_S = 2.0
DISK_S = 2.0
PICTURE_S = 0.5
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
        self._cluster = Cluster(connection, settings.namespace)
        self._cache = StateCache(settings.state)
        self._accounts = Accounts(self._cluster.secret, self._secret_changed)
        per_s = settings.status_writes_per_s
        self._reporter = Reporter(
            self._cluster,
            wall_clock,
            TokenBucket(per_s, max(1.0, per_s * STATUS_BURST_S)),
            self._cache.keep_status,
        )
        self._media = MediaLoop(settings.tick_s)
        self._ticks = Progress(lambda: self._media.counters.ticks)
        self._volume = VolumeWriter(
            VolumeSettings(settings.recordings, settings.recordings_max_bytes)
        )
        self._journals = Journals(
            settings.namespace,
            JournalPlaces(settings.recordings, settings.state / "journals"),
            self._volume.submit,
            recorded_between,
        )
        self._pictures = PicturePool()
        self._names = Resolver()
        self._onvif = OnvifResolver()
        self._fleet = self._make_fleet()
        self._heartbeat = Heartbeat(
            self._cluster,
            settings.shard,
            settings.holder,
            settings.lease_s,
            wall_clock,
            self._reporter.reread,
        )
        self._spec: IngestShardSpec | None = None
        self._registry = registry_of(
            WorkerCollector(
                settings.namespace,
                self._fleet,
                self._media,
                self._pictures.counters,
                lambda: self._reporter.writes,
                self._journals.counters,
                lambda: self._volume.housekeeper.deleted_for_space,
            )
        )
        self._first_shard = asyncio.Event()

    def _snapshot_servers(self) -> list[tuple[HttpServer, str, int]]:
        """One for whoever may forward a port to the pod, with the journal; one for a viewer, where
        it is declared."""
        loopback = HttpServer(self._loopback().answer, answer_s=JOURNAL_S)
        servers = [(loopback, LOOPBACK, self._settings.snapshot_port)]
        if viewer := self._settings.viewer:
            reviews = TokenReviews(self._connection, viewer.audience)
            gate = SnapshotGate(reviews.review, viewer.audience, viewer.user)
            self._registry.register(ViewerCollector(gate))
            server = ProbeServer(self._snapshot, gate, VIEWER_CONNECTIONS)
            servers.append((server, viewer.address, viewer.port))
        return servers

    def _loopback(self) -> Loopback:
        journal = JournalPages(self._journals)
        pages = {JOURNAL: (READING, journal.read), ACKNOWLEDGE: (("POST",), journal.acknowledge)}
        return Loopback(self._snapshot, pages)

    def _snapshot(self, path: str) -> Page | None:
        return snapshot_page(self._fleet, path)

    def _make_fleet(self) -> Fleet:
        ledger = AttemptLedger(wall_clock)
        recollection = Recollection(
            self._reporter, self._cache, ledger, lambda host: self._fleet.siblings(host)
        )
        factory = SinkFactory(
            self._settings.namespace, self._volume, self._names, self._accounts, self._pictures
        )
        around = Surroundings(
            resolver=self._onvif,
            open_stream=open_stream,
            probe=port_trouble,
            accounts=self._accounts,
            ledger=ledger,
            reports=self._reporter,
            recollect=recollection.recollect,
            budget=ConnectBudget(),
            make_sinks=factory.make,
            other_camera=OtherCameras(self._cluster.camera).status,
            journals=self._journals,
        )
        return Fleet(around, self._reporter, lambda camera: self._media.open_feed(camera, ()))

    async def run(self, stop: asyncio.Event) -> None:
        """Run until told to stop; raises what ended a part that must not end."""
        self._media.start()
        self._volume.start()
        self._pictures.start()
        self._accounts.restore(self._cache.secrets())
        pages = {"/metrics": self._metrics, "/healthz": self._healthz, "/readyz": self._readyz}
        probes = ProbeServer(pages.get)
        snapshots = self._snapshot_servers()
        port = await probes.start(self._settings.metrics_address, self._settings.metrics_port)
        for where in snapshots:
            await self._serve_snapshots(*where)
        log.info("worker started", extra={"shard": self._settings.shard, "port": port})
        parts = [
            asyncio.create_task(part, name=name)
            for name, part in {
                "shard": self._follow_shard(),
                "copy": self._run_copy(),
                "reporter": self._reporter.run(),
                "sinks": self._fleet.poll(),
                "lease": self._heartbeat.run(),
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

    async def _follow_shard(self) -> None:
        """Take over every shard that the API server shows. One that vanishes is no instruction:
        only an explicit removal, or SIGTERM, stops a camera."""
        async for found in self._cluster.shard(self._settings.shard):
            if found is None:
                log.warning("shard is absent, cameras go on", extra={"shard": self._settings.shard})
                continue
            try:
                spec = IngestShardSpec.read(found["spec"])
                if self._spec is None or spec != self._spec:
                    await self._take_over(spec)
            except (ValidationError, IndexError) as error:
                log.error("shard cannot be read", extra={"cause": type(error).__name__})
                continue
            self._first_shard.set()
            if (found.get("status") or {}).get("observedHash") != spec.hash:
                await self._acknowledge(spec.hash)

    async def _run_copy(self) -> None:
        """Go by the last shard where the API server does not answer soon after the start."""
        try:
            async with asyncio.timeout(SHARD_PATIENCE_S):
                await self._first_shard.wait()
        except TimeoutError:
            copy = self._cache.shard()
            if copy is not None and self._spec is None:
                log.warning("no answer from the API server, running the last shard")
                await self._take_over(copy)
        await asyncio.Event().wait()

    async def _take_over(self, spec: IngestShardSpec) -> None:
        self._spec = spec
        self._accounts.want(_secrets_of(spec))
        await self._fleet.apply(spec)
        self._cache.keep_shard(spec)

    async def _acknowledge(self, hash_: str) -> None:
        """Tell the operator that this shard runs: rights of removed cameras may go."""
        backoff = Backoff(first_s=0.5, most_s=5.0)
        for _ in range(10):
            try:
                await self._cluster.apply_shard_status(
                    self._settings.shard, IngestShardStatus(observed_hash=hash_).to_wire()
                )
            except ClusterError as error:
                log.warning("shard not acknowledged", extra={"cause": str(error)})
                await asyncio.sleep(backoff.next_s())
            else:
                return

    def _secret_changed(self, name: str) -> None:
        # A VMS account is often called like the namespace: masked, no line could be read.
        self._redactor.know(self._accounts.values() - {self._settings.namespace})
        self._cache.keep_secrets(self._accounts.contents())
        self._fleet.secret_changed(name)

    async def _stop(self, parts: list[asyncio.Task[None]]) -> None:
        """TEARDOWN, close files, last report. The report goes first to nobody's harm: it tells
        what was true while the cameras still ran, and stopping them is no fact about them."""
        log.info("worker stops")
        for task in parts:
            task.cancel()
        await asyncio.gather(*parts, return_exceptions=True)
        try:
            async with asyncio.timeout(STOP_S):
                await asyncio.gather(self._flush(), self._fleet.stop())
                await asyncio.to_thread(self._media.stop, DISK_S)
                await asyncio.to_thread(self._volume.close, DISK_S)
                await asyncio.to_thread(self._pictures.close, PICTURE_S)
        except TimeoutError:
            log.error("worker could not stop in time")
        await self._accounts.close()
        self._names.close()
        self._onvif.close()
        log.info("worker stopped")

    async def _flush(self) -> None:
        try:
            async with asyncio.timeout(FLUSH_S):
                await self._reporter.flush()
        except TimeoutError:
            log.warning("last report not written in time")

    def _metrics(self) -> Answer:
        return Answer(HTTPStatus.OK, rendered(self._registry))

    def _healthz(self) -> Answer:
        if self._media.alive and not self._ticks.stalled(time.monotonic()):
            return Answer(HTTPStatus.OK, b"ok\n")
        return Answer(HTTPStatus.SERVICE_UNAVAILABLE, b"the media loop does not tick\n")

    def _readyz(self) -> Answer:
        if self._spec is not None:
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
    """Until told to stop. A part that ends by itself is a bug: its exception ends the process."""
    done, _ = await asyncio.wait({stopping, *parts}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    for task in done - {stopping}:
        error = task.exception()
        raise error or RuntimeError(f"part {task.get_name()} ended")


def _secrets_of(spec: IngestShardSpec) -> set[str]:
    refs = [camera.credentials for camera in spec.cameras]
    refs += [relay.credentials for policy in spec.policies for relay in policy.relays]
    return {ref.secret_name for ref in refs if ref is not None}
