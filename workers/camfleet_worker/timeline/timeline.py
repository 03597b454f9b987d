# SPDX-License-Identifier: Apache-2.0
"""RTP timestamps that wrap, jump, run backwards or too fast become one rising 90 kHz time. Pure.

One timeline per camera; it outlives sessions, so that a reconnect shows as a gap of its true
length. Durations come from RTP while RTP makes sense. Our clock (monotonic seconds, handed in)
sets where the timeline starts, bridges reconnects and jumps, and holds the two together: a
camera whose clock runs a little fast or slow is followed slowly, within `TOLERANCE_S`.

A step is believed only as far as time allows: where it claims more than has passed, the camera's
clock was set (`_is_leap`), and where seconds of steps do not fit arrival, that clock has another
unit or rate (clock_rate.py), which is measured and kept.

Compiled by mypyc (workers/compile_media.py): no attribute may be added from outside, none may be of
another type than declared, and nothing may be set on the class by a test.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from camfleet_worker.timeline.clock_rate import ClockRate
from camfleet_worker.timeline.earliest_arrival import WINDOW_S, EarliestArrival
from camfleet_worker.timeline.timestamp_sense import TimestampSense

CLOCK_HZ = 90_000
"""RFC 6184 section 8.2.1, RFC 7798 section 7.1."""

JUMP_S = 5.0
"""A timeline that stays behind arrival by more is anchored anew."""
LEAP_S = 0.4
"""A step that claims so much more time than has passed, and leads by as much, is the clock's."""
MOST_LEAD_S = 2.0
"""Of the timeline before arrival by steps that are longer than a leap, JUMP_S by shorter ones, as
an old GOP at the beginning has them. Beyond it access units get less time than passes."""
REORDER_S = 0.5
"""Timestamps of B-frames run back by less; a larger step back is a jump."""
TOLERANCE_S = 1.0
"""Network delay and encoder bursts move arrival by less; beyond it the timeline is corrected."""
DRIFT_AFTER_S = 600.0
"""Arrival is known to some 50 ms: a shorter time tells no drift of less than 100 ppm."""
_JUMP_90K, _REORDER_90K = int(JUMP_S * CLOCK_HZ), int(REORDER_S * CLOCK_HZ)
_LEAP_90K, _MOST_LEAD_90K = int(LEAP_S * CLOCK_HZ), int(MOST_LEAD_S * CLOCK_HZ)
_TOLERANCE_90K = int(TOLERANCE_S * CLOCK_HZ)
_MAX_SLEW = 4
"""A correction is at most a fourth of an access unit's duration: 20 access units a second stamped
as 25 (quirk 36) are followed, and the order of access units is kept. Where the timeline leads by
too much it is three fourths: a camera that stamps too fast would lead by more and more."""
_MOST_STEPS = 4
"""Between an access unit and the one before, in B-frames: a longer step is no usual one."""


class Timeline:
    """Gives each access unit its presentation time."""

    def __init__(self, origin_s: float | None = None) -> None:
        self.begun = origin_s is not None
        self.origin_s = origin_s or 0.0
        """Our clock where this time is 0: the first access unit's arrival, unless told. It means
        nothing before the timeline has begun."""
        self._last_pts = -1
        self._least_step = 1
        """Between the times handed out; more where a timestamp was repeated."""
        self._last_timestamp: int | None = None
        self._rate = ClockRate()
        self._scale = 1.0
        """How many 1/90000 s a tick of the camera's clock lasts. It follows what is measured at an
        access unit that rises: B-frames would leave their place in the order."""
        self._rescaled = False
        self._fraction = 0.0
        """Of a tick that scaling has left over."""
        self._raw_pts = 0
        """Where RTP and corrections alone put the last access unit; differs from the time handed
        out only where that had to be pushed up to keep rising."""
        self._newest = 0
        """The furthest `_raw_pts`: B-frames lie behind it."""
        self._stretch = (0, 1)
        """Correction and step of that access unit: what the B-frames behind it are stretched by."""
        self._owed = 0
        """What a wrong scale has cost until it was known: corrected bit by bit."""
        self._arrival = EarliestArrival()
        self._sense = TimestampSense()
        self.anchors = 0
        """How often the timeline was anchored: at least once per session, and at each leap."""
        self.slewed_90k = 0
        """Sum of the corrections: the camera's clock against ours since the last anchor."""
        self.by_arrival = 0
        """Access units stamped by their arrival, because their timestamps do not rise."""
        self._anchored_at = self._arrived_at = self._elapsed = 0

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
        began_s = max(arrival_s - length_s * self._scale, session_s)
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
        rising = self._last_pts + self._least_step
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
        return self._arrival.lag / CLOCK_HZ

    @property
    def drift_ppm(self) -> float | None:
        """How much faster than ours the camera's RTP clock runs; None before that can be told."""
        elapsed = self._arrived_at - self._anchored_at
        if elapsed < DRIFT_AFTER_S * CLOCK_HZ or self._sense.none:
            return None
        return -(self._arrival.lag + self.slewed_90k) / elapsed * 1e6

    def _anchor(self, arrival: int) -> None:
        self._take_place(arrival)
        self._rate.restart(arrival)
        self._arrived_at = arrival

    def _take_place(self, arrival: int) -> None:
        self._raw_pts = self._newest = arrival
        self._stretch = (0, 1)
        self._owed = 0
        self._measure_from(arrival)
        self.anchors += 1

    def _measure_from(self, arrival: int) -> None:
        self._arrival.begin(arrival - self._raw_pts, arrival)
        self.slewed_90k = 0
        self._anchored_at = arrival

    def _advance(self, claimed: int, arrival: int) -> None:
        """`claimed`: the step by the camera's clock, in its own ticks."""
        if self._rescaled and self._raw_pts + claimed * self._scale > self._newest:
            self._take_scale()
        elapsed = self._elapsed = arrival - self._arrived_at
        self._arrived_at = arrival
        step = claimed if self._scale == 1.0 else self._scaled(claimed)
        outside = step > _LEAP_90K or step < -_REORDER_90K
        leapt = outside and self._is_leap(step, elapsed, arrival)
        rises = not leapt and step > 0 and self._raw_pts + step > self._newest
        self._least_step = 1
        if not rises or self._sense.doubtful:
            self._judge_sense(step, rises, arrival)
            if self._sense.none:
                self._take_arrival(claimed, arrival)
                return
        if leapt:
            step = self._own_step(elapsed)
            self.anchors += 1
        else:
            self.slewed_90k += step - claimed
        self._raw_pts += step
        lag = arrival - self._raw_pts
        self._arrival.observe(lag, arrival)
        if self._rate.observe(claimed, arrival, lag):
            self._rescaled = True
        lag = self._arrival.lag
        if rises and not self._owed and -_TOLERANCE_90K <= lag <= _TOLERANCE_90K:
            # Nearly every access unit: nothing to correct.
            self._stretch = (0, step)
            self._newest = self._raw_pts
        else:
            self._correct(step, arrival, lag)

    def _scaled(self, claimed: int) -> int:
        exact = claimed * self._scale + self._fraction
        step = math.floor(exact)
        self._fraction = exact - step
        return step

    def _is_leap(self, step: int, elapsed: int, arrival: int) -> bool:
        """Whether the camera's clock was set, or has lost time: the step is none of a picture."""
        if step < 0:
            self._rate.restart(arrival)
            return True
        lag = arrival - self._raw_pts - step
        if step > _JUMP_90K and lag > _JUMP_90K:
            return True
        return step - elapsed > _LEAP_90K and lag < self._arrival.least_lag - _LEAP_90K

    def _own_step(self, elapsed: int) -> int:
        """The step of an access unit at which the clock leapt: as before, or as arrival says."""
        usual, spacing = self._stretch[1], self._rate.spacing_90k or elapsed
        if elapsed >= spacing + _LEAP_90K:
            return elapsed
        return usual if 1 < usual <= _MOST_STEPS * spacing else max(spacing, 1)

    def _judge_sense(self, step: int, rises: bool, arrival: int) -> None:
        if step == 0:
            # The clock stands still and leaps later: in between time goes on, not far ahead.
            room = arrival + _LEAP_90K - self._last_pts
            self._least_step = max(min(room, self._rate.spacing_90k or self._stretch[1]), 1)
        if not self._sense.judge(step, rises):
            return
        if self._sense.none:
            self._raw_pts = max(self._raw_pts, self._last_pts)
        else:
            self._measure_from(arrival)

    def _take_arrival(self, claimed: int, arrival: int) -> None:
        """Time by arrival. Access units that are read at once have come one after the other."""
        self.by_arrival += 1
        self._least_step = 1
        step, spacing = arrival - self._raw_pts, self._rate.spacing_90k
        if spacing and step <= spacing + _TOLERANCE_90K:
            step = max(min(step, spacing + spacing // _MAX_SLEW), spacing // 2)
        self._raw_pts += max(step, 1)
        self._newest = self._raw_pts
        self._stretch, self._owed = (0, 1), 0
        lag = arrival - self._raw_pts
        self._arrival.observe(lag, arrival)
        if self._rate.observe(claimed, arrival, lag):
            self._rescaled = True

    def _take_scale(self) -> None:
        """The clock runs otherwise than was thought."""
        self._rescaled = False
        self._scale = self._rate.scale
        self._owed = self._rate.expected() - self._raw_pts
        self._arrival.begin(self._arrived_at - self._raw_pts, self._arrived_at)

    def _correct(self, step: int, arrival: int, lag: int) -> None:
        if lag > _JUMP_90K and not self._owed:
            # The camera left out access units without counting them, or its clock stood still.
            self._take_place(arrival)
        elif step > 0 and self._raw_pts > self._newest:
            self._stretch = (self._correction(step, lag), step)
            self._slew(self._stretch[0])
            self._newest = self._raw_pts
        else:
            # Stretched as the step before it, or B-frames would leave their place in the order.
            self._slew(step * self._stretch[0] // self._stretch[1])

    def _correction(self, step: int, lag: int) -> int:
        if lag < -_TOLERANCE_90K and self._owed > 0:
            self._owed = 0  # the line had held access units back, and they have come
        lag, tolerance = (self._owed, 0) if self._owed else (lag, _TOLERANCE_90K)
        excess = lag - tolerance if lag > 0 else lag + tolerance
        limit = step // _MAX_SLEW
        if lag < -(_MOST_LEAD_90K if step > _LEAP_90K else _JUMP_90K):
            limit = max(step - limit, step - self._elapsed // _MAX_SLEW)
        correction = max(-limit, min(limit, excess))
        if self._owed:
            self._owed -= correction
        return correction

    def _slew(self, correction: int) -> None:
        self._raw_pts += correction
        self.slewed_90k += correction
        self._arrival.shift(correction)


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
