# SPDX-License-Identifier: Apache-2.0
"""The budget of writes: a token bucket that everyone who writes draws from.

An apply costs the API server 3-7 ms of CPU, and kopf's and the client's connections know no limit.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from camfleet_operator.metrics import THROTTLE_SECONDS


class TokenBucket:
    """`rate` tokens a second, at most `burst` saved up; waits its callers in order."""

    def __init__(
        self,
        rate: float,
        burst: int,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = float(burst)
        self._filled_at = monotonic()
        self._closed_until = 0.0
        self._monotonic = monotonic
        self._sleep = sleep

    async def take(self) -> None:
        """Wait for one token."""
        wait_s = self._reserve()
        if wait_s > 0:
            THROTTLE_SECONDS.inc(wait_s)
            await self._sleep(wait_s)

    def pause(self, seconds: float) -> None:
        """The API server asks us to wait: no caller gets a token for so long."""
        self._closed_until = max(self._closed_until, self._monotonic() + seconds)

    def _reserve(self) -> float:
        """Take a token, possibly one not yet filled, and return how long to wait for it."""
        now = self._monotonic()
        self._tokens = min(self._burst, self._tokens + (now - self._filled_at) * self._rate)
        self._filled_at = now
        self._tokens -= 1
        return max(-self._tokens / self._rate, self._closed_until - now, 0.0)
