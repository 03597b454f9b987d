# SPDX-License-Identifier: Apache-2.0
"""Which RTP packets of a source have arrived (RFC 3550 appendix A.1, without probation). Pure.

Compiled by mypyc (workers/compile_media.py): no attribute may be added from outside, none may be of
another type than declared, and nothing may be set on the class by a test.
"""

from __future__ import annotations

MAX_DROPOUT = 3000
"""A larger step is a source that began anew (RFC 3550 appendix A.1)."""


class Reception:
    """Counts packets and losses of one source.

    The receiver compares `expected` and `ssrc` by itself, packet by packet, and calls `arrived`
    only when one differs.
    """

    def __init__(self) -> None:
        self.ssrc = -1
        self.expected = -1
        """Next sequence number; the receiver advances it."""
        self.packets = 0
        self.lost = 0
        self.restarts = 0
        self._first = 0
        self._before = 0
        """Packets and losses before the source began anew."""

    def arrived(self, ssrc: int, sequence: int) -> bool:
        """Note an unexpected packet; True when packets before it are missing."""
        if self.ssrc == -1:
            self._begin(ssrc, sequence)
            return False
        step = (sequence - self.expected) & 0xFFFF
        if ssrc != self.ssrc or step >= MAX_DROPOUT:
            # Backwards is a restart too: TCP does not reorder.
            self._begin(ssrc, sequence)
            self.restarts += 1
            return True
        self.lost += step
        return step > 0

    def _begin(self, ssrc: int, sequence: int) -> None:
        self.ssrc, self._first = ssrc, sequence
        self._before = self.packets + self.lost

    @property
    def highest_sequence(self) -> int:
        """Extended highest sequence number received (RFC 3550 section 6.4.1)."""
        return max(self._first + self.packets + self.lost - self._before - 1, 0)
