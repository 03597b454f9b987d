# SPDX-License-Identifier: Apache-2.0
"""Audio on its way out beside the access units of a GopQueue: bounded, and dropped with its GOP.

Used by the RTSP relay. The access units decide: audio leaves with the access unit it belongs to,
and what belongs to none that is left goes. Not safe for two threads.

Compiled by mypyc (workers/compile_media.py): no attribute may be added from outside, none may be of
another type than declared, and nothing may be set on the class by a test.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from camfleet_worker.media_types.audio_unit import AudioUnit
from camfleet_worker.media_types.sink_state import SinkCounters

AUDIO_BYTES = 256 << 10
"""A quarter of a minute at the 128 kbit/s of the loudest cameras: as long as access units wait."""


class AudioQueue:
    """Audio units in the order of their times."""

    def __init__(self, max_bytes: int, counters: SinkCounters) -> None:
        self.bytes = 0
        self._max_bytes = max_bytes
        self._counters = counters
        self._units: deque[AudioUnit] = deque()

    def __len__(self) -> int:
        return len(self._units)

    def push(self, unit: AudioUnit) -> None:
        """Append; the oldest give way."""
        self._units.append(unit)
        self.bytes += len(unit.data)
        while self.bytes > self._max_bytes:
            self._drop_first()

    def take(self, until_90k: int | None) -> Iterator[AudioUnit]:
        """Audio until the access unit of that time; all of it for None."""
        while self._units and (until_90k is None or self._units[0].pts_90k <= until_90k):
            yield self._pop()

    def drop_before(self, pts_90k: int | None) -> None:
        """Drop the audio before the access unit of that time; all of it for None."""
        while self._units and (pts_90k is None or self._units[0].pts_90k < pts_90k):
            self._drop_first()

    def _pop(self) -> AudioUnit:
        unit = self._units.popleft()
        self.bytes -= len(unit.data)
        return unit

    def _drop_first(self) -> None:
        self._pop()
        self._counters.dropped_audio_units += 1
