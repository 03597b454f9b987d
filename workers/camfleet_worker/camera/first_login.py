# SPDX-License-Identifier: Apache-2.0
"""Whether an account that cameras of another worker use too may be tried here.

The operator names one Camera that tries it first (login_after in the shard). Its status, written
by its own worker, holds the outcome; until it holds that the device took the account, supervisors
here try nothing, so that two workers lock nothing together. Reading a Camera is left to the app.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from camfleet_api.camera import CameraStatus
from camfleet_api.conditions import ConditionType, Reason
from camfleet_worker.base.errors import IngestError, Retry
from camfleet_worker.camera.status_mapping import recalled_refusal
from camfleet_worker.login.attempts import AttemptLedger

WAITING_S = 10.0
"""How often the other Camera is looked at while nothing is known of the account."""
REFUSED_S = 60.0
"""The same after a refusal: only a person, or half an hour, changes that."""

OtherCamera = Callable[[str], Awaitable[CameraStatus | None]]
"""The status of a Camera that another worker runs; None where it cannot be read."""


def require_first_login(
    ledger: AttemptLedger, account: str, first: str, status: CameraStatus | None
) -> None:
    """Return where the Camera `first` has proven the account; IngestError where it has not yet,
    or was refused. What it spent counts here too, should it go away."""
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
