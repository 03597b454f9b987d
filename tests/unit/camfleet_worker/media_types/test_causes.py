# SPDX-License-Identifier: Apache-2.0
"""Every failure that a worker tells has a cause, and `line` needs a host that does not answer."""

from __future__ import annotations

import pytest

from camfleet_api.conditions import REASONS, ConditionType, Reason
from camfleet_worker.media_types.causes import Cause, cause_of

C, R = ConditionType, Reason


@pytest.mark.parametrize(
    ("condition", "reason", "cause"),
    [
        (C.REACHABLE, R.CONNECTION_REFUSED, Cause.CAMERA),
        (C.STREAMING, R.NO_FRAMES, Cause.CAMERA),
        (C.REACHABLE, R.HOST_UNREACHABLE, Cause.LINE),
        (C.REACHABLE, R.SITE_UNREACHABLE, Cause.LINE),
        (C.REACHABLE, R.NAME_NOT_RESOLVED, Cause.SYSTEM),
        (C.AUTHENTICATED, R.CREDENTIALS_REJECTED, Cause.CAMERA),
        (C.AUTHENTICATED, R.CREDENTIALS_MISSING, Cause.SYSTEM),
        (C.RELAYING, R.VMS_UNREACHABLE, Cause.VMS),
        (C.RELAYING, R.VMS_CREDENTIALS_MISSING, Cause.SYSTEM),
        (C.RECORDING, R.DISK_FULL, Cause.DISK),
        (C.RECORDING, R.STORAGE_FAILED, Cause.DISK),
        (C.ASSIGNED, R.PAUSED, Cause.PLANNED),
        (C.READY, R.WORKER_LOST, Cause.SYSTEM),
    ],
)
def test_a_failure_has_its_cause(condition: ConditionType, reason: Reason, cause: Cause) -> None:
    assert cause_of(condition, reason) is cause


@pytest.mark.parametrize("reason", [reason for reason, row in REASONS.items() if row.types])
def test_a_line_is_blamed_only_where_the_host_does_not_answer(reason: Reason) -> None:
    causes = {cause_of(condition, reason) for condition in REASONS[reason].types}
    silent = reason in (R.HOST_UNREACHABLE, R.SITE_UNREACHABLE)
    assert (Cause.LINE in causes) == silent
