# SPDX-License-Identifier: Apache-2.0
"""A token bucket that hands out waiting times: writes to the API server and connects to cameras
pass one.

Kept as a virtual schedule (GCRA, ITU-T I.371): one number instead of a refill task, first come
first served. It reads no clock: whoever draws a token hands in the monotonic time.
"""

from __future__ import annotations

import asyncio


class TokenBucket:
    """`per_s` tokens a second on average, at most `burst` at once."""

    def __init__(self, per_s: float, burst: float) -> None:
        self._interval_s = 1.0 / per_s
        self._tolerance_s = (burst - 1) * self._interval_s
        self._scheduled = float("-inf")
        self._closed_until = float("-inf")

    @property
    def next_at(self) -> float:
        """When the next token is there, in monotonic seconds; the past where one is there now."""
        return max(self._scheduled - self._tolerance_s, self._closed_until)

    @property
    def full_at(self) -> float:
        """When the whole burst is there again, in monotonic seconds."""
        return max(self._scheduled, self._closed_until)

    def reserve(self, now: float) -> float:
        """Take the next token; the seconds to wait until it is there. `now` is monotonic."""
        wait_s = max(0.0, self.next_at - now)
        self._scheduled = max(self._scheduled, now) + self._interval_s
        return wait_s

    def change_rate(self, per_s: float, burst: float) -> None:
        """Go on at another rate, from what is spent already."""
        self._interval_s = 1.0 / per_s
        self._tolerance_s = (burst - 1) * self._interval_s

    def close_until(self, at: float) -> None:
        """Give no token before a moment in monotonic seconds. An earlier moment changes nothing."""
        self._closed_until = max(self._closed_until, at)

    async def take(self) -> float:
        """Wait for the next token by the event loop's clock; the seconds that it took."""
        wait_s = self.reserve(asyncio.get_running_loop().time())
        await asyncio.sleep(wait_s)
        return wait_s
