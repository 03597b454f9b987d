# SPDX-License-Identifier: Apache-2.0
"""What is known of one camera: learnt from ONVIF, from its stream, and by former workers. Pure.

The supervisor and its connector share one and record in it what they see; it decides whether ONVIF
must be asked again, and when. It opens no connection and reads no clock: the time is handed in, as
seconds of a monotonic clock.
"""

from __future__ import annotations

import math

from camfleet_api.camera import CameraStatus, LearnedStatus
from camfleet_api.conditions import ConditionType, Reason
from camfleet_api.ingest_shard import ShardCamera
from camfleet_worker.camera.identity_watch import IdentityWatch
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
"""Side conditions that the worker sees by itself; the others come from a resolve."""


class Learnt:
    """Everything that outlives a session, and in the Camera's status the worker."""

    def __init__(self) -> None:
        self.status: LearnedStatus | None = None
        """For the Camera's status; None before the first resolve."""
        self.identity = IdentityWatch()
        self.side: tuple[Failure, ...] = ()
        """The side conditions that are not True since ONVIF was last asked."""
        self._at = 0.0
        self._recheck_at = math.inf
        self._last_error: Reason | None = None

    def recall(self, status: CameraStatus, now: float) -> None:
        """Begin where the last worker stopped."""
        side = recalled_side(status)
        self.identity.recall(status.device, side)
        self.status, self._at = status.learned, now
        self.side = tuple(f for f in side if f.condition not in NOT_FROM_ONVIF)

    def resolved(self, resolution: Resolution, camera: ShardCamera, now: float) -> None:
        """ONVIF has answered."""
        self.identity.see(resolution.device, camera.serial_number)
        self.status = learned_status(resolution.learned, camera.generation, self.status)
        self.side = side_failures(resolution)
        self._at, self._recheck_at = now, math.inf
        self._last_error = None

    def not_resolved(self, now: float) -> None:
        """ONVIF failed beside a stream that plays, which needs it no sooner than in a day."""
        self._at, self._recheck_at = now, math.inf

    def opened(self, stream: PlayingStream) -> None:
        """The RTSP port plays."""
        if self.status is not None:
            self.status = learned_from_stream(self.status, stream)

    def streams(self, video: VideoFormat) -> None:
        """The stream has shown its first key frame."""
        self._last_error = None
        if self.status is not None and video.width and video.height:
            size = {"width": video.width, "height": video.height}
            self.status = self.status.model_copy(update=size)

    def ended(self, reason: Reason, *, streamed: bool) -> None:
        """A connect or a session has failed. A stream that had pictures is where it was learnt to
        be: to ask ONVIF could only cost."""
        self._last_error = None if streamed else reason

    def nothing_arrived(self) -> None:
        """A session played and brought nothing."""
        if self.status is not None:
            self.status = without_transport(self.status)

    def renew(self, generation: int) -> None:
        """The Camera was edited where that changes nothing that was learnt."""
        if self.status is not None:
            self.status = self.status.model_copy(update={"generation": generation})

    def must_resolve(self, generation: int, now: float, *, proven: bool) -> bool:
        """Whether the next connect must ask ONVIF. `proven`: the account was, or there is none."""
        if self.status is None:
            return True
        return needs_resolve(
            self.status,
            spec_changed=self.status.generation != generation or not proven,
            age_s=now - self._at,
            last_error=self._last_error,
        )

    def recheck_in(self, seconds: float, now: float) -> None:
        """Have ONVIF asked then, unless it is due before."""
        self._recheck_at = now + seconds

    def due_in_s(self, now: float) -> float:
        """When ONVIF is asked again beside a stream that plays: once a day, or at the recheck."""
        return max(0.1, min(self._at + MAX_AGE_S, self._recheck_at) - now)
