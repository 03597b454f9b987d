# SPDX-License-Identifier: Apache-2.0
"""Finds the keepalive that a camera counts and its Public header does not name (quirk 58). Pure.

`Learnt` keeps one for each camera. The methods that Public names are always sent; this chooses one
more. A session that ends by itself at about its timeout is taken for one whose keepalives were not
counted, and the next method is tried in the next session. One by which a session outlives its
timeout is learnt. A camera that ends its sessions for another reason costs one round of the
methods, and each further round needs more losses than the one before.
"""

from __future__ import annotations

from camfleet_api.conditions import REASONS, Effect, Reason
from camfleet_worker.media.watchdog import USUAL_PATIENCE

_METHODS = ("", "GET_PARAMETER", "SET_PARAMETER")
"""In the order of trying; "" adds none. OPTIONS and RTCP reports are sent to every camera."""
_PROVEN_LOSSES = 3
"""So many sessions in a row must end at the timeout before a keepalive that once worked is
doubted."""
_MORE_LOSSES = 8
"""By this factor more losses begin the next round where one has found nothing."""


class KeepaliveTrial:
    """What one camera's sessions have shown about keepalives."""

    def __init__(self, learnt: str = "") -> None:
        """`learnt`: the method that a former worker has learnt."""
        self.learnt = learnt if learnt in _METHODS else ""
        self.method = self.learnt
        """The method to send beside those that Public names; "" for none."""
        self._losses = 0
        self._losses_needed = _PROVEN_LOSSES if self.learnt else 1
        self._began_at: float | None = None
        self._span_s = (0.0, 0.0)

    def begin(self, now: float, span_s: tuple[float, float]) -> None:
        """A session plays. `span_s`: the ages at which it ends if its keepalives do not count."""
        self._began_at, self._span_s = now, span_s

    def lasts(self, now: float) -> bool:
        """Note that the session goes on; True where that shows a method that was not learnt."""
        if self._began_at is None or now - self._began_at <= self._span_s[1]:
            return False
        self._losses = 0
        self._losses_needed = max(self._losses_needed, _PROVEN_LOSSES)
        new = self.learnt != self.method
        self.learnt = self.method
        return new

    def ended(self, now: float, reason: Reason) -> None:
        """Note why the session ended; of a failed connect it notes nothing."""
        began_at, self._began_at = self._began_at, None
        if began_at is None or not REASONS[reason].has(Effect.DOUBTS_KEEPALIVE):
            return
        silence_s = USUAL_PATIENCE.no_packets_s if reason is Reason.NO_FRAMES else 0.0
        lasted_s = now - began_at - silence_s
        least_s, most_s = self._span_s
        trying = self.method != self.learnt
        # There are servers that close at once when they are asked what they do not know.
        if lasted_s > most_s or (lasted_s < least_s and not trying):
            return
        self._losses += 1
        if trying or self._losses >= self._losses_needed:
            self._try_next()

    def _try_next(self) -> None:
        self._losses = 0
        self.method = _METHODS[(_METHODS.index(self.method) + 1) % len(_METHODS)]
        if self.method == self.learnt:
            self._losses_needed *= _MORE_LOSSES
