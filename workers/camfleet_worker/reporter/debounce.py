# SPDX-License-Identifier: Apache-2.0
"""How long a difference between what is known and what is reported must last. Pure.

Up is reported at once, down after ten seconds: a camera that reconnects within that time was never
down in its status, and a short break of a site's line costs no write. A camera with Flapping must
stay up for a minute before it is reported as up again.
"""

from __future__ import annotations

from camfleet_api.camera import CameraStatus
from camfleet_api.conditions import Condition, ConditionType, condition_of

DEBOUNCE_S = 10.0
FLAPPING_UP_S = 60.0


def patience_s(reported: CameraStatus, known: CameraStatus) -> float | None:
    """Seconds that the difference must have lasted before it is written; None: no difference."""
    if reported == known:
        return None
    was, is_ = _ready(reported), _ready(known)
    if is_ is None or is_.status == "Unknown":
        return DEBOUNCE_S
    first_verdict = was is None or was.status == "Unknown"
    came_up = (
        is_.status == "True"
        and not first_verdict
        and was is not None
        and (was.status != "True" or was.observed_generation != is_.observed_generation)
    )
    if came_up and condition_of(known.conditions, ConditionType.STABLE) is not None:
        return FLAPPING_UP_S
    return 0.0 if first_verdict or came_up else DEBOUNCE_S


def new_generation(reported: CameraStatus, known: CameraStatus) -> bool:
    """True where the writer of the spec waits for an answer."""
    was, is_ = _ready(reported), _ready(known)
    return is_ is not None and (was is None or was.observed_generation != is_.observed_generation)


def _ready(status: CameraStatus) -> Condition | None:
    return condition_of(status.conditions, ConditionType.READY)
