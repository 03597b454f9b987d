# SPDX-License-Identifier: Apache-2.0
"""Maps errors of the operating system on a recording volume to reasons. Pure.

All modules that use the volume call it; no other one maps errno of a disk.
"""

from __future__ import annotations

import errno

from camfleet_api.conditions import ConditionType, Reason
from camfleet_worker.base.errors import IngestError

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


def is_full(error: OSError) -> bool:
    """Whether the disk or a quota is full."""
    return error.errno in _FULL


def storage_error(error: OSError) -> IngestError:
    """The IngestError for an error of the operating system."""
    if is_full(error):
        return IngestError(
            ConditionType.RECORDING,
            Reason.DISK_FULL,
            "The recording volume is full and holds no older recording to delete",
        )
    name = errno.errorcode.get(error.errno or 0, "an unknown error")
    return storage_failed(f"Writing to the recording volume failed with {name}")


def storage_failed(fact: str) -> IngestError:
    """StorageFailed with this detail."""
    return IngestError(ConditionType.RECORDING, Reason.STORAGE_FAILED, fact)
