# SPDX-License-Identifier: Apache-2.0
"""One camera's place in the media loop: its sinks and its timeline outlive its sessions.

Used on the loop's thread only. A sink first sees a key frame, and after a reconnect or a fault of
its own a key frame again.

Compiled by mypyc (workers/compile_media.py): no attribute may be added from outside, none may be of
another type than declared, and nothing may be set on the class by a test.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

from camfleet_api.conditions import Reason
from camfleet_worker.base.errors import IngestError
from camfleet_worker.media.counters import LoopCounters
from camfleet_worker.media.watchdog import USUAL_PATIENCE, Patience
from camfleet_worker.media_types.access_unit import AccessUnit
from camfleet_worker.media_types.audio_unit import AudioUnit
from camfleet_worker.media_types.delivery_log import DeliveryLog
from camfleet_worker.media_types.sink import AudioSink, Sink
from camfleet_worker.timeline.audio import AudioTimeline
from camfleet_worker.timeline.reorder import DisplayOrder
from camfleet_worker.timeline.timeline import Timeline

log = logging.getLogger(__name__)


class SinkFanout:
    """Gives each access unit to each sink."""

    def __init__(
        self,
        camera: str,
        sinks: Sequence[Sink],
        counters: LoopCounters,
        patience: Patience = USUAL_PATIENCE,
    ) -> None:
        self.camera = camera
        self.arrivals = DeliveryLog()
        self.timeline = Timeline()
        self.audio_timeline = AudioTimeline(self.timeline)
        self.order = DisplayOrder()
        self.patience = patience
        self._sinks = list(sinks)
        self._audio_sinks = _taking_audio(sinks)
        self._started: list[Sink] = []
        self._faulty: set[int] = set()
        self._counters = counters

    def begin_session(self) -> None:
        """Another session starts: its clock starts anywhere. (Its first access unit is a key
        frame.)"""
        self.arrivals.broken()
        self.timeline.restart()
        self.audio_timeline.restart()

    def session_ended(self, error: IngestError) -> None:
        """Remember for the next session what this one has shown of the camera."""
        if error.reason is Reason.NO_KEYFRAME:
            self.patience = self.patience.longer()

    def push(self, unit: AccessUnit) -> None:
        """Hand one access unit to every sink that has seen a key frame."""
        if unit.key and len(self._started) != len(self._sinks):
            self._started = list(self._sinks)
        for sink in tuple(self._started):
            try:
                sink.push(unit)
            except Exception:
                self._note_fault(sink)
                self._started.remove(sink)

    def push_audio(self, unit: AudioUnit) -> None:
        """Hand one audio unit to the sinks that take it and have seen a key frame."""
        for sink in self._audio_sinks:
            if sink not in self._started:
                continue
            try:
                sink.push_audio(unit)
            except Exception:
                self._note_fault(sink)
                self._started.remove(sink)

    def tick(self, now: float) -> None:
        """Let every sink flush, reconnect and expire."""
        for sink in self._sinks:
            try:
                sink.tick(now)
            except Exception:
                self._note_fault(sink)

    def replace_sinks(self, sinks: Sequence[Sink]) -> None:
        """Replace the sinks; those in both sets go on without a break, the others are closed."""
        leaving = [sink for sink in self._sinks if sink not in sinks]
        self._sinks = list(sinks)
        self._audio_sinks = _taking_audio(sinks)
        self._started = [sink for sink in self._started if sink in sinks]
        self._close(leaving)

    def close(self) -> None:
        """Close every sink."""
        leaving, self._sinks, self._audio_sinks = self._sinks, [], []
        self._started.clear()
        self._close(leaving)

    def _close(self, sinks: Iterable[Sink]) -> None:
        for sink in sinks:
            try:
                sink.close()
            except Exception:
                self._note_fault(sink)

    def _note_fault(self, sink: Sink) -> None:
        """Count a bug of a sink, which affects no other sink, and log it once per sink."""
        self._counters.sink_faults += 1
        if id(sink) not in self._faulty:
            self._faulty.add(id(sink))
            log.exception("bug in a sink", extra={"camera": self.camera, "sink": sink.name})


def _taking_audio(sinks: Iterable[Sink]) -> list[AudioSink]:
    """Asked once: an audio unit comes fifty times a second."""
    return [sink for sink in sinks if isinstance(sink, AudioSink)]
