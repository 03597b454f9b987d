# SPDX-License-Identifier: Apache-2.0
"""Repairs the files of a writer that died: completes its last segment and closes its last span.

Called on the volume's writer thread before a camera is recorded. It changes only the last segment,
and none that a process still writes.
"""

from __future__ import annotations

import os
from pathlib import Path

from camfleet_worker.base.moments import SECOND_US
from camfleet_worker.containers.codec_template import CLOCK_RATE
from camfleet_worker.containers.mp4 import played_90k, whole_boxes_bytes
from camfleet_worker.record import retention
from camfleet_worker.record.layout import ObjectKey, spans


def repair(root: Path, prefix: str) -> None:
    """Close the last span of a camera where its writer died without doing so.

    A torn fragment at the end is cut off; everything before it is whole. A segment without a whole
    fragment is removed. A segment that a process still writes is left alone.
    """
    last = retention.newest_hour(root / prefix)
    found = spans(key for _, key in last)
    if not found or found[-1].end_us is not None:
        return
    key = found[-1].segments[-1]
    path = root / prefix / str(key)
    with retention.locked(path) as descriptor:
        if descriptor is None:
            return
        with open(descriptor, "r+b", closefd=False) as file:
            size = os.fstat(descriptor).st_size
            good = whole_boxes_bytes(file, size)
        if good == 0:
            path.unlink()
        elif good < size:
            os.ftruncate(descriptor, good)
        os.fsync(descriptor)
    played = played_90k(path) if good else 0
    counter = key.counter + 1 if good else key.counter
    if counter > 0:
        end = ObjectKey(prefix, key.at_us + played * SECOND_US // CLOCK_RATE, counter, end=True)
        (root / str(end)).parent.mkdir(parents=True, exist_ok=True)
        (root / str(end)).touch()
