# SPDX-License-Identifier: Apache-2.0
"""How fast a camera's RTP timestamps run, measured against the arrival of what they stamp. Pure.

A description says 90 kHz, and cameras stamp milliseconds, microseconds, or pictures as if there
were more of them a second. One step shows none of that; what the steps of seconds add up to does.

In each window of about a second the access unit that was delayed least counts; from one window to
the next the timestamps of these and their arrivals give a rate. Windows whose rates agree make a
run. A run is believed when the timeline and arrival have moved so far apart in it that no delay
explains it. Held-up data that is being caught up is none: there the timeline lags, and less and
less.

Compiled by mypyc (workers/compile_media.py): no attribute may be added from outside, none may be of
another type than declared, and nothing may be set on the class by a test.
"""

from __future__ import annotations

_SECOND_90K = 90_000
_WINDOW_90K = _SECOND_90K
_FIRST_WINDOWS = 2
"""Of a session, half as long: what is wrong altogether shows at once."""
_LEAST_ARRIVALS = 3
"""In a window: of a camera with fewer pictures a second it is longer."""
_MOST_WINDOWS = 60
"""In a run: a rate that moves the timeline less in a minute is left to the slewing."""
_AGREEMENT_90K = _SECOND_90K // 5
"""The delay of the least delayed access unit of a window moves by less."""
_MOVED_90K = _SECOND_90K
"""A rate is believed for so much between timeline and arrival: delays and encoder bursts are less
(timeline.TOLERANCE_S)."""
_MOVED_AGAIN_90K = _SECOND_90K * 2 // 5
"""The same for a clock that is known to be wrong, and whose rate is known roughly."""
_STILL, _RACING = 1 / 8, 8.0
"""Timestamps that run slower or faster than that while pictures keep coming are of another unit: no
line holds back seven eighths of each second, and what a camera had kept comes at once."""
_LEAST_WINDOWS = 3
"""In a run whose rate lies between these two; else one if it is slower, two if it is faster."""
_THIN, _THIN_WINDOWS = 4, 10
"""Where access units come at less than a fourth of their usual number, a line is nearly at a
standstill, and it takes as long as the watchdog lets one stand still to tell that from a clock."""
_LEAST_ERROR = 0.01
_UNCERTAIN_90K = 0.15 * _SECOND_90K
"""How exactly arrival tells the length of a run: tick and line move both of its ends."""
_MOST_UNCERTAIN = 0.12
_LEAST_UNCERTAIN = 0.01
_NEVER_90K = 1 << 60
_KNOWN_SCALES = (1.0, 0.5, 2.0, 1.875, 5.625, 11.25, 90.0, 900.0, 0.09, 1 / 300, 9e-5)
"""Of 90 kHz, half and double the pictures, 48, 16 and 8 kHz, milliseconds, hundredths,
microseconds, 27 MHz, nanoseconds."""


class ClockRate:
    """Of one timeline. Steps are the camera's own ticks; times are in 1/90000 s."""

    def __init__(self) -> None:
        self.scale = 1.0
        """How many 1/90000 s a tick lasts."""
        self.spacing_90k = 0
        """Between access units in the last window, by arrival; 0 before it is known."""
        self._usual_spacing = 0
        """The same as long as the scale was right, up to the point of the window before; 0 before
        it was."""
        self._ticks = 0
        """Sum of all steps."""
        self._window_from = self._arrived_at = 0
        self._arrivals = self._units = self._repeated = self._longest_pause = 0
        self._least_lag = self._least_ticks = self._least_at = 0
        self._ticks_before = self._at_before = 0
        """Of the access unit that was delayed least in the window before."""
        self._windows = self._run_ticks = self._run_90k = 0
        self._young = 0
        """How many of the first windows are still to end."""

    def restart(self, arrival: int) -> None:
        """What comes now has nothing to do with what came before; the scale stays."""
        self._windows = self._run_ticks = self._run_90k = 0
        self._usual_spacing = 0
        self._young = _FIRST_WINDOWS
        self._arrived_at = arrival
        self._begin_window(arrival)
        self._units = 1
        self._least_lag, self._least_ticks, self._least_at = 0, self._ticks, arrival
        self._ticks_before, self._at_before = self._ticks, arrival

    def observe(self, step: int, arrival: int, lag: int) -> bool:
        """Take one access unit; True where that changed the scale. `lag`: arrival less its time on
        the timeline."""
        changed = False
        self._ticks += step
        if arrival != self._arrived_at:
            changed = self._take_arrival(arrival)
        self._units += 1
        if step == 0:
            self._repeated += 1
        if lag < self._least_lag:
            self._least_lag, self._least_ticks, self._least_at = lag, self._ticks, arrival
        return changed

    def expected(self) -> int:
        """Where the access unit observed last belongs: so far behind the least delayed one of the
        last window as the scale says."""
        return self._at_before + int((self._ticks - self._ticks_before) * self.scale)

    def _take_arrival(self, arrival: int) -> bool:
        changed, pause = False, arrival - self._arrived_at
        self._arrived_at = arrival
        least = _WINDOW_90K // 2 if self._young else _WINDOW_90K
        if arrival - self._window_from >= least and self._arrivals >= _LEAST_ARRIVALS:
            changed = self._end_window(arrival)
            self._begin_window(arrival)
        self._arrivals += 1
        if pause > self._longest_pause:
            self._longest_pause = pause
        return changed

    def _begin_window(self, arrival: int) -> None:
        self._window_from = arrival
        self._arrivals = self._units = self._repeated = self._longest_pause = 0
        self._least_lag = _NEVER_90K

    def _end_window(self, arrival: int) -> bool:
        spacing_before = self.spacing_90k
        self.spacing_90k = (arrival - self._window_from) // self._units
        ticks = self._least_ticks - self._ticks_before
        length = self._least_at - self._at_before
        self._young = max(self._young - 1, 0)
        held_up = 2 * self._longest_pause > arrival - self._window_from
        usable = not held_up and 2 * self._repeated <= self._units
        self._ticks_before, self._at_before = self._least_ticks, self._least_at
        if not usable:
            self._windows = self._run_ticks = self._run_90k = 0
            return False
        if length > 0:
            self._extend_run(ticks, length)
            if abs(length - ticks * self.scale) < _AGREEMENT_90K:
                self._usual_spacing = spacing_before
        return self._believe()

    def _extend_run(self, ticks: int, length: int) -> None:
        if self._windows:
            moved = length - ticks * self.scale
            expected = length * (1 - self._run_ticks * self.scale / self._run_90k)
            agrees = abs(moved - expected) <= _AGREEMENT_90K + abs(expected) / 4
            if not agrees or self._windows >= _MOST_WINDOWS:
                self._windows = self._run_ticks = self._run_90k = 0
        self._windows += 1
        self._run_ticks += ticks
        self._run_90k += length

    def _believe(self) -> bool:
        """Whether the run shows another scale; takes it."""
        if self._run_ticks <= 0 or not self._windows:
            return False
        ratio = self._run_ticks * self.scale / self._run_90k
        moved = self._run_90k * (1 - ratio)
        another_unit = not _STILL < ratio < _RACING
        known = self.scale != 1.0 or another_unit
        if abs(moved) < (_MOVED_AGAIN_90K if known else _MOVED_90K):
            return False
        if abs(ratio - 1) < _LEAST_ERROR or self._windows < self._least_windows(ratio):
            return False
        if moved < 0 and self._least_lag > _AGREEMENT_90K:
            return False  # held-up data is being caught up
        scale = self._nearest_known(self._run_90k / self._run_ticks)
        changed, self.scale = scale != self.scale, scale
        self._windows = self._run_ticks = self._run_90k = 0
        return changed

    def _least_windows(self, ratio: float) -> int:
        if self._usual_spacing and self.spacing_90k > _THIN * self._usual_spacing:
            return _THIN_WINDOWS
        return _LEAST_WINDOWS if _STILL < ratio < _RACING else 1 if ratio < _STILL else 2

    def _nearest_known(self, scale: float) -> float:
        """A scale in use by cameras where the run cannot tell the two apart."""
        uncertain = max(min(_UNCERTAIN_90K / self._run_90k, _MOST_UNCERTAIN), _LEAST_UNCERTAIN)
        nearest = min(_KNOWN_SCALES, key=lambda known: abs(known / scale - 1))
        return nearest if abs(nearest / scale - 1) <= uncertain else scale
