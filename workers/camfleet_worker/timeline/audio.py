# SPDX-License-Identifier: Apache-2.0
"""Times of audio on the timeline of the access units. Pure.

Audio has a timeline of its own that starts where the access units' one started: both count from the
same instant of our clock, and each follows its own RTP clock, anchored by the arrival of its first
packet of a session and held against arrival as theirs is: a rate that is claimed wrong (48 kHz for
44.1, or AAC in the rate of its core) is measured. Sender reports would tie the two closer together,
where a camera sends them for both tracks and means the same clock in both; too many do not.

Compiled by mypyc (workers/compile_media.py): no attribute may be added from outside, none may be of
another type than declared, and nothing may be set on the class by a test.
"""

from __future__ import annotations

from collections.abc import Sequence

from camfleet_worker.timeline.timeline import CLOCK_HZ, Timeline, burst_s, difference


class AudioTimeline:
    """Gives each audio unit its time. Lives as long as the timeline of the access units."""

    def __init__(self, pictures: Timeline) -> None:
        self._pictures = pictures
        self._timeline: Timeline | None = None
        self._counted = 0
        """Ticks of the RTP clock since the session's first packet, without wraps."""
        self._last_timestamp: int | None = None

    def restart(self) -> None:
        """The next unit is the first of another session, maybe by another clock."""
        self._last_timestamp = None
        if self._timeline is not None:
            self._timeline.restart()

    @property
    def anchored(self) -> bool:
        """Whether a unit of this session has its time."""
        return self._last_timestamp is not None

    def begin(
        self, timestamps: Sequence[int], clock_hz: int, arrival_s: float, session_s: float
    ) -> tuple[int, float]:
        """Of the units that begin a session and are read at once (Timeline.burst_began_s): the
        number of the first that does not lie before the access units, and when it came."""
        timeline = self._begun()
        if timeline is None:
            return 0, arrival_s
        earliest_s = max(session_s, timeline.origin_s)
        first, length_s = len(timestamps) - 1, 0.0
        while first:
            longer_s = length_s + burst_s(timestamps[first - 1 : first + 1], clock_hz)
            if longer_s == length_s or arrival_s - longer_s < earliest_s:
                break
            first, length_s = first - 1, longer_s
        return first, timeline.burst_began_s(length_s, arrival_s, earliest_s)

    def _begun(self) -> Timeline | None:
        if self._timeline is None and self._pictures.begun:
            self._timeline = Timeline(self._pictures.origin_s)
        return self._timeline

    def stamp(self, timestamp: int, clock_hz: int, arrival_s: float) -> int | None:
        """Time in 1/90000 s, rising with every call; None before the first access unit had its."""
        timeline = self._begun()
        if timeline is None:
            return None
        if self._last_timestamp is None:
            self._counted = 0
        else:
            self._counted += difference(timestamp, self._last_timestamp)
        self._last_timestamp = timestamp
        # Scaled as a sum, so that rounding (44,100 Hz) never adds up.
        return timeline.stamp(self._counted * CLOCK_HZ // clock_hz & 0xFFFFFFFF, arrival_s)
