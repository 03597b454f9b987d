# SPDX-License-Identifier: Apache-2.0
"""A fleet that runs: real API server, real operator, real workers, simulated cameras behind a line.

Used by the measurements. Pods do not run here; instead this starts a worker as soon as the operator
has made a shard and its account, as a kubelet would. API server, operator, cameras and the
measurement itself share one core, workers have the other (where there are two).
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from camfleet_worker.camera.connect_budget import WORKER_PER_S
from local_cluster import Cluster, ClusterError
from operator_process import OperatorProcess, get, names

from .camera_watch import CameraWatch
from .connects import Connects
from .declared import NAMESPACE, DeclaredFleet
from .last_will import LastWill, clear_leftovers
from .source_network import SourceNetwork
from .source_process import SourceProcess
from .worker import ROOT, Metrics, Worker

CONNECTS_PER_WORKER = WORKER_PER_S
RECEIVED = "camfleet_ingest_access_units_total"
_POLL_S = 0.5
_EQUAL_READINGS, _REST_WITHIN_S = 3, 30.0
_TICKS = "camfleet_media_loop_ticks_total"
_TICKS_BETWEEN_READINGS = 3
"""Each tick of a media loop reads all that has arrived."""


def say(text: str) -> None:
    """A line of progress, apart from the result."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


class Failed(RuntimeError):
    """Something that must happen did not; the text says what."""


class RunningFleet:
    """Everything of one measurement, from entering to leaving."""

    def __init__(
        self, sites: int, cameras_per_site: int, strangers: int = 0, cameras_per_shard: int = 200
    ) -> None:
        clear_leftovers()
        self._cpus = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {self._cpus[0]})  # inherited by everything but the workers
        self.will = LastWill()
        self.network = SourceNetwork(self.will.number)
        self.declared = DeclaredFleet(self.network, sites, cameras_per_site, strangers)
        self._per_shard = cameras_per_shard
        self.workers: list[Worker] = []

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.will.execute()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            for worker in self.workers:
                worker.stop()
            self.connects.__exit__(kind, error, trace)
            self.watch.stop()
            self.operator.stop()
            self.operator.forget()
            self.source.stop()
        finally:
            self.will.execute()
            os.sched_setaffinity(0, self._cpus)

    def _start(self) -> None:
        self.will.folder.mkdir(mode=0o700)
        self.network.create()
        self.cluster = Cluster.up(self.will.instance, nodes=False)
        self.cluster.kubectl("apply", "--server-side", "-f", str(ROOT / "crds"))
        self.cluster.kubectl("wait", "crd", "--all", "--for=condition=Established")
        self.cluster.kubectl("create", "namespace", NAMESPACE)
        self.source = SourceProcess(self.network, self.declared.simulated())
        self.will.names(self.source.pid)
        self.connects = Connects(self.network.interface).__enter__()
        self.watch = CameraWatch(self.cluster, NAMESPACE)
        self.will.names(self.watch.pid)
        self.operator = OperatorProcess(
            self.cluster,
            CAMFLEET_WORKER_LEASE_SECONDS="40",
            CAMFLEET_CAMERAS_PER_SHARD=str(self._per_shard),
        )
        self.will.names(self.operator._process.pid)
        self.operator.until_leading()

    def declare(self) -> None:
        """What a GitOps sync would do: create everything."""
        self._create(self.declared.national() + self.declared.province())
        self._create(self.declared.camera_objects())

    def start_workers(self) -> None:
        """Start a worker for every shard that has its account and none yet."""
        running = {worker.shard for worker in self.workers}
        for shard in names(self.cluster, NAMESPACE, "ingestshard"):
            if shard not in running:
                try:
                    worker = self._worker(shard)
                except ClusterError:
                    continue  # its ServiceAccount comes in a moment
                self.workers.append(worker)
                self.will.names(worker.pid)
                say(f"worker {shard} started")

    def wait(self, what: str, done: Callable[[], bool], within_s: float) -> float:
        """Wait until something is so; when that was seen."""
        deadline = time.monotonic() + within_s
        while not done():
            for worker in self.workers:
                if ended := worker.ended():
                    raise Failed(f"worker {worker.shard} is no more:\n{ended}")
            if time.monotonic() > deadline:
                raise Failed(f"{what}: not within {within_s:.0f} s")
            time.sleep(_POLL_S)
        return time.monotonic()

    def metrics(self) -> dict[str, Metrics]:
        """One scrape of each worker."""
        return {worker.shard: worker.metrics() for worker in self.workers}

    def by_camera(self, name: str) -> dict[str, int]:
        """A metric of every camera of every worker."""
        return _by_camera(self.metrics(), name)

    def shard_of(self) -> dict[str, str]:
        """Where the operator has put each camera."""
        return {
            camera["name"]: shard
            for shard in names(self.cluster, NAMESPACE, "ingestshard")
            for camera in get(self.cluster, NAMESPACE, "ingestshard", shard)["spec"]["cameras"]
        }

    def lost_frames(self) -> dict[str, int]:
        """Frames sent and not received, of each camera, over all its sessions. Exact: the cameras
        hold their breath for it."""
        every = [one.name for one in self.declared.cameras]
        self.source.change({name: {"freeze": True} for name in every})
        received = self._received_at_rest()
        counters = self.source.counters()
        self.source.change({name: {"freeze": False} for name in every})
        return {name: counters[name]["frames_sent"] - received.get(name, 0) for name in every}

    def _received_at_rest(self) -> dict[str, int]:
        """Frames received, once all that is under way has arrived: nothing more comes although the
        cameras could send and each worker has looked. On a busy machine either may do nothing for
        seconds."""
        before, equal = self.metrics(), 0
        until = time.monotonic() + _REST_WITHIN_S
        while equal < _EQUAL_READINGS and time.monotonic() < until:
            time.sleep(0.5)
            self.source.counters()  # answered by the loop that sends
            again = self.metrics()
            if _received(again) != _received(before):
                before, equal = again, 0
            elif all(
                again[shard].whole(_TICKS) - before[shard].whole(_TICKS) >= _TICKS_BETWEEN_READINGS
                for shard in again
            ):
                before, equal = again, equal + 1
        return _received(before)

    def api_requests(self) -> dict[str, int]:
        """What the API server has answered: requests by verb, resource and subresource."""
        text = self.cluster.kubectl("get", "--raw", "/metrics")
        counted: dict[str, int] = {}
        for line in text.splitlines():
            if line.startswith("apiserver_request_total{"):
                labels = dict(re.findall(r'(\w+)="([^"]*)"', line))
                name = f"{labels['verb']} {labels['resource']}"
                name += f"/{labels['subresource']}" if labels["subresource"] else ""
                counted[name] = counted.get(name, 0) + int(float(line.rsplit(" ", 1)[1]))
        return counted

    def events(self) -> dict[str, int]:
        """Kubernetes Events of the fleet by reason."""
        counted: dict[str, int] = {}
        for event in json.loads(
            self.cluster.kubectl("get", "events", "-n", NAMESPACE, "-o", "json")
        )["items"]:
            if event["involvedObject"]["apiVersion"].startswith("camfleet"):
                key = f"{event['involvedObject']['kind']} {event['reason']}"
                counted[key] = counted.get(key, 0) + 1
        return counted

    def _worker(self, shard: str) -> Worker:
        cpu = self._cpus[1] if len(self._cpus) > 1 else None
        return Worker(self.cluster, NAMESPACE, shard, self.will.folder / shard, cpu)

    def _create(self, objects: list[dict[str, Any]]) -> None:
        listing = {"kind": "List", "apiVersion": "v1", "items": objects}
        self.cluster.kubectl("create", "-f", "-", stdin=json.dumps(listing))


def _by_camera(scraped: dict[str, Metrics], name: str) -> dict[str, int]:
    return {
        camera: value
        for metrics in scraped.values()
        for camera, value in metrics.by_camera(name).items()
    }


def _received(scraped: dict[str, Metrics]) -> dict[str, int]:
    return _by_camera(scraped, RECEIVED)
