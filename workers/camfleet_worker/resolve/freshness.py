# SPDX-License-Identifier: Apache-2.0
"""Decides whether ONVIF must be asked again, or the learnt values are enough to open RTSP."""

from __future__ import annotations

from camfleet_api.camera import LearnedStatus
from camfleet_api.conditions import REASONS, Effect, Reason

MAX_AGE_S = 24 * 3600.0
"""ONVIF is asked once a day, because clocks drift, and firmware and encoder settings change."""


def needs_resolve(
    learned: LearnedStatus | None,
    *,
    spec_changed: bool,
    age_s: float,
    last_error: Reason | None = None,
) -> bool:
    """True when the next connect must ask ONVIF first.

    `spec_changed`: the camera's entry in the shard, or the version of its Secret, has changed since
    the values were learnt. `age_s`: seconds since then.
    """
    if learned is None or not learned.stream_path or spec_changed:
        return True
    cured = last_error is not None and REASONS[last_error].has(Effect.ASKS_ONVIF_AGAIN)
    return age_s >= MAX_AGE_S or cured
