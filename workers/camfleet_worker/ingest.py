# SPDX-License-Identifier: Apache-2.0
"""Everything between the API server and a worker's endpoints, put together once: accounts, the
fleet of supervisors, media loop, recording volume, journals, pictures and status reports.

The app makes one for its process; wire tests make one with objects of their own in place of the
API server. It follows no shard (`shard_follower.py`), serves no port and decides nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from camfleet_base.token_bucket import TokenBucket
from camfleet_worker.base.clock import wall_clock
from camfleet_worker.camera.assignment_index import AssignmentIndex
from camfleet_worker.camera.connect_budget import ConnectBudget
from camfleet_worker.camera.connector import ConnectDeps
from camfleet_worker.camera.devices import Devices
from camfleet_worker.camera.fleet import Fleet
from camfleet_worker.camera.other_cameras import OtherCameras
from camfleet_worker.camera.sink_factory import SinkFactory
from camfleet_worker.camera.state_cache import StateCache
from camfleet_worker.camera.status_restore import StatusRestore
from camfleet_worker.camera.supervisor import SupervisorDeps
from camfleet_worker.camera.timings import CameraTimings
from camfleet_worker.journal.keeper import JournalPlaces, Journals
from camfleet_worker.login.accounts import Accounts
from camfleet_worker.login.attempts import AttemptLedger
from camfleet_worker.media.loop import MediaLoop
from camfleet_worker.onvif.ports import port_trouble
from camfleet_worker.onvif.resolver import OnvifResolver
from camfleet_worker.picture.pool import PicturePool
from camfleet_worker.record.housekeeping import VolumeSettings
from camfleet_worker.record.volume import VolumeWriter
from camfleet_worker.recordings.listing import recorded_between
from camfleet_worker.relay.name_resolver import Resolver
from camfleet_worker.reporter.reporter import CameraDoor, Reporter
from camfleet_worker.rtsp.client import open_stream
from camfleet_worker.settings import Settings

log = logging.getLogger(__name__)

STATUS_BURST_S = 10.0
"""The burst of status writes is what the budget gives in this time."""
STOP_S = 9.0
"""Everything after SIGTERM; the pod's grace period is longer."""
FLUSH_S = 2.0
DISK_S = 2.0
PICTURE_S = 0.5


class Ingest:
    """The parts that keep one worker's cameras streaming. `start`, run `parts`, then `stop`."""

    def __init__(
        self,
        settings: Settings,
        cluster: CameraDoor,
        accounts: Accounts,
        volume: VolumeSettings,
        timings: CameraTimings | None = None,
    ) -> None:
        """`timings`: None for the product's."""
        self.accounts = accounts
        self.cache = StateCache(settings.state)
        self.reporter = Reporter(
            cluster, wall_clock, _status_budget(settings), self.cache.keep_status
        )
        self.media = MediaLoop(settings.tick_s)
        self.volume = VolumeWriter(volume)
        self.journals = Journals(
            settings.namespace,
            JournalPlaces(volume.root, settings.state / "journals"),
            self.volume.submit,
            recorded_between,
        )
        self.pictures = PicturePool()
        self._names = Resolver()
        self.onvif = OnvifResolver()
        index, ledger = AssignmentIndex(), AttemptLedger(wall_clock)
        sinks = SinkFactory(
            settings.namespace, self.volume, self._names, self.accounts, self.pictures
        )
        deps = SupervisorDeps(
            connect=ConnectDeps(
                resolver=self.onvif,
                open_stream=open_stream,
                probe=port_trouble,
                accounts=self.accounts,
                ledger=ledger,
                record_attempt=self.reporter.record_attempt,
                budget=ConnectBudget(),
                other_camera=OtherCameras(cluster.camera).status,
            ),
            devices=Devices(),
            restore_status=StatusRestore(self.reporter, self.cache, ledger, index).restore_status,
            make_sinks=sinks.make,
            journals=self.journals,
            reports=self.reporter,
            timings=timings or CameraTimings(),
        )
        self.fleet = Fleet(
            deps, self.reporter, lambda camera: self.media.open_feed(camera, ()), index
        )
        accounts.on_change(self._keep_secrets)
        accounts.on_change(self.fleet.secret_changed)

    def start(self) -> None:
        """Start the threads, and read what the last process of this pod left behind."""
        self.media.start()
        self.volume.start()
        self.pictures.start()
        self.accounts.restore(self.cache.secrets())

    def parts(self) -> dict[str, Coroutine[Any, Any, None]]:
        """What has to run until the worker stops, by name. None of them ends by itself."""
        return {
            "reporter": self.reporter.run(),
            "sinks": self.fleet.poll(),
            "journals": self.journals.run(),
        }

    async def stop(self) -> None:
        """TEARDOWN, close files, write the last report; the parts must have ended.

        The report holds what was true while the cameras ran: that they are stopped is no fact
        about them, and the next worker goes on from it.
        """
        try:
            async with asyncio.timeout(STOP_S):
                await asyncio.gather(self._flush(), self.fleet.stop())
                await asyncio.to_thread(self.media.stop, DISK_S)
                await asyncio.to_thread(self.volume.close, DISK_S)
                await asyncio.to_thread(self.pictures.close, PICTURE_S)
        except TimeoutError:
            log.error("worker could not stop in time")
        await self.accounts.close()
        self._names.close()
        self.onvif.close()

    async def _flush(self) -> None:
        try:
            async with asyncio.timeout(FLUSH_S):
                await self.reporter.flush()
        except TimeoutError:
            log.warning("last report not written in time")

    def _keep_secrets(self, _: str) -> None:
        self.cache.keep_secrets(self.accounts.contents())


def _status_budget(settings: Settings) -> TokenBucket:
    per_s = settings.status_writes_per_s
    return TokenBucket(per_s, max(1.0, per_s * STATUS_BURST_S))
