# SPDX-License-Identifier: Apache-2.0
"""Decides when a relay may connect again: by a backoff with full jitter, for each relay alone.

Full jitter (a random share of the whole interval) is used because otherwise all cameras of the
fleet would connect at the same instant when a monitoring system comes back. Pure except for the
random source, an argument; times are time.monotonic().
"""

from __future__ import annotations

from collections.abc import Callable

from camfleet_worker.base.errors import Retry

FIRST_S = 1.0
LONGEST_S = 7.0
"""A monitoring system has its streams within ten seconds of coming back, however long it was away:
two seconds are left for an attempt that began before (its SYN is sent after 0, 1 and 3 of five
seconds) and one for announcing. Ten thousand relays then try 3,000 times a second between them: a
few packets each for a machine that refuses, and connects spread over seconds when it is back."""
SLOW_S = 1800.0
"""The wait where a person has to act, because servers lock accounts after a few refusals."""
HEALTHY_S = 60.0
"""After a stream was healthy for this time, the next failure counts as the first."""
SHORT_IN_A_ROW = 3
"""After so many sessions in a row that ended before they were healthy for that time, the relay does
not work until one is: a monitoring system that grants RECORD and then reads nothing would else be
down for the few seconds between two sessions only, and no status would ever say so."""


class Reconnect:
    """The backoff of one relay. `random` returns 0 ≤ x < 1."""

    def __init__(self, random: Callable[[], float]) -> None:
        self._random = random
        self._failures = 0
        self._not_before = float("-inf")
        self._healthy_since: float | None = None
        self._short_sessions = 0

    def may_connect(self, now: float) -> bool:
        """Whether the wait is over."""
        return now >= self._not_before

    def healthy(self, now: float) -> None:
        """Note that the monitoring system takes the stream at this moment."""
        if self._healthy_since is None:
            self._healthy_since = now

    @property
    def short_sessions(self) -> int:
        """How many sessions in a row have ended before they were healthy for a minute."""
        return self._short_sessions

    def unsteady(self, now: float, in_a_row: int = SHORT_IN_A_ROW) -> bool:
        """Whether so many sessions ended before they lasted, and the present one has not either."""
        since = self._healthy_since
        lasts = since is not None and now - since >= HEALTHY_S
        return self._short_sessions >= in_a_row and not lasts

    def failed(self, now: float, retry: Retry) -> None:
        """Note a failure, after which the relay waits."""
        if self._healthy_since is not None:
            lasted = now - self._healthy_since >= HEALTHY_S
            self._short_sessions = 0 if lasted else self._short_sessions + 1
            self._failures = 0 if lasted else self._failures
        self._healthy_since = None
        if retry is Retry.BACKOFF:
            longest = min(LONGEST_S, FIRST_S * 2.0 ** min(self._failures, 10))
            self._not_before = now + longest * self._random()
            self._failures += 1
        elif retry is Retry.ON_SPEC_CHANGE:
            self._not_before = float("inf")
        else:
            # After a change of the Secret a new relay is made; this one only tries rarely.
            self._not_before = now + SLOW_S * (0.5 + 0.5 * self._random())
