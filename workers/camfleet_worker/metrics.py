# SPDX-License-Identifier: Apache-2.0
"""Prometheus metrics, collected at scrape time from what runs.

Nothing is counted twice and nothing is forgotten: a camera's series exist exactly while the fleet
runs it. Everything that ticks (frames, bytes, ages) is here and never in a status.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.gc_collector import GCCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from camfleet_worker.camera.fleet import Fleet
from camfleet_worker.camera.supervisor import CameraSupervisor
from camfleet_worker.endpoints.snapshot_gate import SnapshotGate
from camfleet_worker.journal.keeper import JournalCounters
from camfleet_worker.media.loop import MediaLoop
from camfleet_worker.media_types.sink import AudioSink
from camfleet_worker.picture.pool import PictureCounters

CAMERA = ("namespace", "site", "camera")
SINK = (*CAMERA, "sink")


class WorkerCollector(Collector):
    """Reads the fleet, the media loop and the reporter when Prometheus asks."""

    def __init__(
        self,
        namespace: str,
        fleet: Fleet,
        media: MediaLoop,
        pictures: PictureCounters,
        status_writes: Callable[[], int],
        journal: JournalCounters,
    ) -> None:
        self._namespace = namespace
        self._fleet = fleet
        self._media = media
        self._pictures = pictures
        self._status_writes = status_writes
        self._journal = journal

    def collect(self) -> Iterable[Metric]:
        """All metrics of one moment."""
        yield from self._cameras()
        yield from self._sinks()
        yield from self._pictures_of_all()
        yield from self._journals()
        yield from self._worker()

    def _cameras(self) -> Iterable[Metric]:
        up = GaugeMetricFamily(
            "camfleet_ingest_camera_up", "1 while whole access units arrive.", labels=CAMERA
        )
        units = CounterMetricFamily(
            "camfleet_ingest_access_units", "Pictures received.", labels=CAMERA
        )
        octets = CounterMetricFamily("camfleet_ingest_bytes", "Bytes received.", labels=CAMERA)
        lost = CounterMetricFamily(
            "camfleet_ingest_lost_packets", "RTP packets lost.", labels=CAMERA
        )
        audio = CounterMetricFamily(
            "camfleet_ingest_audio_units", "Audio units received.", labels=CAMERA
        )
        lost_audio = CounterMetricFamily(
            "camfleet_ingest_lost_audio_packets", "RTP packets of audio lost.", labels=CAMERA
        )
        connects = CounterMetricFamily(
            "camfleet_ingest_reconnects", "Sessions that streamed.", labels=CAMERA
        )
        refused = CounterMetricFamily(
            "camfleet_ingest_auth_failures", "Connects that ended at the login.", labels=CAMERA
        )
        age = GaugeMetricFamily(
            "camfleet_ingest_last_frame_age_seconds", "Since the last picture.", labels=CAMERA
        )
        senseless = CounterMetricFamily(
            "camfleet_ingest_stamped_by_arrival",
            "Pictures whose own timestamps do not rise.",
            labels=CAMERA,
        )
        offset = GaugeMetricFamily(
            "camfleet_ingest_camera_clock_offset_seconds",
            "The camera's wall clock minus ours, by its sender reports.",
            labels=CAMERA,
        )
        drift = GaugeMetricFamily(
            "camfleet_ingest_clock_drift_ppm",
            "How much faster than ours the camera's RTP clock runs, after ten minutes.",
            labels=CAMERA,
        )
        healthy = GaugeMetricFamily(
            "camfleet_ingest_image_healthy",
            "1 while the picture is as usual, 0 while it has a fault, absent until that is known.",
            labels=CAMERA,
        )
        now = time.monotonic()
        for supervisor in self._fleet.supervisors:
            labels = self._labels(supervisor)
            received = supervisor.received
            up.add_metric(labels, float(supervisor.streaming))
            units.add_metric(labels, received.access_units)
            octets.add_metric(labels, received.bytes)
            lost.add_metric(labels, received.lost_packets)
            if supervisor.assignment.policy.audio:
                audio.add_metric(labels, received.audio_units)
                lost_audio.add_metric(labels, received.lost_audio_packets)
            connects.add_metric(labels, supervisor.reconnects)
            refused.add_metric(labels, supervisor.auth_failures)
            senseless.add_metric(labels, received.stamped_by_arrival)
            if received.camera_clock_offset_s is not None:
                offset.add_metric(labels, received.camera_clock_offset_s)
            if received.drift_ppm is not None:
                drift.add_metric(labels, received.drift_ppm)
            picture = supervisor.sinks.picture
            if picture.working or picture.failure is not None:
                healthy.add_metric(labels, float(picture.working))
            if received.last_access_unit_monotonic:
                age.add_metric(labels, now - received.last_access_unit_monotonic)
        clocks = (senseless, offset, drift)
        sessions = (connects, refused, age)
        return (up, units, octets, lost, audio, lost_audio, *sessions, *clocks, healthy)

    def _sinks(self) -> Iterable[Metric]:
        units = CounterMetricFamily("camfleet_sink_access_units", "Pictures passed.", labels=SINK)
        octets = CounterMetricFamily("camfleet_sink_bytes", "Bytes passed.", labels=SINK)
        drops = CounterMetricFamily(
            "camfleet_sink_dropped_access_units", "Pictures dropped.", labels=SINK
        )
        gops = CounterMetricFamily(
            "camfleet_sink_dropped_gops", "Groups of pictures dropped.", labels=SINK
        )
        audio = CounterMetricFamily("camfleet_sink_audio_units", "Audio units passed.", labels=SINK)
        lost_audio = CounterMetricFamily(
            "camfleet_sink_dropped_audio_units", "Audio units dropped.", labels=SINK
        )
        connects = CounterMetricFamily("camfleet_sink_connects", "Connections made.", labels=SINK)
        for supervisor in self._fleet.supervisors:
            for sink in supervisor.sinks.sinks:
                labels = [*self._labels(supervisor), sink.name]
                units.add_metric(labels, sink.counters.access_units)
                octets.add_metric(labels, sink.counters.bytes)
                drops.add_metric(labels, sink.counters.dropped_access_units)
                gops.add_metric(labels, sink.counters.dropped_gops)
                if supervisor.assignment.policy.audio and isinstance(sink, AudioSink):
                    audio.add_metric(labels, sink.counters.audio_units)
                    lost_audio.add_metric(labels, sink.counters.dropped_audio_units)
                connects.add_metric(labels, sink.counters.connects)
        return (units, octets, drops, gops, audio, lost_audio, connects)

    def _pictures_of_all(self) -> Iterable[Metric]:
        pictures = self._pictures
        yield CounterMetricFamily(
            "camfleet_picture_decoded", "Key frames decoded to judge them.", pictures.decoded
        )
        yield CounterMetricFamily(
            "camfleet_picture_skipped",
            "Key frames that nobody had time to decode.",
            pictures.skipped,
        )
        yield CounterMetricFamily(
            "camfleet_picture_decoder_errors",
            "Key frames that gave no whole picture.",
            pictures.errors,
        )

    def _journals(self) -> Iterable[Metric]:
        journal = self._journal
        yield CounterMetricFamily(
            "camfleet_journal_lines", "Lines of the journal of gaps on the disk.", journal.lines
        )
        yield CounterMetricFamily(
            "camfleet_journal_dropped_lines",
            "Lines given up because no disk took them.",
            journal.dropped_lines,
        )
        yield CounterMetricFamily(
            "camfleet_journal_lost_bytes",
            "Of the journal, given up before anybody acknowledged them.",
            journal.lost_bytes,
        )
        yield CounterMetricFamily(
            "camfleet_journal_write_failures",
            "Writes of the journal that failed; what they held was kept.",
            journal.write_failures,
        )

    def _worker(self) -> Iterable[Metric]:
        loop = self._media.counters
        yield GaugeMetricFamily(
            "camfleet_media_loop_lag_seconds", "How late the last tick began.", loop.lag_s
        )
        yield GaugeMetricFamily(
            "camfleet_media_loop_worst_lag_seconds", "The latest tick so far.", loop.worst_lag_s
        )
        yield CounterMetricFamily(
            "camfleet_media_loop_busy_seconds", "Time spent working.", loop.busy_s
        )
        yield CounterMetricFamily(
            "camfleet_worker_wall_clock_steps",
            "Steps of this node's clock, by which recordings are named.",
            loop.wall_clock_steps,
        )
        faults = loop.stream_faults + loop.sink_faults + loop.listener_faults
        faults += self._pictures.faults + self._journal.bugs
        yield CounterMetricFamily(
            "camfleet_worker_bugs", "Exceptions that were ours.", faults + self._fleet.bugs
        )
        yield GaugeMetricFamily(
            "camfleet_worker_tasks", "Tasks of the control loop.", len(asyncio.all_tasks())
        )
        yield CounterMetricFamily(
            "camfleet_status_writes", "Camera statuses applied.", self._status_writes()
        )

    def _labels(self, supervisor: CameraSupervisor) -> list[str]:
        camera = supervisor.assignment.camera
        return [self._namespace, camera.site, camera.name]


class ViewerCollector(Collector):
    """What the gate before the second listener has answered."""

    def __init__(self, gate: SnapshotGate) -> None:
        self._gate = gate

    def collect(self) -> Iterable[Metric]:
        """All metrics of one moment."""
        answers = CounterMetricFamily(
            "camfleet_snapshot_viewer_answers",
            "Requests of the second listener by HTTP status, 200 where they were let through.",
            labels=("code",),
        )
        for status, count in self._gate.answers.items():
            answers.add_metric([str(status.value)], count)
        yield answers
        yield CounterMetricFamily(
            "camfleet_snapshot_viewer_reviews", "Tokens asked about.", self._gate.reviews
        )


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
