# SPDX-License-Identifier: Apache-2.0
"""A token bucket that hands out waiting times: connects and status writes pass one.

Kept as a virtual schedule (GCRA): one number instead of a refill task, first come first served.
"""

from __future__ import annotations

import asyncio


class TokenBucket:
    """`per_s` tokens a second on average, at most `burst` at once."""

    def __init__(self, per_s: float, burst: float) -> None:
        self._interval_s = 1.0 / per_s
        self._tolerance_s = (burst - 1) * self._interval_s
        self._scheduled = float("-inf")

    @property
    def next_at(self) -> float:
        """When the next token is there, in monotonic seconds; the past where one is there now."""
        return self._scheduled - self._tolerance_s

    @property
    def full_at(self) -> float:
        """When the whole burst is there again, in monotonic seconds."""
        return self._scheduled

    def reserve(self, now: float) -> float:
        """Take the next token; the seconds to wait until it is there. `now` is monotonic."""
        wait_s = max(0.0, self.next_at - now)
        self._scheduled = max(self._scheduled, now) + self._interval_s
        return wait_s

    def change_rate(self, per_s: float, burst: float) -> None:
        """Go on at another rate, from what is spent already."""
        self._interval_s = 1.0 / per_s
        self._tolerance_s = (burst - 1) * self._interval_s

    async def take(self) -> None:
        """Wait for the next token."""
        await asyncio.sleep(self.reserve(asyncio.get_running_loop().time()))
