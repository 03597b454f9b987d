# SPDX-License-Identifier: Apache-2.0
"""The operator's Prometheus metrics. Names that match controller-runtime's and client-go's are kept
so that stock dashboards work; ours begin with `camfleet_`.

No series per camera: a worker exports those. Series of a namespace vanish with it, because the
gauges about cameras are collected from the latest plans and not kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from camfleet_operator.plan.actions import NamespaceFigures

# The client would export a second series for every counter, which no dashboard reads.
disable_created_metrics()  # type: ignore[no-untyped-call]
REGISTRY = CollectorRegistry()

RECONCILES = Counter(
    "controller_runtime_reconcile",
    "Plans carried out.",
    ("controller", "result"),
    registry=REGISTRY,
)
RECONCILE_SECONDS = Histogram(
    "controller_runtime_reconcile_time_seconds",
    "From snapshot to the last write of a plan.",
    ("controller",),
    registry=REGISTRY,
)
QUEUE_DEPTH = Gauge("workqueue_depth", "Namespaces that wait.", ("name",), registry=REGISTRY)
QUEUE_ADDS = Counter("workqueue_adds", "Keys enqueued.", ("name",), registry=REGISTRY)
QUEUE_RETRIES = Counter("workqueue_retries", "Repetitions.", ("name",), registry=REGISTRY)
QUEUE_SECONDS = Histogram(
    "workqueue_queue_duration_seconds", "From enqueueing to start.", ("name",), registry=REGISTRY
)
API_REQUESTS = Counter(
    "camfleet_api_requests", "Requests.", ("verb", "resource", "code"), registry=REGISTRY
)
API_SECONDS = Histogram(
    "camfleet_api_request_seconds", "Time to answer.", ("verb", "resource"), registry=REGISTRY
)
THROTTLE_SECONDS = Counter(
    "camfleet_api_throttle_wait_seconds", "Time writes waited for a token.", registry=REGISTRY
)
WRITES = Counter("camfleet_writes", "Writes by kind.", ("kind", "manager"), registry=REGISTRY)
FOREIGN_UID = Counter(
    "camfleet_foreign_uid",
    "Writes that met another object of the same name.",
    ("kind",),
    registry=REGISTRY,
)
WATCH_AGE = Gauge(
    "camfleet_watch_last_event_age_seconds",
    "Since the last event or bookmark of a watch.",
    ("kind",),
    registry=REGISTRY,
)
STORE_OBJECTS = Gauge("camfleet_store_objects", "Objects held.", ("kind",), registry=REGISTRY)
STORE_DRIFT = Counter(
    "camfleet_store_drift", "Objects a LIST had to repair.", ("kind",), registry=REGISTRY
)
RELISTS = Counter("camfleet_relist", "LISTs of all objects.", ("kind",), registry=REGISTRY)
LEADER = Gauge("camfleet_leader", "1 while this replica leads.", registry=REGISTRY)
LOOP_LAG = Gauge(
    "camfleet_event_loop_lag_seconds", "How late the main loop wakes.", registry=REGISTRY
)
MOVES = Counter("camfleet_assignment_moves", "Cameras moved between shards.", registry=REGISTRY)
EVENTS_POSTED = Counter("camfleet_events_posted", "Kubernetes Events.", registry=REGISTRY)


async def measure_loop_lag() -> None:
    """Note once a second how late the main loop wakes, for ever."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + 1
        await asyncio.sleep(1)
        LOOP_LAG.set(max(0.0, loop.time() - due))


class FleetCollector(Collector):
    """Gauges from the latest figures of every namespace."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._figures: dict[str, NamespaceFigures] = {}

    def record(self, namespace: str, figures: NamespaceFigures) -> None:
        """Replace the figures of a namespace; empty ones remove it."""
        if figures.cameras or figures.shard_cameras:
            self._figures[namespace] = figures
        else:
            self._figures.pop(namespace, None)

    def collect(self) -> Iterable[GaugeMetricFamily]:
        cameras = GaugeMetricFamily(
            "camfleet_cameras",
            "Cameras by the state of Ready.",
            labels=("namespace", "status", "reason"),
        )
        held = GaugeMetricFamily(
            "camfleet_shard_cameras", "Cameras of a shard.", labels=("namespace", "shard")
        )
        capacity = GaugeMetricFamily(
            "camfleet_shard_capacity", "Cameras a shard may hold.", value=self._capacity
        )
        incidents = GaugeMetricFamily(
            "camfleet_sites_unreachable",
            "Sites whose cameras fell together.",
            labels=("namespace",),
        )
        for namespace, figures in list(self._figures.items()):
            incidents.add_metric((namespace,), figures.incidents)
            for (status, reason), count in figures.cameras.items():
                cameras.add_metric((namespace, status, reason), count)
            for shard, count in figures.shard_cameras.items():
                held.add_metric((namespace, shard), count)
        return (cameras, held, capacity, incidents)
