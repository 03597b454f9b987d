# SPDX-License-Identifier: Apache-2.0
"""The segment that is being written of a camera, and the span that it belongs to.

Compiled by mypyc (workers/compile_media.py): no attribute may be added from outside, none may be of
another type than declared, and nothing may be set on the class by a test.

Used by the recording sink on the media loop's thread alone. It knows the times, formats and units
of its segment, muxes, and hands whole fragments to the volume. The sink decides when a segment or a
span ends, and write_progress.py counts which bytes were written.
"""

from __future__ import annotations

from collections.abc import Iterable

from camfleet_worker.base.moments import microseconds
from camfleet_worker.containers.mp4 import Mp4Segment, Muxed
from camfleet_worker.media_types.access_unit import AccessUnit, VideoFormat, length_prefixed
from camfleet_worker.media_types.audio_unit import AudioFormat, AudioUnit
from camfleet_worker.media_types.sink_state import Units
from camfleet_worker.record.layout import ObjectKey
from camfleet_worker.record.segment_file import Content
from camfleet_worker.record.volume import VolumeWriter
from camfleet_worker.record.write_progress import WriteProgress


class SpanStart:
    """Where a span began: by our clock, and on the camera's timeline."""

    def __init__(self, at_us: int, pts_90k: int) -> None:
        self.at_us = at_us
        self.pts_90k = pts_90k

    def time_of_us(self, pts_90k: int) -> int:
        """When an access unit of this span is shown, in microseconds since the epoch."""
        return self.at_us + (pts_90k - self.pts_90k) * 100 // 9


class OpenSegment:
    """One segment from its first access unit to its end."""

    def __init__(
        self,
        span: SpanStart,
        prefix: str,
        counter: int,
        first: AccessUnit,
        first_pts: int,
        audio: AudioFormat | None,
        volume: VolumeWriter,
        progress: WriteProgress,
    ) -> None:
        """`counter`: which segment of its span it is. `audio`: announced in the header; None where
        none had come."""
        self.span = span
        self.begins_us = span.time_of_us(first_pts)
        self.first_pts = first_pts
        """Audio before it belongs to none of the segment's access units."""
        self.newest_pts = first_pts
        """Of the access units shown so far: with B-frames it is not the last one decoded."""
        self.counter = counter
        self.format: VideoFormat = first.format
        self._in_force: VideoFormat = first.format
        """To a decoder that has come this far. Differs from `format`, the one in the header, where
        parameter sets change before other access units than key frames, or over the cap of changes
        per hour."""
        self._sets_in_band = False
        self.audio = audio
        self.newest_audio_pts = -1
        self._prefix = prefix
        self._volume = volume
        self._progress = progress
        self._mp4 = Mp4Segment(first.format, first.composition_offset_90k, audio)
        self._file = volume.segment(ObjectKey(prefix, self.begins_us, counter), progress)
        self._arrived: list[float] = []
        """When the access units inside the muxer had arrived."""
        self._key_frames: list[float] = []
        """When those of them that are key frames had."""
        self._begins_span = counter == 0
        """No access unit of the span was handed over yet."""

    @property
    def failed(self) -> bool:
        """Whether its file could not be written: nothing more of it will be."""
        return self._file.failed

    @property
    def waiting(self) -> Units:
        """What the muxer holds."""
        return self._mp4.waiting

    def shown_us(self, pts_90k: int) -> int:
        """When an access unit is shown, in microseconds since the epoch."""
        return self.span.time_of_us(pts_90k)

    def add(self, unit: AccessUnit, pts_90k: int, dts_90k: int, duration_90k: int) -> None:
        """Mux one access unit, with the times that it got in this span."""
        data = unit.data
        if unit.format is not self._in_force or (self._sets_in_band and unit.key):
            data = self._parameter_sets(unit) + data
        self._arrived.append(unit.arrived_at)
        if unit.key:
            self._key_frames.append(unit.arrived_at)
        muxed = self._mp4.add(data, pts_90k, dts_90k, duration_90k, unit.key)
        if muxed.octets:
            self._hand_over(muxed)

    def add_audio(self, units: Iterable[AudioUnit]) -> int:
        """Mux the audio of its access units; answers how many units belong to none of them."""
        strangers = 0
        for unit in units:
            out_of_order = not self.first_pts <= unit.pts_90k > self.newest_audio_pts
            if unit.format != self.audio or out_of_order:
                strangers += 1
                continue
            self.newest_audio_pts = unit.pts_90k
            self._mp4.add_audio(unit)
        return strangers

    def close(self, end_us: int | None) -> None:
        """Write the rest. `end_us`: when its span ends too; None where that goes on."""
        self._hand_over(self._mp4.finish())
        end = None
        if end_us is not None:
            end = ObjectKey(self._prefix, end_us, self.counter + 1, end=True)
        self._volume.finish(self._file, end)

    def _parameter_sets(self, unit: AccessUnit) -> bytes:
        """Those that stand in band before an access unit, as decoders take them.

        Once there were some, a key frame has all of them: a player that comes from another place of
        the file has others in force.
        """
        unknown = unit.format.sets_unknown_to(self._in_force)
        self._in_force = unit.format
        self._sets_in_band = self._sets_in_band or len(unknown) > 0
        whole = unit.key and self._sets_in_band
        return length_prefixed(unit.format.parameter_sets if whole else unknown)

    def _hand_over(self, muxed: Muxed) -> None:
        if not muxed.octets:
            return
        self._progress.handed_over(len(muxed.octets))
        self._volume.write(self._file, muxed.octets, self._content(muxed.units))

    def _content(self, units: Units) -> Content:
        """What is known of the units that leave the muxer; they leave it in their order."""
        count = units.access_units
        if not count:
            return Content(units)
        first, last = self._arrived[0], self._arrived[count - 1]
        del self._arrived[:count]
        keys = self._key_frames
        key_frames_us = tuple([microseconds(at) for at in keys if at <= last])
        self._key_frames = [at for at in keys if at > last]
        begins, self._begins_span = self._begins_span, False
        return Content(units, microseconds(first), microseconds(last), key_frames_us, begins)
