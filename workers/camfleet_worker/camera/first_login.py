# SPDX-License-Identifier: Apache-2.0
"""Decides whether an account may be tried that cameras of another worker use too.

The operator names one Camera that tries it first (login_after in the shard). The status of that
Camera, which its own worker writes, shows the result. Until the device has accepted the account,
supervisors here try no login, so that two workers together lock no account. `OtherCamera`, which
reads a Camera, comes from the app.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from camfleet_api.camera import CameraStatus
from camfleet_api.conditions import ConditionType, Reason
from camfleet_worker.base.errors import IngestError, Retry
from camfleet_worker.camera.status_mapping import recalled_refusal
from camfleet_worker.login.attempts import AttemptLedger

WAITING_S = 10.0
"""How often the other Camera is read while it shows no result for the account."""
REFUSED_S = 60.0
"""How often it is read after a refusal, which only a person or half an hour changes."""

OtherCamera = Callable[[str], Awaitable[CameraStatus | None]]
"""The status of a Camera that another worker runs; None where it cannot be read."""


def require_first_login(
    ledger: AttemptLedger, account: str, first: str, status: CameraStatus | None
) -> None:
    """Return where the Camera `first` has proven the account; IngestError where it has not, or was
    refused. Its attempts count here too, in case it is removed."""
    attempts = None if status is None else status.attempts
    if status is None or attempts is None or attempts.account != account:
        raise _waiting(first)
    refusal = recalled_refusal(status.conditions)
    ledger.restore(attempts, refusal)
    if attempts.proven:
        return
    if refusal is None:
        raise _waiting(first)
    raise refusal.again(Retry.BACKOFF, REFUSED_S) from refusal


def _waiting(first: str) -> IngestError:
    return IngestError(
        ConditionType.AUTHENTICATED,
        Reason.PENDING,
        f"Camera {first} uses the same account and tries it first; "
        "no login is tried here before it succeeds",
        retry_after_s=WAITING_S,
    )
