# SPDX-License-Identifier: Apache-2.0
"""Exponential backoff with full jitter.

Full jitter (uniform between zero and the bound) spreads the retries of a fleet that failed at the
same moment; equal or no jitter keeps them together. The caller decides when to reset: a supervisor
only after a minute of healthy stream, because a camera that plays for two seconds and dies would
otherwise get thousands of connects a day.
"""

from __future__ import annotations

import random
from collections.abc import Callable

Uniform = Callable[[float, float], float]


class Backoff:
    """The delays between retries."""

    def __init__(
        self, first_s: float = 1.0, most_s: float = 30.0, uniform: Uniform = random.uniform
    ) -> None:
        self._first_s = first_s
        self._most_s = most_s
        self._uniform = uniform
        self._bound_s = first_s

    def next_s(self) -> float:
        """The next delay; its bound doubles from one call to the next."""
        delay_s = self._uniform(0.0, self._bound_s)
        self._bound_s = min(self._most_s, self._bound_s * 2)
        return delay_s

    def reset(self) -> None:
        """Make the next delay short again, after a success."""
        self._bound_s = self._first_s
