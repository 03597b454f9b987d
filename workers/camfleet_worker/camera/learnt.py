# SPDX-License-Identifier: Apache-2.0
"""Keeps what ONVIF, the stream and former workers have shown of one camera. Pure.

The supervisor and its connector share one and record results in it; it decides whether and when
ONVIF must be asked again. It opens no connection and reads no clock: the time is an argument, in
seconds of a monotonic clock.
"""

from __future__ import annotations

import math

from camfleet_api.camera import CameraStatus, LearnedStatus
from camfleet_api.conditions import ConditionType, Reason
from camfleet_api.ingest_shard import ShardCamera
from camfleet_worker.camera.identity_watch import IdentityWatch
from camfleet_worker.camera.keepalive_trial import KeepaliveTrial
from camfleet_worker.camera.status_mapping import (
    learned_from_stream,
    learned_status,
    recalled_side,
    side_failures,
    without_transport,
)
from camfleet_worker.media_types.access_unit import VideoFormat
from camfleet_worker.reporter.facts import Failure
from camfleet_worker.resolve import Resolution, needs_resolve
from camfleet_worker.resolve.freshness import MAX_AGE_S
from camfleet_worker.rtsp.client import PlayingStream

NOT_FROM_ONVIF = frozenset(
    {ConditionType.IDENTITY_STABLE, ConditionType.IMAGE_HEALTHY, ConditionType.STABLE}
)
"""Side conditions that the worker detects itself; the others come from a resolve."""


class Learnt:
    """The values that outlive a session and, in the Camera's status, the worker."""

    def __init__(self) -> None:
        self.status: LearnedStatus | None = None
        """The learnt values for the Camera's status; None before the first resolve."""
        self.identity = IdentityWatch()
        self._keepalives = KeepaliveTrial()
        self.side: tuple[Failure, ...] = ()
        """The side conditions that are not True since ONVIF was last asked."""
        self._at = 0.0
        self._recheck_at = math.inf
        self._last_error: Reason | None = None

    def recall(self, status: CameraStatus, now: float) -> None:
        """Take over the status that the last worker wrote."""
        side = recalled_side(status)
        self.identity.recall(status.device, side)
        self.status, self._at = status.learned, now
        self._keepalives = KeepaliveTrial(status.learned.keepalive if status.learned else "")
        self.side = tuple(f for f in side if f.condition not in NOT_FROM_ONVIF)

    def resolved(self, resolution: Resolution, camera: ShardCamera, now: float) -> None:
        """Record the result of a resolve."""
        self.identity.see(resolution.device, camera.serial_number)
        self.status = learned_status(resolution.learned, camera.generation, self.status)
        self.side = side_failures(resolution)
        self._at, self._recheck_at = now, math.inf
        self._last_error = None

    def not_resolved(self, now: float) -> None:
        """Wait a day after ONVIF has failed beside a stream that plays, which does not need it."""
        self._at, self._recheck_at = now, math.inf

    @property
    def keepalive(self) -> str:
        """The method to keep the next session alive with, beside those that Public names."""
        return self._keepalives.method

    def opened(self, stream: PlayingStream, now: float) -> None:
        """Record that the RTSP port plays this stream."""
        self._keepalives.begin(now, stream.session.uncounted_ends_s)
        if self.status is not None:
            self.status = learned_from_stream(self.status, stream)

    def streams(self, video: VideoFormat) -> None:
        """Record the first key frame of a stream."""
        self._last_error = None
        if self.status is not None and video.width and video.height:
            size = {"width": video.width, "height": video.height}
            self.status = self.status.model_copy(update=size)

    def lasts(self, now: float) -> None:
        """Record that the session goes on, if there is one. Called regularly."""
        if self._keepalives.lasts(now) and self.status is not None:
            found = {"keepalive": self._keepalives.learnt}
            self.status = self.status.model_copy(update=found)

    def ended(self, reason: Reason, now: float, *, streamed: bool) -> None:
        """Record that a connect or a session has failed. A stream that had access units is still at
        its learnt path, so ONVIF need not be asked again."""
        self._keepalives.ended(now, reason)
        self._last_error = None if streamed else reason

    def nothing_arrived(self) -> None:
        """Record a session that played and brought no packet."""
        if self.status is not None:
            self.status = without_transport(self.status)

    def renew(self, generation: int) -> None:
        """Record an edit of the Camera that changes no learnt value."""
        if self.status is not None:
            self.status = self.status.model_copy(update={"generation": generation})

    def must_resolve(self, generation: int, now: float, *, proven: bool) -> bool:
        """Whether the next connect must ask ONVIF. `proven`: the account is, or there is none."""
        if self.status is None:
            return True
        return needs_resolve(
            self.status,
            spec_changed=self.status.generation != generation or not proven,
            age_s=now - self._at,
            last_error=self._last_error,
        )

    def recheck_in(self, seconds: float, now: float) -> None:
        """Make ONVIF due after these seconds, unless it is due before."""
        self._recheck_at = now + seconds

    def due_in_s(self, now: float) -> float:
        """Seconds until ONVIF is asked while a stream plays: after a day or at the recheck."""
        return max(0.1, min(self._at + MAX_AGE_S, self._recheck_at) - now)
