# SPDX-License-Identifier: Apache-2.0
"""When a session that is open has to be given up: no packets, or no key frame. Pure.

Compiled by mypyc (workers/compile_media.py): no attribute may be added from outside, none may be of
another type than declared, and nothing may be set on the class by a test.
"""

from __future__ import annotations

from dataclasses import dataclass

from camfleet_api.conditions import ConditionType, Reason
from camfleet_worker.base.errors import IngestError


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a session may go on without what it was opened for, in seconds.

    `no_key_frame_s`: how long access units may have to be dropped for want of a key frame; most
    cameras send one on PLAY, so opening the session again gets one. It grows up to
    `longest_no_key_frame_s`. `flowing_without_key_frame_s`: access units that follow on each other
    are useful without a key frame, up to this age: longer than the intervals of cameras that
    stretch them while nothing moves.
    """

    no_packets_s: float = 10.0
    no_key_frame_s: float = 10.0
    longest_no_key_frame_s: float = 60.0
    flowing_without_key_frame_s: float = 60.0

    def longer(self) -> Patience:
        """After a session without a key frame: some cameras send one every 20 s and none on
        PLAY."""
        return Patience(
            self.no_packets_s,
            min(2 * self.no_key_frame_s, self.longest_no_key_frame_s),
            self.longest_no_key_frame_s,
            self.flowing_without_key_frame_s,
        )


USUAL_PATIENCE = Patience()


class Watchdog:
    """Judges one session. `over_udp`: its packets come by a way of their own, which may be blocked
    while the session stands (quirk 32)."""

    def __init__(
        self, now: float, patience: Patience = USUAL_PATIENCE, over_udp: bool = False
    ) -> None:
        self._over_udp = over_udp
        self._others = 0
        self._last_other: float | None = None
        self._last_packet = now
        self._last_key = now
        self._longest_interval_s = 0.0
        self._patience = patience

    def packets_seen(self, now: float) -> None:
        """Video packets arrived."""
        self._last_packet = now

    def key_frame_seen(self, now: float) -> None:
        """A whole key frame was handed out."""
        self._longest_interval_s = max(self._longest_interval_s, now - self._last_key)
        self._last_key = now

    def verdict(self, now: float, awaiting_key: bool, others: int = 0) -> IngestError | None:
        """Why the session has to end, or None. `others` counts media packets that are no video."""
        if others != self._others:
            self._others, self._last_other = others, now
        if now - self._last_packet >= self._patience.no_packets_s:
            return self._nothing_seen(now)
        usual = max(self._patience.no_key_frame_s, 2 * self._longest_interval_s)
        limit = usual if awaiting_key else max(self._patience.flowing_without_key_frame_s, usual)
        if now - self._last_key >= limit:
            return IngestError(
                ConditionType.STREAMING,
                Reason.NO_KEYFRAME,
                "Video arrives without a key frame that can be used",
            )
        return None

    def _nothing_seen(self, now: float) -> IngestError:
        patience_s = self._patience.no_packets_s
        if self._last_other is not None and now - self._last_other < patience_s:
            return IngestError(
                ConditionType.STREAMING,
                Reason.AUDIO_ONLY,
                "The session plays, and what arrives is audio without a picture",
            )
        way = " over UDP; the line may block UDP" if self._over_udp else ""
        return IngestError(
            ConditionType.STREAMING,
            Reason.NO_FRAMES,
            f"The session is open and no video has arrived for {patience_s:g} seconds{way}",
        )
