# SPDX-License-Identifier: Apache-2.0
"""Whether RTP timestamps mean anything: those that do not rise or are mostly repeated do not. Pure.

Compiled by mypyc (workers/compile_media.py): no attribute may be added from outside, none may be of
another type than declared, and nothing may be set on the class by a test.
"""

from __future__ import annotations

MOST_REORDERED = 16
"""Access units in a row that do not come after the newest: B-frames are fewer (ITU-T H.264 section
A.3.1, max_dec_frame_buffering). Behind them the timestamps mean nothing, and arrival counts."""
_RISING_AGAIN = 8
"""Access units in a row that rise, before timestamps that meant nothing are believed again."""


class TimestampSense:
    """Of one timeline."""

    def __init__(self) -> None:
        self.none = False
        """Whether they mean nothing."""
        self.doubtful = False
        """Whether the last access units gave a reason to look at the next one, whatever it is."""
        self._not_rising = self._repeated = self._rising = 0
        """Access units in a row that do not rise; repeated timestamps, less the others; access
        units in a row that rise although timestamps meant nothing before."""

    def judge(self, step: int, rises: bool) -> bool:
        """Take one access unit; True where timestamps begin or cease to mean something."""
        self._not_rising = 0 if rises else self._not_rising + 1
        if step == 0:
            self._repeated += 1
        elif self._repeated:
            self._repeated -= 1
        before = self.none
        if before:
            self._rising = self._rising + 1 if rises else 0
            if self._rising > _RISING_AGAIN:
                self.none, self._repeated = False, 0
        elif self._not_rising > MOST_REORDERED or self._repeated > MOST_REORDERED:
            self.none, self._rising = True, 0
        self.doubtful = self.none or self._not_rising > 0 or self._repeated > 0
        return self.none != before
