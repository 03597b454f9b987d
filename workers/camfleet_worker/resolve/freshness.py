# SPDX-License-Identifier: Apache-2.0
"""When ONVIF must be asked again, and when what was learnt is enough to go straight to RTSP."""

from __future__ import annotations

from camfleet_api.camera import LearnedStatus
from camfleet_api.conditions import Reason

MAX_AGE_S = 24 * 3600.0
"""Once a day: clocks drift, firmware and encoder settings change."""

CURED_BY_ASKING = frozenset(
    {
        Reason.STREAM_REFUSED,
        Reason.PROTOCOL_ERROR,
        Reason.NO_ALLOWED_STREAM,
        Reason.NO_FRAMES,
        Reason.AUDIO_ONLY,
    }
)
"""Failures of the learnt stream for which the device may name another, or ONVIF a better reason.

Not among them: a device or a port that does not answer at all (asking costs a storm of requests
when the site's line returns, and the address is declared), a session limit, and refused
credentials (asking would spend the account's next attempt).
"""


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
    return age_s >= MAX_AGE_S or last_error in CURED_BY_ASKING
