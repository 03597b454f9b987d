# SPDX-License-Identifier: Apache-2.0
"""The recording sink: access units of one camera become segments on a volume.

Called by the media loop (push, tick, close), which muxes here and hands whole fragments to the
volume's thread. Names and cuts are layout.py's, bytes are mp4.py's, the disk is volume.py's; this
file decides when a segment and a span begin and end, and what is dropped when the disk lags.

Time: a span starts where the camera's timeline and our clock put its first picture; within it the
timeline alone counts. A picture that comes late moves neither. Where our clock has been set in
between, the span ends at the next cut, and another begins by the new time.

Audio (AAC) follows the pictures: a unit is muxed when the picture beside it has been, into the
segment of that picture, and decides nothing about when a picture is written.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from dataclasses import dataclass, field

from camfleet_api.conditions import ConditionType
from camfleet_worker.base.errors import IngestError
from camfleet_worker.base.moments import microseconds
from camfleet_worker.containers.codec_template import CLOCK_RATE
from camfleet_worker.containers.mp4 import Mp4Segment, Muxed
from camfleet_worker.media_types.access_unit import AccessUnit, VideoFormat
from camfleet_worker.media_types.audio_queue import AUDIO_BYTES, AudioQueue
from camfleet_worker.media_types.audio_unit import AudioCodec, AudioFormat, AudioUnit
from camfleet_worker.media_types.causes import Cause
from camfleet_worker.media_types.delivery_log import DeliveryLog
from camfleet_worker.media_types.sink_state import SinkCounters, SinkPhase, SinkState, Units
from camfleet_worker.record.layout import ObjectKey, segment_is_over
from camfleet_worker.record.segment_file import Content, SegmentFile
from camfleet_worker.record.storage_error import storage_failed
from camfleet_worker.record.volume import VolumeWriter

log = logging.getLogger(__name__)

_SILENCE_S = 5.0
_GAP_90K = int(_SILENCE_S) * CLOCK_RATE
"""No picture for so long is a gap, not a slow camera: the span ends with the picture before."""
_BACKWARD_90K = 1 * CLOCK_RATE
"""Timestamps that go back by less are pressed into order, by more are another timeline."""
_CLOCK_SET_US = 2_000_000
_DEFAULT_DURATION_90K = CLOCK_RATE // 25
_RETRY_S = 5.0
"""After a failed write, this long until the next try: the disk is asked, not hammered."""
_STALLED_S = 10.0
_LAGGING_S = 30.0
_HOUR_90K = 3600 * CLOCK_RATE
_AUDIO_LATE_S = 1.0
"""How long a segment waits for the audio of its last pictures, which comes after them."""
_AUDIO_LATE_90K = int(_AUDIO_LATE_S * CLOCK_RATE)
_STARTING = SinkState(SinkPhase.STARTING)
_WORKING = SinkState(SinkPhase.WORKING)


@dataclass(frozen=True, slots=True)
class RecordingSettings:
    """How one camera is recorded. `prefix` is layout.camera_prefix of it."""

    prefix: str
    segment_s: int = 60
    audio: bool = True
    """Whether audio is kept. A recorder that is to keep none any more is another one, which
    announces none."""
    retention_days: int = 30
    site: str = ""
    """Whose bound on recordings holds for them, by its name; no site's where empty."""
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
    first_pts: int
    """Of the open segment: audio heard before it belongs to none of its pictures."""
    newest_pts: int
    """Of the pictures shown so far: with B-frames it is not the last one that was decoded."""
    counter: int
    format: VideoFormat
    in_force: VideoFormat
    """Differs from `format`, the one in the header, only over the cap of changes per hour."""
    audio: AudioFormat | None
    """Announced in the header; None where no audio had been heard."""
    mp4: Mp4Segment
    file: SegmentFile
    newest_audio_pts: int = -1
    arrived: list[float] = field(default_factory=list)
    """When the access units inside the muxer had arrived."""
    key_frames: list[float] = field(default_factory=list)
    """When those of them that are key frames had."""
    begins: bool = True
    """No picture of the span was handed over yet."""

    def at_us(self, pts_90k: int) -> int:
        """When a picture of this span was taken."""
        return self.start_us + (pts_90k - self.start_pts) * 100 // 9


@dataclass(slots=True)
class _Tail:
    """A segment that has all its pictures, and waits a little for the rest of their audio."""

    span: _Span
    end_pts: int
    until: float


class RecordingSink:
    """Writes one camera to a volume."""

    name = "recording"
    condition = ConditionType.RECORDING

    def __init__(self, settings: RecordingSettings, volume: VolumeWriter) -> None:
        self.counters = SinkCounters()
        self.delivery_log = DeliveryLog()
        """Of what is in files; noted by the volume's thread."""
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
        self._waiting: AccessUnit | None = None
        self._waiting_since = float("-inf")
        self._pending_pts = self._pending_dts = 0
        self._ended_us = 0
        """The end of the span before; 0 where there was none."""
        self._format_changes: deque[int] = deque()
        self._audio = AudioQueue(AUDIO_BYTES, self.counters)
        self._heard: AudioFormat | None = None
        """The newest audio that can be recorded, though it may have fallen silent since."""
        self._newest_audio_pts = -1
        self._not_recorded: AudioCodec | None = None
        self._tail: _Tail | None = None
        volume.prepare(settings.prefix, settings.retention_days, settings.site, self._failed)

    @property
    def state(self) -> SinkState:
        """Working means: the last write reached the file."""
        if self._stalled:
            return SinkState(
                SinkPhase.FAILED, storage_failed("The recording volume does not answer")
            )
        state = self._state
        if state.phase is SinkPhase.WORKING and self._now < self._lagging_until:
            return SinkState(
                SinkPhase.FAILED,
                storage_failed("The recording volume takes less than arrives; pictures are lost"),
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

    def push_audio(self, unit: AudioUnit) -> None:
        """Take one audio unit. What is no AAC is not recorded; another format than announced
        begins a new span at the next key frame."""
        if self._closed or not self._settings.audio:
            return
        if unit.format.codec is not AudioCodec.AAC:
            self._tell_not_recorded(unit.format.codec)
            return
        if _has_adts_header(unit.data):
            with self._lock:
                self.counters.dropped_audio_units += 1
            return
        if unit.pts_90k < self._newest_audio_pts:
            self._drop_audio()  # of another timeline: it would wait for ever
        self._newest_audio_pts = unit.pts_90k
        self._heard = unit.format
        with self._lock:
            self._audio.push(unit)
        if self._tail is not None and self._mux_tail(self._tail):
            self._finish_tail()

    def tick(self, now: float) -> None:
        """Notice a disk that does not answer, audio that does not come, and a camera that has
        fallen silent: what the muxer holds goes to the disk, and not only when it comes back."""
        self._now = now
        if self._tail is not None and now >= self._tail.until:
            self._finish_tail()
        self._stalled = self._volume.busy_s(now) > _STALLED_S
        if self._stalled:
            self.delivery_log.failed(Cause.DISK)
        if self._pending is not self._waiting:
            self._waiting, self._waiting_since = self._pending, now
        elif self._span is not None and now - self._waiting_since > _SILENCE_S:
            self._end_span(self._span)

    def close(self) -> None:
        """End the span; the volume's thread brings it to the disk."""
        if self._closed:
            return
        self._closed = True
        if self._span is not None:
            self._end_span(self._span)
        self._finish_tail()
        self._drop_audio()

    # Called by the volume's thread.

    def wrote(self, size: int, content: Content) -> None:
        """Count what is in the file now."""
        with self._lock:
            self._queued_bytes -= size
            self.counters.access_units += content.units.access_units
            self.counters.audio_units += content.units.audio_units
            self.counters.bytes += size
            self._state = _WORKING
        if content.begins:
            self.delivery_log.broken()
        if content.units.access_units:
            self.delivery_log.seen(content.first_us)
            self.delivery_log.seen(content.last_us)
            self.delivery_log.key_frames.extend(content.key_frames_us)

    def lost(self, size: int, units: Units, error: IngestError | None) -> None:
        """Count what will never be, and say why."""
        with self._lock:
            self._queued_bytes -= size
            self.counters.dropped_access_units += units.access_units
            self.counters.dropped_audio_units += units.audio_units
        if error is not None:
            self._failed(error)

    def _failed(self, error: IngestError) -> None:
        self._state = SinkState(SinkPhase.FAILED, error)
        self.delivery_log.failed(Cause.DISK)
        self.delivery_log.broken()

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
        if self._queued_bytes > self._settings.queue_bytes:
            # Mid-GOP: its head stays, decodable; its tail goes, up to a key frame with room.
            self._drop_from_here(span, unit)
            return
        # Nearly always the same object: comparing what is in it costs more than muxing does.
        if unit.format is not span.in_force and not unit.key and unit.format != span.in_force:
            self._end_span(span)
            return
        if step < 1:
            step = 1
        self._mux(span, pending, step)
        dts = self._pending_dts + step
        pts = unit.pts_90k if unit.pts_90k > dts else dts
        if unit.key:
            next_span = self._cut(span, unit, pts)
            if next_span is None:
                return
            span = next_span
        self._pending, self._pending_pts, self._pending_dts = unit, pts, dts
        if pts > span.newest_pts:
            span.newest_pts = pts

    def _drop_from_here(self, span: _Span, unit: AccessUnit) -> None:
        self._dropping = True
        self.delivery_log.failed(Cause.DISK)
        self._lagging_until = self._now + _LAGGING_S
        self._end_span(span)
        if not unit.key:
            with self._lock:
                self.counters.dropped_gops += 1

    def _cut(self, span: _Span, unit: AccessUnit, pts: int) -> _Span | None:
        """At a key frame: stay in the segment, open the next one, or end the span (None).

        The annex: what changes the MovieBox ends the span.
        """
        at_us = span.at_us(pts)
        changed = unit.format != span.in_force or self._heard != span.audio
        another_span = changed and self._may_change_format(span, unit, pts)
        span.in_force = unit.format
        if not another_span and not segment_is_over(
            span.segment_us, at_us, self._settings.segment_s
        ):
            return span
        if abs(unit.shown_us - at_us) > _CLOCK_SET_US:
            self._end_span_at(span, pts)
            return None
        if another_span:
            # On the same timeline, so that it begins where this one ends.
            self._end_span_at(span, pts)
            self._span = self._open_segment(unit, self._heard, at_us, pts, at_us, pts, 0)
            return self._span
        self._leave_segment(span, pts)
        self._span = self._open_segment(
            unit, span.audio, span.start_us, span.start_pts, at_us, pts, span.counter + 1
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
        start_us = self._start_us(unit)
        pts, dts = unit.pts_90k, unit.dts_90k
        self._span = self._open_segment(unit, self._heard, start_us, pts, start_us, pts, 0)
        self._pending, self._pending_pts, self._pending_dts = unit, pts, dts

    def _start_us(self, unit: AccessUnit) -> int:
        """By our clock, but never before the end of the span before: spans that overlap cannot be
        told apart by their names. Where our clock was set back they do."""
        shown_us = unit.shown_us
        early_us = self._ended_us - shown_us
        return self._ended_us if 0 < early_us <= _CLOCK_SET_US else shown_us

    def _open_segment(
        self,
        unit: AccessUnit,
        audio: AudioFormat | None,
        start_us: int,
        start_pts: int,
        segment_us: int,
        first_pts: int,
        counter: int,
    ) -> _Span:
        key = ObjectKey(self._settings.prefix, segment_us, counter)
        return _Span(
            start_us=start_us,
            start_pts=start_pts,
            segment_us=segment_us,
            first_pts=first_pts,
            newest_pts=first_pts,
            counter=counter,
            format=unit.format,
            in_force=unit.format,
            audio=audio,
            mp4=Mp4Segment(unit.format, unit.composition_offset_90k, audio),
            file=self._volume.segment(key, self),
            begins=counter == 0,
        )

    def _mux(self, span: _Span, unit: AccessUnit, duration: int) -> None:
        data = unit.data
        if unit.key and unit.format != span.format:
            # Over the hourly cap: the new parameter sets travel in band, which decoders take.
            data = _in_band(unit.format) + data
        span.arrived.append(unit.arrived_at)
        if unit.key:
            span.key_frames.append(unit.arrived_at)
        muxed = span.mp4.add(data, self._pending_pts, self._pending_dts, duration, unit.key)
        if muxed.octets:
            self._hand_over(span, muxed)
        if self._audio.bytes:
            self._mux_audio(span, self._pending_dts)

    def _mux_audio(self, span: _Span, until_90k: int) -> None:
        """Audio heard until then joins the segment it belongs to; what belongs to none is lost."""
        for unit in self._audio.take(until_90k):
            out_of_order = not span.first_pts <= unit.pts_90k > span.newest_audio_pts
            if unit.format != span.audio or out_of_order:
                with self._lock:
                    self.counters.dropped_audio_units += 1
                continue
            span.newest_audio_pts = unit.pts_90k
            span.mp4.add_audio(unit)

    def _hand_over(self, span: _Span, muxed: Muxed) -> None:
        if not muxed.octets:
            return
        with self._lock:
            self._queued_bytes += len(muxed.octets)
        self._volume.write(span.file, muxed.octets, _content(span, muxed.units))

    def _end_span(self, span: _Span) -> None:
        """End with the picture held back; how long it was shown nobody knows."""
        end_pts = span.newest_pts
        if self._pending is not None:
            self._mux(span, self._pending, _DEFAULT_DURATION_90K)
            end_pts += _DEFAULT_DURATION_90K
        self._end_span_at(span, end_pts)

    def _end_span_at(self, span: _Span, end_pts: int) -> None:
        """What audio has come by now is in; a span's end waits for none."""
        self._mux_audio(span, end_pts - 1)
        self._close_segment(span, end_us=span.at_us(end_pts))
        self._forget_span()

    def _leave_segment(self, span: _Span, end_pts: int) -> None:
        """The span goes on in the next segment. Audio follows its pictures by a moment: where some
        flows, this one stays open for that long."""
        self._finish_tail()
        tail = _Tail(span, end_pts, self._now + _AUDIO_LATE_S)
        complete = self._mux_tail(tail)
        if complete or span.newest_audio_pts < end_pts - _AUDIO_LATE_90K:
            self._close_segment(span, end_us=None)
        else:
            self._tail = tail

    def _mux_tail(self, tail: _Tail) -> bool:
        """Whether all audio of the segment has come."""
        self._mux_audio(tail.span, tail.end_pts - 1)
        return self._newest_audio_pts >= tail.end_pts

    def _finish_tail(self) -> None:
        tail, self._tail = self._tail, None
        if tail is not None:
            self._close_segment(tail.span, end_us=None)

    def _close_segment(self, span: _Span, end_us: int | None) -> None:
        self._hand_over(span, span.mp4.finish())
        end = None
        if end_us is not None:
            end = ObjectKey(self._settings.prefix, end_us, span.counter + 1, end=True)
            self._ended_us = end_us
        self._volume.finish(span.file, end)

    def _abandon(self, span: _Span) -> None:
        """Its file failed: what the muxer holds is lost."""
        lost = span.mp4.waiting
        with self._lock:
            self.counters.dropped_access_units += lost.access_units + (self._pending is not None)
            self.counters.dropped_audio_units += lost.audio_units
            self.counters.dropped_gops += 1
        self._retry_at = self._now + _RETRY_S
        self._forget_span()

    def _drop_audio(self) -> None:
        with self._lock:
            self._audio.drop_before(None)

    def _tell_not_recorded(self, codec: AudioCodec) -> None:
        if codec is not self._not_recorded:
            self._not_recorded = codec
            log.info(
                "audio is relayed, not recorded: recordings take AAC",
                extra={"camera": self._settings.prefix, "cause": f"the camera sends {codec}"},
            )

    def _forget_span(self) -> None:
        self._span = None
        self._pending = None

    def _has_room(self, resuming: bool) -> bool:
        # Dropping ends at half: a disk at its limit would else lose every other GOP's tail.
        limit = self._settings.queue_bytes // 2 if resuming else self._settings.queue_bytes
        return self._queued_bytes <= limit


def _content(span: _Span, units: Units) -> Content:
    """What is known of the pictures that leave the muxer; they leave it in their order."""
    if not units.access_units:
        return Content(units)
    first, last = span.arrived[0], span.arrived[units.access_units - 1]
    del span.arrived[: units.access_units]
    key_frames_us = tuple(microseconds(at) for at in span.key_frames if at <= last)
    span.key_frames = [at for at in span.key_frames if at > last]
    begins, span.begins = span.begins, False
    return Content(units, microseconds(first), microseconds(last), key_frames_us, begins)


def _has_adts_header(data: bytes) -> bool:
    """Whether a unit of AAC comes in the frame that files without containers give it (ISO/IEC
    14496-3 section 1.A.2.2). No access unit begins so, and the muxer ends the file over one."""
    return int.from_bytes(data[:2], "big") & 0xFFF0 == 0xFFF0


def _in_band(video: VideoFormat) -> bytes:
    return b"".join(len(unit).to_bytes(4, "big") + unit for unit in video.parameter_sets)
