# SPDX-License-Identifier: Apache-2.0
"""What an error of the operating system on a recording volume means. Pure.

Called by whatever touches the volume: here alone errno becomes a reason of ours.
"""

from __future__ import annotations

import errno

from camfleet_api.conditions import ConditionType, Reason
from camfleet_worker.base.errors import IngestError

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


def is_full(error: OSError) -> bool:
    """Whether there is no room, for whomever it was meant."""
    return error.errno in _FULL


def storage_error(error: OSError) -> IngestError:
    """An error of the operating system, as ours."""
    if is_full(error):
        return IngestError(
            ConditionType.RECORDING,
            Reason.DISK_FULL,
            "The recording volume is full and holds no older recording to delete",
        )
    name = errno.errorcode.get(error.errno or 0, "an unknown error")
    return storage_failed(f"Writing to the recording volume failed with {name}")


def storage_failed(fact: str) -> IngestError:
    """The volume does not do what it should."""
    return IngestError(ConditionType.RECORDING, Reason.STORAGE_FAILED, fact)
