# SPDX-License-Identifier: Apache-2.0
"""Collects Prometheus metrics at scrape time from the running parts; families.py lists them.

Nothing is counted twice, and a camera's series exist exactly while the fleet runs it. Values that
change all the time (frames, bytes, ages) are here and never in a status.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.gc_collector import GCCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from camfleet_worker.base.skipped import SKIPPED
from camfleet_worker.camera.fleet import Fleet
from camfleet_worker.camera.supervisor import CameraSupervisor
from camfleet_worker.endpoints.snapshot_gate import SnapshotGate
from camfleet_worker.journal.keeper import JournalCounters
from camfleet_worker.media.loop import MediaLoop
from camfleet_worker.media_types.sink import AudioSink
from camfleet_worker.metrics import families
from camfleet_worker.metrics.families import Family, Kind
from camfleet_worker.onvif.mended_xml import Mend
from camfleet_worker.picture.pool import PictureCounters


class Scrape:
    """The values of one moment. Values of one series are added up."""

    def __init__(self, shown: Sequence[Family]) -> None:
        self._values: dict[Family, dict[tuple[str, ...], float]] = {family: {} for family in shown}

    def add(self, family: Family, value: float, labels: Iterable[str] = ()) -> None:
        """A value of a series, beside those it has already."""
        series, key = self._values[family], tuple(labels)
        series[key] = series.get(key, 0.0) + value

    def add_fields(
        self, shown: Mapping[str, Family], counters: object, labels: Iterable[str] = ()
    ) -> None:
        """Each field of some counters that `shown` has; None has no series."""
        for name, family in shown.items():
            value = getattr(counters, name)
            if value is not None:
                self.add(family, value, labels)

    def metrics(self) -> Iterable[Metric]:
        """All families, also those without a series: their help is shown anyway."""
        for family, series in self._values.items():
            made = CounterMetricFamily if family.kind is Kind.COUNTER else GaugeMetricFamily
            metric = made(family.name, family.meaning, labels=family.labels)
            for labels, value in series.items():
                metric.add_metric(labels, value)
            yield metric


class WorkerCollector(Collector):
    """Reads the fleet, the media loop, the volume and the reporter when Prometheus asks."""

    def __init__(
        self,
        namespace: str,
        fleet: Fleet,
        media: MediaLoop,
        pictures: PictureCounters,
        status_writes: Callable[[], int],
        journal: JournalCounters,
        deleted_for_space: Callable[[], Mapping[tuple[str, str], int]],
        mended: Mapping[Mend, int],
    ) -> None:
        """`deleted_for_space`: bytes by namespace and site; `mended`: answers of devices."""
        self._namespace = namespace
        self._fleet = fleet
        self._media = media
        self._pictures = pictures
        self._status_writes = status_writes
        self._journal = journal
        self._deleted_for_space = deleted_for_space
        self._mended = mended

    def collect(self) -> Iterable[Metric]:
        """All metrics of one moment."""
        scrape = Scrape(families.SCRAPED)
        now = time.monotonic()
        for supervisor in self._fleet.supervisors:
            self._add_camera(scrape, supervisor, now)
            self._add_sinks(scrape, supervisor)
        scrape.add_fields(families.LOOP, self._media.counters)
        scrape.add_fields(families.PICTURES, self._pictures)
        scrape.add_fields(families.JOURNAL, self._journal)
        scrape.add(families.BUGS, self._fleet.bugs)
        for part, count in SKIPPED.counts.items():
            scrape.add(families.SKIPPED_PARTS, count, [part.value])
        scrape.add(families.TASKS, len(asyncio.all_tasks()))
        scrape.add(families.STATUS_WRITES, self._status_writes())
        for site, freed in self._deleted_for_space().items():
            scrape.add(families.DELETED_FOR_SPACE, freed, site)
        for mend, count in self._mended.items():
            scrape.add(families.MENDED_ANSWERS, count, [mend.value])
        return scrape.metrics()

    def _add_camera(self, scrape: Scrape, supervisor: CameraSupervisor, now: float) -> None:
        labels, received = self._labels(supervisor), supervisor.received
        scrape.add(families.UP, supervisor.streaming, labels)
        scrape.add(families.RECONNECTS, supervisor.reconnects, labels)
        scrape.add(families.AUTH_FAILURES, supervisor.auth_failures, labels)
        picture = supervisor.sinks.picture
        if picture.working or picture.failure is not None:
            scrape.add(families.IMAGE_HEALTHY, picture.working, labels)
        audio = supervisor.assignment.policy.audio
        scrape.add_fields(_STREAM if audio else _STREAM_WITHOUT_AUDIO, received, labels)
        if received.last_access_unit_monotonic:
            age_s = now - received.last_access_unit_monotonic
            scrape.add(families.LAST_FRAME_AGE, age_s, labels)

    def _add_sinks(self, scrape: Scrape, supervisor: CameraSupervisor) -> None:
        audio = supervisor.assignment.policy.audio
        for sink in supervisor.sinks.sinks:
            takes_audio = audio and isinstance(sink, AudioSink)
            shown = families.SINKS if takes_audio else _SINKS_WITHOUT_AUDIO
            scrape.add_fields(shown, sink.counters, [*self._labels(supervisor), sink.name])

    def _labels(self, supervisor: CameraSupervisor) -> list[str]:
        camera = supervisor.assignment.camera
        return [self._namespace, camera.site, camera.name]


class ViewerCollector(Collector):
    """What the gate before the second listener has answered."""

    def __init__(self, gate: SnapshotGate) -> None:
        self._gate = gate

    def collect(self) -> Iterable[Metric]:
        """All metrics of one moment."""
        scrape = Scrape(families.VIEWER)
        for status, count in self._gate.answers.items():
            scrape.add(families.VIEWER_ANSWERS, count, [str(status.value)])
        scrape.add(families.VIEWER_REVIEWS, self._gate.reviews)
        return scrape.metrics()


def _without_audio(shown: Mapping[str, Family]) -> dict[str, Family]:
    return {name: family for name, family in shown.items() if not family.audio_only}


_STREAM = {
    name: family for name, family in families.STREAM.items() if family != families.LAST_FRAME_AGE
}
"""Without the one that is counted as a moment and shown as what has passed since."""
_STREAM_WITHOUT_AUDIO = _without_audio(_STREAM)
_SINKS_WITHOUT_AUDIO = _without_audio(families.SINKS)


def registry_of(collector: Collector) -> CollectorRegistry:
    """A registry with the worker's metrics and those of the process."""
    registry = CollectorRegistry()
    registry.register(collector)
    ProcessCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


def rendered(registry: CollectorRegistry) -> bytes:
    """The text that Prometheus scrapes."""
    return generate_latest(registry)
