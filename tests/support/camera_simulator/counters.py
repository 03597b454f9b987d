# SPDX-License-Identifier: Apache-2.0
"""What a camera has seen so far. Counts only ever grow, except those named `open`.

Written by the servers of one camera, read by tests (`camera.counters`) and by the control door. An
authentication *attempt* is a request that carried credentials for an operation that asks for them;
a request without credentials is a question, answered with a challenge, and counts as no attempt.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

Door = Literal["onvif", "rtsp"]


class Verdict(StrEnum):
    """What became of one authentication attempt."""

    ACCEPTED = "accepted"
    WRONG_PASSWORD = "wrong-password"
    UNKNOWN_ACCOUNT = "unknown-account"
    CLOCK = "clock"
    REPLAYED = "replayed"
    LOCKED = "locked"
    MALFORMED = "malformed"
    STALE_NONCE = "stale-nonce"


@dataclass(frozen=True)
class Attempt:
    door: Door
    scheme: str
    account: str
    verdict: Verdict


@dataclass
class Counters:
    onvif_connects: int = 0
    onvif_connects_open: int = 0
    onvif_connects_at_once: int = 0
    """The most that were open at one time."""
    restarts: int = 0
    onvif_requests: Counter[str] = field(default_factory=Counter)
    attempts: Counter[Attempt] = field(default_factory=Counter)
    probes: int = 0
    probes_answered: int = 0
    rtsp_connects: int = 0
    rtsp_connects_open: int = 0
    rtsp_requests: Counter[str] = field(default_factory=Counter)
    sessions: int = 0
    sessions_open: int = 0
    sessions_refused: int = 0
    sessions_expired: int = 0
    sessions_lost: int = 0
    teardowns: int = 0
    frames_sent: int = 0
    frames_dropped: int = 0
    bytes_sent: int = 0
    audio_sent: int = 0
    """Packets of audio, without those left out."""

    def accepted(self, door: Door | None = None, scheme: str | None = None) -> int:
        """Attempts that opened the camera."""
        return self._attempts(door, scheme, {Verdict.ACCEPTED})

    def refused(self, door: Door | None = None, scheme: str | None = None) -> int:
        """Attempts that a real camera would count towards a lockout; a stale nonce is none."""
        return self._attempts(door, scheme, set(Verdict) - {Verdict.ACCEPTED, Verdict.STALE_NONCE})

    def _attempts(self, door: Door | None, scheme: str | None, verdicts: set[Verdict]) -> int:
        return sum(
            count
            for attempt, count in self.attempts.items()
            if attempt.verdict in verdicts
            and door in (None, attempt.door)
            and scheme in (None, attempt.scheme)
        )

    def as_json(self) -> dict[str, Any]:
        """For the control door: attempts as rows, so that nobody has to know our key order."""
        plain = {name: value for name, value in vars(self).items() if isinstance(value, int)}
        return plain | {
            "onvif_requests": dict(self.onvif_requests),
            "rtsp_requests": dict(self.rtsp_requests),
            "auth_accepted": self.accepted(),
            "auth_refused": self.refused(),
            "attempts": [
                {
                    "door": a.door,
                    "scheme": a.scheme,
                    "account": a.account,
                    "verdict": a.verdict.value,
                    "count": count,
                }
                for a, count in sorted(self.attempts.items(), key=lambda row: str(row[0]))
            ],
        }
