# SPDX-License-Identifier: Apache-2.0
"""Whose gap a failure makes: the condition says where it failed, a few reasons say otherwise. Pure.

`line` only where nothing of the host is reached: a worker cannot tell a dead line from a camera
without power, and a camera that refuses a connection is there. That a whole site fell is decided
where all its cameras are seen.
"""

from __future__ import annotations

from enum import StrEnum

from camfleet_api.conditions import ConditionType, Reason


class Cause(StrEnum):
    """Whose gap it is."""

    CAMERA = "camera"
    LINE = "line"
    VMS = "vms"
    DISK = "disk"
    SYSTEM = "us"
    """This worker, its node or what it was given. Journals write "us", as they always have."""
    PLANNED = "planned"


_WHERE = {
    ConditionType.REACHABLE: Cause.CAMERA,
    ConditionType.AUTHENTICATED: Cause.CAMERA,
    ConditionType.ELIGIBLE: Cause.CAMERA,
    ConditionType.STREAMING: Cause.CAMERA,
    ConditionType.RELAYING: Cause.VMS,
    ConditionType.RECORDING: Cause.DISK,
}
_OTHERWISE = {
    Reason.HOST_UNREACHABLE: Cause.LINE,
    Reason.SITE_UNREACHABLE: Cause.LINE,
    Reason.PAUSED: Cause.PLANNED,
    # What we were given was not right: nobody was asked with it.
    Reason.NAME_NOT_RESOLVED: Cause.SYSTEM,
    Reason.CREDENTIALS_MISSING: Cause.SYSTEM,
    Reason.CREDENTIALS_KEY_MISSING: Cause.SYSTEM,
    Reason.SECRET_WRONG_TYPE: Cause.SYSTEM,
    Reason.VMS_CREDENTIALS_MISSING: Cause.SYSTEM,
}


def cause_of(condition: ConditionType, reason: Reason) -> Cause:
    """The cause of a gap that a failure makes: ours wherever nobody else's is known."""
    return _OTHERWISE.get(reason, _WHERE.get(condition, Cause.SYSTEM))
