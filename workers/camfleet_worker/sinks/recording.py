# SPDX-License-Identifier: Apache-2.0
"""The recording sink: access units of one camera become segments on a volume.

Called by the media loop (push, tick, close), which muxes here and hands whole fragments to the
volume's thread. Names and cuts are layout.py's, bytes are mp4.py's, the disk is volume.py's; this
file decides when a segment and a span begin and end, and what is dropped when the disk lags.

Time: a span starts by our clock, at the arrival of its first picture; within it the camera's
timeline counts. When both have drifted apart, the span ends and another begins.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass

from camfleet_api.conditions import ConditionType, Reason
from camfleet_worker.errors import IngestError
from camfleet_worker.media.access_unit import AccessUnit, VideoFormat
from camfleet_worker.sinks.layout import ObjectKey, segment_is_over
from camfleet_worker.sinks.mp4 import CLOCK_RATE, Mp4Segment
from camfleet_worker.sinks.sink import SinkCounters, SinkPhase, SinkState
from camfleet_worker.sinks.volume import SegmentFile, VolumeWriter

_GAP_90K = 5 * CLOCK_RATE
"""No picture for so long is a gap, not a slow camera: the span ends with the picture before."""
_BACKWARD_90K = 1 * CLOCK_RATE
"""Timestamps that go back by less are pressed into order, by more are another timeline."""
_DRIFT_US = 2_000_000
_DEFAULT_DURATION_90K = CLOCK_RATE // 25
_RETRY_S = 5.0
"""After a failed write, this long until the next try: the disk is asked, not hammered."""
_STALLED_S = 10.0
_LAGGING_S = 30.0
_HOUR_90K = 3600 * CLOCK_RATE
_STARTING = SinkState(SinkPhase.STARTING)
_WORKING = SinkState(SinkPhase.WORKING)


@dataclass(frozen=True, slots=True)
class RecordingSettings:
    """How one camera is recorded. `prefix` is layout.camera_prefix of it."""

    prefix: str
    segment_s: int = 60
    retention_days: int = 30
    queue_bytes: int = 8 << 20
    """What may wait for the disk: half a minute at 2 Mbit/s."""
    format_changes_per_hour: int = 60
    """A camera that renews its parameter sets at every key frame must not make a file of each."""


@dataclass(slots=True)
class _Span:
    """The span being written and its open segment."""

    start_us: int
    start_pts: int
    segment_us: int
    newest_pts: int
    """Of the pictures shown so far: with B-frames it is not the last one that was decoded."""
    counter: int
    format: VideoFormat
    in_force: VideoFormat
    """Differs from `format`, the one in the header, only over the cap of changes per hour."""
    mp4: Mp4Segment
    file: SegmentFile
    units: int = 0
    """Access units inside the muxer, not yet handed to the volume."""

    def at_us(self, pts_90k: int) -> int:
        """When a picture of this span was taken."""
        return self.start_us + (pts_90k - self.start_pts) * 100 // 9


class RecordingSink:
    """Writes one camera to a volume."""

    name = "recording"
    condition = ConditionType.RECORDING

    def __init__(self, settings: RecordingSettings, volume: VolumeWriter) -> None:
        self.counters = SinkCounters()
        self._settings = settings
        self._volume = volume
        self._lock = threading.Lock()
        self._queued_bytes = 0
        self._state = _STARTING
        self._lagging_until = float("-inf")
        self._retry_at = float("-inf")
        self._now = float("-inf")
        self._stalled = False
        self._closed = False
        self._dropping = False
        self._span: _Span | None = None
        self._pending: AccessUnit | None = None
        self._pending_pts = self._pending_dts = 0
        self._format_changes: deque[int] = deque()
        volume.prepare(settings.prefix, settings.retention_days, self._failed)

    @property
    def state(self) -> SinkState:
        """Working means: the last write reached the file."""
        if self._stalled:
            return SinkState(
                SinkPhase.FAILED, _storage_failed("The recording volume does not answer")
            )
        state = self._state
        if state.phase is SinkPhase.WORKING and self._now < self._lagging_until:
            return SinkState(
                SinkPhase.FAILED,
                _storage_failed("The recording volume takes less than arrives; pictures are lost"),
            )
        return state

    def push(self, unit: AccessUnit) -> None:
        """Take one access unit. It is held back until the next one tells how long it is shown."""
        if self._closed:
            return
        if self._span is not None and self._span.file.failed:
            self._abandon(self._span)
        if self._span is not None and self._pending is not None:
            self._continue(self._span, self._pending, unit)
        if self._span is None:
            self._begin_or_drop(unit)

    def tick(self, now: float) -> None:
        """Notice a disk that does not answer."""
        self._now = now
        self._stalled = self._volume.busy_s(now) > _STALLED_S

    def close(self) -> None:
        """End the span; the volume's thread brings it to the disk."""
        if self._closed:
            return
        self._closed = True
        if self._span is not None:
            self._end_span(self._span)

    # Called by the volume's thread.

    def wrote(self, size: int, units: int) -> None:
        """Count what is in the file now."""
        with self._lock:
            self._queued_bytes -= size
            self.counters.access_units += units
            self.counters.bytes += size
            self._state = _WORKING

    def lost(self, size: int, units: int, error: IngestError | None) -> None:
        """Count what will never be, and say why."""
        with self._lock:
            self._queued_bytes -= size
            self.counters.dropped_access_units += units
        if error is not None:
            self._failed(error)

    def _failed(self, error: IngestError) -> None:
        self._state = SinkState(SinkPhase.FAILED, error)

    # The rest runs on the media loop.

    def _begin_or_drop(self, unit: AccessUnit) -> None:
        if unit.key and self._now >= self._retry_at and self._has_room(resuming=self._dropping):
            self._dropping = False
            self._begin_span(unit)
            return
        with self._lock:
            self.counters.dropped_access_units += 1
            if unit.key:
                self.counters.dropped_gops += 1

    def _continue(self, span: _Span, pending: AccessUnit, unit: AccessUnit) -> None:
        step = unit.dts_90k - self._pending_dts
        if step > _GAP_90K or step <= -_BACKWARD_90K:
            self._end_span(span)
            return
        if not self._has_room(resuming=False):
            # Mid-GOP: its head stays, decodable; its tail goes, up to a key frame with room.
            self._drop_from_here(span, unit)
            return
        if not unit.key and unit.format != span.in_force:
            self._end_span(span)
            return
        self._mux(span, pending, max(step, 1))
        dts = self._pending_dts + max(step, 1)
        pts = max(unit.pts_90k, dts)
        if unit.key:
            next_span = self._cut(span, unit, pts)
            if next_span is None:
                return
            span = next_span
        self._pending, self._pending_pts, self._pending_dts = unit, pts, dts
        span.newest_pts = max(span.newest_pts, pts)

    def _drop_from_here(self, span: _Span, unit: AccessUnit) -> None:
        self._dropping = True
        self._lagging_until = self._now + _LAGGING_S
        self._end_span(span)
        if not unit.key:
            with self._lock:
                self.counters.dropped_gops += 1

    def _cut(self, span: _Span, unit: AccessUnit, pts: int) -> _Span | None:
        """At a key frame: stay in the segment, open the next one, or end the span (None).

        The annex: what changes the MovieBox ends the span.
        """
        if unit.format != span.in_force and self._may_change_format(span, unit, pts):
            self._close_segment(span, end_us=span.at_us(pts))
            self._forget_span()
            return None
        span.in_force = unit.format
        at_us = span.at_us(pts)
        if not segment_is_over(span.segment_us, at_us, self._settings.segment_s):
            return span
        if abs(int(unit.arrived_at * 1_000_000) - at_us) > _DRIFT_US:
            self._close_segment(span, end_us=at_us)
            self._forget_span()
            return None
        self._close_segment(span, end_us=None)
        self._span = self._open_segment(
            unit, span.start_us, span.start_pts, at_us, pts, span.counter + 1
        )
        return self._span

    def _may_change_format(self, span: _Span, unit: AccessUnit, pts: int) -> bool:
        if unit.format.codec is not span.format.codec:
            return True
        changes = self._format_changes
        while changes and not 0 <= pts - changes[0] < _HOUR_90K:
            changes.popleft()
        if len(changes) >= self._settings.format_changes_per_hour:
            return False
        changes.append(pts)
        return True

    def _begin_span(self, unit: AccessUnit) -> None:
        start_us = int(unit.arrived_at * 1_000_000)
        pts, dts = unit.pts_90k, unit.dts_90k
        self._span = self._open_segment(unit, start_us, pts, start_us, pts, 0)
        self._pending, self._pending_pts, self._pending_dts = unit, pts, dts

    def _open_segment(
        self,
        unit: AccessUnit,
        start_us: int,
        start_pts: int,
        segment_us: int,
        newest_pts: int,
        counter: int,
    ) -> _Span:
        key = ObjectKey(self._settings.prefix, segment_us, counter)
        return _Span(
            start_us=start_us,
            start_pts=start_pts,
            segment_us=segment_us,
            newest_pts=newest_pts,
            counter=counter,
            format=unit.format,
            in_force=unit.format,
            mp4=Mp4Segment(unit.format, unit.composition_offset_90k),
            file=self._volume.segment(key, self),
        )

    def _mux(self, span: _Span, unit: AccessUnit, duration: int) -> None:
        data = unit.data
        if unit.key and unit.format != span.format:
            # Over the hourly cap: the new parameter sets travel in band, which decoders take.
            data = _in_band(unit.format) + data
        ready = span.mp4.add(data, self._pending_pts, self._pending_dts, duration, unit.key)
        units, span.units = span.units, span.units + 1
        if ready:
            self._hand_over(span, ready, units)

    def _hand_over(self, span: _Span, data: bytes, units: int) -> None:
        with self._lock:
            self._queued_bytes += len(data)
        span.units -= units
        self._volume.write(span.file, data, units)

    def _end_span(self, span: _Span) -> None:
        """End with the picture held back; how long it was shown nobody knows."""
        end_pts = span.newest_pts
        if self._pending is not None:
            self._mux(span, self._pending, _DEFAULT_DURATION_90K)
            end_pts += _DEFAULT_DURATION_90K
        self._close_segment(span, end_us=span.at_us(end_pts))
        self._forget_span()

    def _close_segment(self, span: _Span, end_us: int | None) -> None:
        self._hand_over(span, span.mp4.finish(), span.units)
        end = None
        if end_us is not None:
            end = ObjectKey(self._settings.prefix, end_us, span.counter + 1, end=True)
        self._volume.finish(span.file, end)

    def _abandon(self, span: _Span) -> None:
        """Its file failed: what the muxer holds is lost."""
        span.mp4.finish()
        with self._lock:
            self.counters.dropped_access_units += span.units + (self._pending is not None)
            self.counters.dropped_gops += 1
        self._retry_at = self._now + _RETRY_S
        self._forget_span()

    def _forget_span(self) -> None:
        self._span = None
        self._pending = None

    def _has_room(self, resuming: bool) -> bool:
        # Dropping ends at half: a disk at its limit would else lose every other GOP's tail.
        limit = self._settings.queue_bytes // 2 if resuming else self._settings.queue_bytes
        return self._queued_bytes <= limit


def _in_band(video: VideoFormat) -> bytes:
    return b"".join(len(unit).to_bytes(4, "big") + unit for unit in video.parameter_sets)


def _storage_failed(fact: str) -> IngestError:
    return IngestError(ConditionType.RECORDING, Reason.STORAGE_FAILED, fact)
