# SPDX-License-Identifier: Apache-2.0
"""When ONVIF must be asked again, and when what was learnt is enough to go straight to RTSP."""

from __future__ import annotations

from camfleet_api.camera import LearnedStatus
from camfleet_api.conditions import REASONS, Effect, Reason

MAX_AGE_S = 24 * 3600.0
"""Once a day: clocks drift, firmware and encoder settings change."""


def needs_resolve(
    learned: LearnedStatus | None,
    *,
    spec_changed: bool,
    age_s: float,
    last_error: Reason | None = None,
) -> bool:
    """True when the next connect must ask ONVIF first.

    `spec_changed`: the camera's part of the shard, or the version of its Secret, differs from
    what was learnt under. `age_s`: seconds since it was learnt.
    """
    if learned is None or not learned.stream_path or spec_changed:
        return True
    cured = last_error is not None and REASONS[last_error].has(Effect.ASKS_ONVIF_AGAIN)
    return age_s >= MAX_AGE_S or cured
