# SPDX-License-Identifier: Apache-2.0
"""Converts between a Camera's status and what a supervisor remembers of the camera. Pure.

The status outlives the worker: a restarted worker, or the next one, reads it, opens RTSP without
asking ONVIF and repeats no login attempt.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from camfleet_api.camera import CameraStatus, LearnedStatus, RtspScheme
from camfleet_api.conditions import REASONS, SIDE, Condition, ConditionType, Reason, condition_of
from camfleet_api.ingest_shard import Policy, ShardCamera
from camfleet_worker.base.errors import IngestError, ReportedError, Retry
from camfleet_worker.media_types.access_unit import Codec
from camfleet_worker.reporter.facts import Failure
from camfleet_worker.resolve import Resolution, clock_trouble
from camfleet_worker.rtsp.client import PlayingStream, StreamTarget

_TICKS_S = 2
"""Clock offsets are rounded to seconds and measured over a network: a smaller change is ignored."""

FROM_RTSP = ("stream_certificate", "transport", "keepalive")
"""The fields that only the RTSP port shows; all others in LearnedStatus come from a resolve."""


def learned_status(
    learned: LearnedStatus, generation: int, before: LearnedStatus | None
) -> LearnedStatus:
    """The values of a resolve, with those that the RTSP port has shown before.

    A clock offset with an insignificant change stays as it was.
    """
    before = before or LearnedStatus()
    offset, old = learned.clock_offset_seconds, before.clock_offset_seconds
    if offset is not None and old is not None and abs(offset - old) <= _TICKS_S:
        offset = old
    of_rtsp = {name: getattr(before, name) for name in FROM_RTSP}
    return learned.model_copy(
        update={"clock_offset_seconds": offset, "generation": generation, **of_rtsp}
    )


def learned_from_stream(learned: LearnedStatus, stream: PlayingStream) -> LearnedStatus:
    """The learnt values with those of the RTSP port: its certificate and transport."""
    return learned.model_copy(
        update={
            "codec": stream.codec.value,
            "stream_certificate": stream.certificate,
            "transport": "udp" if stream.transport == "udp" else "",
        }
    )


def without_transport(learned: LearnedStatus) -> LearnedStatus:
    """The learnt values without the transport: no packet came over UDP, so TCP is tried first."""
    return learned.model_copy(update={"transport": ""})


def stream_target(
    camera: ShardCamera, policy: Policy, learned: LearnedStatus, path: str, session_timeout_s: float
) -> StreamTarget:
    """Where to open the stream, by the declared and the learnt values."""
    return replace(
        StreamTarget.at(camera.host, camera.rtsp_port, path),
        tls=camera.rtsp_scheme is RtspScheme.RTSPS,
        pinned=camera.certificate_fingerprint or learned.stream_certificate or None,
        udp_allowed=policy.udp_fallback,
        udp_first=learned.transport == "udp",
        audio=policy.audio,
        session_timeout_s=session_timeout_s,
        codecs=tuple(Codec(codec.value) for codec in policy.video.codecs),
    )


def side_failures(resolution: Resolution) -> tuple[Failure, ...]:
    """The side conditions that are not True after a resolve."""
    found = []
    trouble = clock_trouble(resolution.learned.clock_offset_seconds)
    if trouble is not None:
        found.append(_side(ConditionType.TIME_SYNCHRONIZED, trouble.reason, trouble.detail))
    if resolution.deviations:
        detail = "; ".join(resolution.deviations)
        found.append(_side(ConditionType.CONFORMANT, Reason.DIFFERS_FROM_PROFILE, detail))
    return tuple(found)


def recalled_side(status: CameraStatus) -> tuple[Failure, ...]:
    """The side conditions that a former worker reported: they hold until ONVIF is asked again."""
    return tuple(
        Failure(ConditionType(c.type), Reason(c.reason), c.message)
        for c in status.conditions
        if c.type in SIDE and c.reason in REASONS
    )


def recalled_refusal(conditions: Iterable[Condition]) -> IngestError | None:
    """The refused login that a former worker reported, so that it is reported, not tried."""
    stored = condition_of(conditions, ConditionType.AUTHENTICATED)
    if stored is None or stored.status != "False" or stored.reason not in REASONS:
        return None
    reason = Reason(stored.reason)
    return ReportedError(
        ConditionType.AUTHENTICATED, reason, stored.message, Retry.ON_SECRET_CHANGE
    )


def _side(condition: ConditionType, reason: Reason, detail: str) -> Failure:
    return Failure.of(IngestError(condition, reason, detail))
