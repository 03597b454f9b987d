# SPDX-License-Identifier: Apache-2.0
"""The recording sink: it writes the access units of one camera to segments on a volume.

Compiled by mypyc (workers/compile_media.py): no attribute may be added from outside, none may be of
another type than declared, and nothing may be set on the class by a test.

Called by the media loop alone (push, push_audio, tick, close). This module decides when a segment
and a span begin and end, and what is dropped when the disk lags. open_segment.py has the state of
one segment, recorded_audio.py the audio that waits, write_progress.py the results of the volume's
thread; layout.py decides names and cuts, volume.py writes.

Time: a span starts at the time of its first access unit by the camera's timeline and our clock;
within the span only the timeline counts. An access unit that comes late moves neither. Where our
clock was set in between, the span ends at the next cut, and another begins by the new time.

Audio (AAC) follows the video: a unit is muxed after the access unit beside it, into its segment,
and has no effect on when an access unit is written.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from camfleet_api.cause import Cause
from camfleet_api.conditions import ConditionType
from camfleet_worker.containers.codec_template import CLOCK_RATE
from camfleet_worker.media_types.access_unit import AccessUnit
from camfleet_worker.media_types.audio_unit import AudioFormat, AudioUnit
from camfleet_worker.media_types.delivery_log import DeliveryLog
from camfleet_worker.media_types.sink_state import SinkCounters, SinkPhase, SinkState
from camfleet_worker.record.layout import segment_is_over
from camfleet_worker.record.open_segment import OpenSegment, SpanStart
from camfleet_worker.record.recorded_audio import RecordedAudio
from camfleet_worker.record.storage_error import storage_failed
from camfleet_worker.record.volume import VolumeWriter
from camfleet_worker.record.write_progress import WriteProgress

_SILENCE_S = 5.0
_GAP_90K = int(_SILENCE_S) * CLOCK_RATE
"""A pause of this length is a gap, not a slow camera: the span ends with the access unit before."""
_BACKWARD_90K = 1 * CLOCK_RATE
"""Timestamps that go back by less are forced into order; by more, they are another timeline."""
_CLOCK_SET_US = 2_000_000
_DEFAULT_DURATION_90K = CLOCK_RATE // 25
_RETRY_S = 5.0
"""The wait after a failed write, so that a failing disk is not overloaded."""
_STALLED_S = 10.0
_LAGGING_S = 30.0
_HOUR_90K = 3600 * CLOCK_RATE
_AUDIO_LATE_S = 1.0
"""How long a segment waits for the audio of its last access units, which comes after them."""
_AUDIO_LATE_90K = int(_AUDIO_LATE_S * CLOCK_RATE)


@dataclass(frozen=True, slots=True)
class RecordingSettings:
    """How one camera is recorded. `prefix` is layout.camera_prefix of it."""

    prefix: str
    segment_s: int = 60
    audio: bool = True
    """Whether audio is kept. Where a policy ceases to want audio the sink is replaced, so that the
    new one announces none."""
    retention_days: int = 30
    site: str = ""
    """The name of the Site whose limit of recordings applies; empty where none does."""
    queue_bytes: int = 8 << 20
    """How many bytes may wait for the disk: half a minute at 2 Mbit/s."""
    format_changes_per_hour: int = 60
    """The limit of files for a camera that changes its parameter sets at every key frame. Over it,
    and before other access units, they stand in band."""


class _Tail:
    """A segment that has all its access units, and waits for the rest of their audio."""

    def __init__(self, segment: OpenSegment, end_pts: int, until: float) -> None:
        self.segment = segment
        self.end_pts = end_pts
        self.until = until


class RecordingSink:
    """Writes one camera to a volume."""

    name = "recording"
    condition = ConditionType.RECORDING

    def __init__(self, settings: RecordingSettings, volume: VolumeWriter) -> None:
        self.counters = SinkCounters()
        self.delivery_log = DeliveryLog()
        """The access units that are in files; the volume's thread notes them."""
        self._settings = settings
        self._volume = volume
        self._progress = WriteProgress(self.counters, self.delivery_log)
        self._audio = RecordedAudio(settings.prefix, self._progress)
        self._lagging_until = float("-inf")
        self._retry_at = float("-inf")
        self._now = float("-inf")
        self._stalled = False
        self._closed = False
        self._dropping = False
        self._segment: OpenSegment | None = None
        self._tail: _Tail | None = None
        self._held: AccessUnit | None = None
        """The newest access unit, whose duration is known when the next one comes."""
        self._held_pts = self._held_dts = 0
        self._watched: AccessUnit | None = None
        """The access unit that was held back at the last tick."""
        self._held_since = float("-inf")
        self._ended_us = 0
        """The end of the last span; 0 where there was none."""
        self._format_changes: deque[int] = deque()
        volume.prepare(
            settings.prefix, settings.retention_days, settings.site, self._progress.failed
        )

    @property
    def state(self) -> SinkState:
        """The state; working means that the last write reached the file."""
        if self._stalled:
            return SinkState(
                SinkPhase.FAILED, storage_failed("The recording volume does not answer")
            )
        state = self._progress.state
        if state.phase is SinkPhase.WORKING and self._now < self._lagging_until:
            return SinkState(
                SinkPhase.FAILED,
                storage_failed("The recording volume takes less than arrives; pictures are lost"),
            )
        return state

    def push(self, unit: AccessUnit) -> None:
        """Take one access unit. It is held back until the next one gives its duration."""
        if self._closed:
            return
        segment = self._segment
        if segment is not None and segment.failed:
            self._abandon(segment)
            segment = None
        if segment is not None and self._held is not None:
            self._continue(segment, self._held, unit)
        if self._segment is None:
            self._begin_or_drop(unit)

    def push_audio(self, unit: AudioUnit) -> None:
        """Take one audio unit. One of a codec that recordings do not take is passed over; another
        format than announced begins a new span at the next key frame."""
        if self._closed or not self._settings.audio or not self._audio.push(unit):
            return
        if self._tail is not None and self._is_complete(self._tail):
            self._finish_tail()

    def tick(self, now: float) -> None:
        """Notice a disk that does not answer, missing audio, and a camera that stopped sending: the
        muxer's data is then written at once, not when the camera comes back."""
        self._now = now
        if self._tail is not None and now >= self._tail.until:
            self._finish_tail()
        self._stalled = self._volume.busy_s(now) > _STALLED_S
        if self._stalled:
            self.delivery_log.failed(Cause.DISK)
        if self._held is not self._watched:
            self._watched, self._held_since = self._held, now
        elif self._segment is not None and now - self._held_since > _SILENCE_S:
            self._end_span(self._segment)

    def close(self) -> None:
        """End the span; the volume's thread brings it to the disk."""
        if self._closed:
            return
        self._closed = True
        if self._segment is not None:
            self._end_span(self._segment)
        self._finish_tail()
        self._audio.drop()

    def _begin_or_drop(self, unit: AccessUnit) -> None:
        if unit.key and self._now >= self._retry_at and self._has_room(resuming=self._dropping):
            self._dropping = False
            pts = unit.pts_90k
            span = SpanStart(self._start_us(unit), pts)
            self._segment = self._open(span, unit, pts, 0, self._audio.format)
            self._hold(unit, pts, unit.dts_90k)
            return
        self._progress.dropped(1, gops=int(unit.key))

    def _continue(self, segment: OpenSegment, held: AccessUnit, unit: AccessUnit) -> None:
        step = unit.dts_90k - self._held_dts
        if step > _GAP_90K or step <= -_BACKWARD_90K:
            self._end_span(segment)
            return
        if self._progress.queued_bytes > self._settings.queue_bytes:
            # Within a GOP: its beginning stays, decodable; the rest is dropped, up to a key frame.
            self._drop_from_here(segment, unit)
            return
        if step < 1:
            step = 1
        self._mux(segment, held, step)
        dts = self._held_dts + step
        pts = unit.pts_90k if unit.pts_90k > dts else dts
        if unit.key:
            following = self._cut(segment, unit, pts)
            if following is None:
                return
            segment = following
        self._hold(unit, pts, dts)
        if pts > segment.newest_pts:
            segment.newest_pts = pts

    def _hold(self, unit: AccessUnit, pts: int, dts: int) -> None:
        self._held, self._held_pts, self._held_dts = unit, pts, dts

    def _drop_from_here(self, segment: OpenSegment, unit: AccessUnit) -> None:
        self._dropping = True
        self.delivery_log.failed(Cause.DISK)
        self._lagging_until = self._now + _LAGGING_S
        self._end_span(segment)
        if not unit.key:
            self._progress.dropped(0, gops=1)

    def _cut(self, segment: OpenSegment, unit: AccessUnit, pts: int) -> OpenSegment | None:
        """At a key frame: stay in the segment, open the next one, or end the span (None).

        The annex: what changes the MovieBox ends the span.
        """
        at_us = segment.shown_us(pts)
        audio = self._audio.format
        over = segment_is_over(segment.begins_us, at_us, self._settings.segment_s)
        changed = unit.format != segment.format or audio != segment.audio
        another_span = changed and (over or self._may_change_format(segment, unit, pts))
        if not another_span and not over:
            return segment
        if abs(unit.shown_us - at_us) > _CLOCK_SET_US:
            self._end_span_at(segment, pts)
            return None
        if another_span:
            # On the same timeline, so that it begins where this one ends.
            self._end_span_at(segment, pts)
            self._segment = self._open(SpanStart(at_us, pts), unit, pts, 0, audio)
        else:
            self._leave_segment(segment, pts)
            self._segment = self._open(segment.span, unit, pts, segment.counter + 1, segment.audio)
        return self._segment

    def _may_change_format(self, segment: OpenSegment, unit: AccessUnit, pts: int) -> bool:
        if unit.format.codec is not segment.format.codec:
            return True
        changes = self._format_changes
        while changes and not 0 <= pts - changes[0] < _HOUR_90K:
            changes.popleft()
        if len(changes) >= self._settings.format_changes_per_hour:
            return False
        changes.append(pts)
        return True

    def _start_us(self, unit: AccessUnit) -> int:
        """The start by our clock, but not before the end of the last span, because names do not
        show overlaps. Spans only overlap where our clock was set back."""
        shown_us = unit.shown_us
        early_us = self._ended_us - shown_us
        return self._ended_us if 0 < early_us <= _CLOCK_SET_US else shown_us

    def _open(
        self,
        span: SpanStart,
        first: AccessUnit,
        first_pts: int,
        counter: int,
        audio: AudioFormat | None,
    ) -> OpenSegment:
        prefix, progress = self._settings.prefix, self._progress
        return OpenSegment(span, prefix, counter, first, first_pts, audio, self._volume, progress)

    def _mux(self, segment: OpenSegment, unit: AccessUnit, duration: int) -> None:
        segment.add(unit, self._held_pts, self._held_dts, duration)
        if self._audio.waiting:
            self._audio.move_to(segment, self._held_dts)

    def _end_span(self, segment: OpenSegment) -> None:
        """End with the access unit held back, whose duration is not known."""
        end_pts = segment.newest_pts
        if self._held is not None:
            self._mux(segment, self._held, _DEFAULT_DURATION_90K)
            end_pts += _DEFAULT_DURATION_90K
        self._end_span_at(segment, end_pts)

    def _end_span_at(self, segment: OpenSegment, end_pts: int) -> None:
        """End the span with the audio that has come by now, without a wait for more."""
        self._audio.move_to(segment, end_pts - 1)
        self._ended_us = segment.shown_us(end_pts)
        segment.close(self._ended_us)
        self._forget_span()

    def _leave_segment(self, segment: OpenSegment, end_pts: int) -> None:
        """Go on with the span in the next segment. Audio comes shortly after its access units:
        where there is some, this segment stays open for that time."""
        self._finish_tail()
        tail = _Tail(segment, end_pts, self._now + _AUDIO_LATE_S)
        complete = self._is_complete(tail)
        if complete or segment.newest_audio_pts < end_pts - _AUDIO_LATE_90K:
            segment.close(None)
        else:
            self._tail = tail

    def _is_complete(self, tail: _Tail) -> bool:
        """Whether all audio of the segment has come; adds the units that have come."""
        self._audio.move_to(tail.segment, tail.end_pts - 1)
        return self._audio.newest_pts >= tail.end_pts

    def _finish_tail(self) -> None:
        tail, self._tail = self._tail, None
        if tail is not None:
            tail.segment.close(None)

    def _abandon(self, segment: OpenSegment) -> None:
        """Count the muxer's data as lost, because the file failed."""
        lost = segment.waiting
        held = int(self._held is not None)
        self._progress.dropped(lost.access_units + held, lost.audio_units, gops=1)
        self._retry_at = self._now + _RETRY_S
        self._forget_span()

    def _forget_span(self) -> None:
        self._segment = None
        self._held = None

    def _has_room(self, resuming: bool) -> bool:
        # Dropping ends at half: a disk at its limit would else lose the end of every second GOP.
        limit = self._settings.queue_bytes // 2 if resuming else self._settings.queue_bytes
        return self._progress.queued_bytes <= limit
