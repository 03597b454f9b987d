# SPDX-License-Identifier: Apache-2.0
"""RTP timestamps that wrap, jump, run backwards or too fast become one rising 90 kHz time. Pure.

One timeline per camera; it outlives sessions, so that a reconnect shows as a gap of its true
length. Durations come from RTP while RTP makes sense. Our clock (monotonic seconds, handed in)
sets where the timeline starts, bridges reconnects and jumps, and holds the two together: a
camera whose clock runs fast or slow is followed slowly, within `TOLERANCE_S`.

Only the earliest arrival of a window says how late the timeline is: an access unit can be delayed
on its way by seconds, and none arrives before it was taken.

Compiled by mypyc (workers/compile_media.py): no attribute may be added from outside, none may be of
another type than declared, and nothing may be set on the class by a test.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

CLOCK_HZ = 90_000
"""RFC 6184 section 8.2.1, RFC 7798 section 7.1."""

JUMP_S = 5.0
"""RTP ahead of our clock by more is a jump: the timeline is anchored anew."""
REORDER_S = 0.5
"""Timestamps of B-frames run back by less; a larger step back is a jump."""
TOLERANCE_S = 1.0
"""Network delay and encoder bursts move arrival by less; beyond it the timeline is corrected."""
MOST_REORDERED = 16
"""Access units in a row that do not come after the newest: B-frames are fewer (ITU-T H.264 section
A.3.1, max_dec_frame_buffering). Behind them the timestamps mean nothing, and arrival counts."""
DRIFT_AFTER_S = 600.0
"""Arrival is known to some 50 ms: a shorter time tells no drift of less than 100 ppm."""
WINDOW_S = 10.0
"""How long the earliest arrival is looked for: the stall watchdog ends a stream after as long."""
_JUMP_90K, _REORDER_90K = int(JUMP_S * CLOCK_HZ), int(REORDER_S * CLOCK_HZ)
_TOLERANCE_90K, _WINDOW_90K = int(TOLERANCE_S * CLOCK_HZ), int(WINDOW_S * CLOCK_HZ)
_MAX_SLEW = 4
"""A correction is at most a fourth of an access unit's duration: 20 access units a second stamped
as 25 (quirk 36) are followed, and the order of access units is kept. Where the timeline leads by
more than a jump it is three fourths: 50 access units a second stamped as 25 would lead by more and
more."""


class Timeline:
    """Gives each access unit its presentation time."""

    def __init__(self, origin_s: float | None = None) -> None:
        self.begun = origin_s is not None
        self.origin_s = origin_s or 0.0
        """Our clock where this time is 0: the first access unit's arrival, unless told. It means
        nothing before the timeline has begun."""
        self._last_pts = -1
        self._last_timestamp: int | None = None
        self._raw_pts = 0
        """Where RTP and corrections alone put the last access unit; differs from the time handed
        out only where that had to be pushed up to keep rising."""
        self._newest = 0
        """The furthest `_raw_pts`: B-frames lie behind it."""
        self._stretch = (0, 1)
        """Correction and step of that access unit: what the B-frames behind it are stretched by."""
        self._window_from = 0
        self._earliest = 0
        self._earliest_before: int | None = None
        self.anchors = 0
        """How often the timeline was anchored: at least once per session."""
        self.slewed_90k = 0
        """Sum of the corrections: the camera's clock against ours since the last anchor."""
        self.by_arrival = 0
        """Access units stamped by their arrival, because their timestamps do not rise."""
        self._not_rising = 0
        self._anchored_at = self._arrived_at = 0

    def restart(self) -> None:
        """The next access unit is the first of another session: its RTP clock starts anywhere."""
        self._last_timestamp = None

    @property
    def anchored(self) -> bool:
        """Whether an access unit of this session has its time."""
        return self._last_timestamp is not None

    def burst_began_s(self, length_s: float, arrival_s: float, session_s: float) -> float:
        """When the first of the access units came that begin a session and are read at once.

        There is more than one where nobody has read for a while. Then only the last one has just
        come; anchored by the first, the timeline would lead by the length of the burst. Nothing
        came before the session began (a camera may send what it had kept from before), and
        nothing is put before what was there before it.
        """
        began_s = max(arrival_s - length_s, session_s)
        if self.begun:
            began_s = max(began_s, self.origin_s + (self._last_pts + 1) / CLOCK_HZ)
        return min(began_s, arrival_s)

    def stamp(self, timestamp: int, arrival_s: float) -> int:
        """Presentation time in 1/90000 s: never negative, rising with every call."""
        if not self.begun:
            self.begun, self.origin_s = True, arrival_s
        arrival = max(int((arrival_s - self.origin_s) * CLOCK_HZ), 0)
        if self._last_timestamp is None:
            self._anchor(arrival)
        else:
            self._advance(difference(timestamp, self._last_timestamp), arrival)
        self._last_timestamp = timestamp
        rising = self._last_pts + 1
        self._last_pts = self._raw_pts if self._raw_pts > rising else rising
        return self._last_pts

    @property
    def taken_90k(self) -> int:
        """The time of the access unit stamped last, not pressed into order: with B-frames (quirk
        48) it steps back."""
        return max(self._raw_pts, 0)

    @property
    def lag_s(self) -> float:
        """How far the earliest arrival of the window lies behind the timeline; the drift seen."""
        return self._lag() / CLOCK_HZ

    @property
    def drift_ppm(self) -> float | None:
        """How much faster than ours the camera's RTP clock runs; None before that can be told."""
        elapsed = self._arrived_at - self._anchored_at
        if elapsed < DRIFT_AFTER_S * CLOCK_HZ or self._not_rising > MOST_REORDERED:
            return None
        return -(self._lag() + self.slewed_90k) / elapsed * 1e6

    def _anchor(self, arrival: int) -> None:
        self._raw_pts = self._newest = arrival
        self._stretch = (0, 1)
        self._window_from = arrival
        self._earliest, self._earliest_before = 0, None
        self.slewed_90k = 0
        self._anchored_at = arrival
        self.anchors += 1

    def _advance(self, step: int, arrival: int) -> None:
        self._arrived_at = arrival
        self._raw_pts += step
        lag = arrival - self._raw_pts
        leapt = abs(step) > _JUMP_90K and abs(lag) > _JUMP_90K
        jumped = leapt or step < -_REORDER_90K
        rises = not jumped and self._raw_pts > self._newest
        self._not_rising = 0 if rises else self._not_rising + 1
        senseless = self._not_rising > MOST_REORDERED
        self.by_arrival += senseless
        if senseless or jumped:
            self._anchor(arrival)
            return
        self._observe(lag, arrival)
        lag = self._lag()
        if rises and step > 0 and -_TOLERANCE_90K <= lag <= _TOLERANCE_90K:
            # Nearly every access unit: nothing to correct.
            self._stretch = (0, step)
            self._newest = self._raw_pts
        else:
            self._correct(step, arrival, lag)

    def _observe(self, lag: int, arrival: int) -> None:
        if arrival - self._window_from >= _WINDOW_90K:
            self._window_from = arrival
            self._earliest_before, self._earliest = self._earliest, lag
        elif lag < self._earliest:
            self._earliest = lag

    def _lag(self) -> int:
        earliest, before = self._earliest, self._earliest_before
        if before is None:
            return earliest if earliest < 0 else 0
        return earliest if earliest < before else before

    def _correct(self, step: int, arrival: int, lag: int) -> None:
        if lag > _JUMP_90K:
            # The camera counts access units it did not send, or its clock stood still.
            self._anchor(arrival)
        elif step > 0 and self._raw_pts > self._newest:
            excess = lag - _TOLERANCE_90K if lag > 0 else lag + _TOLERANCE_90K
            limit = step // _MAX_SLEW if lag >= -_JUMP_90K else step * 3 // _MAX_SLEW
            self._stretch = (max(-limit, min(limit, excess)), step)
            self._slew(self._stretch[0])
            self._newest = self._raw_pts
        else:
            # Stretched as the step before it, or B-frames would leave their place in the order.
            self._slew(step * self._stretch[0] // self._stretch[1])

    def _slew(self, correction: int) -> None:
        self._raw_pts += correction
        self.slewed_90k += correction
        self._earliest -= correction
        if self._earliest_before is not None:
            self._earliest_before -= correction


def burst_s(timestamps: Sequence[int], clock_hz: int = CLOCK_HZ) -> float:
    """How much time lies in the RTP timestamps of one burst, at most `WINDOW_S`; 0.0 where one of
    its steps makes no sense."""
    ticks = 0
    for before, after in pairwise(timestamps):
        step = difference(after, before)
        if not -REORDER_S * clock_hz <= step <= JUMP_S * clock_hz:
            return 0.0
        ticks += step
    return min(max(ticks / clock_hz, 0.0), WINDOW_S)


def difference(timestamp: int, before: int) -> int:
    """Signed difference of two 32-bit timestamps, across the wrap (RFC 3550 section 5.1)."""
    return ((timestamp - before + 0x80000000) & 0xFFFFFFFF) - 0x80000000
