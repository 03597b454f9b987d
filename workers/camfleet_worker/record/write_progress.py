# SPDX-License-Identifier: Apache-2.0
"""Counts the units of one camera that are in files, on their way to them, or lost.

Compiled by mypyc (workers/compile_media.py): no attribute may be added from outside, none may be of
another type than declared, and nothing may be set on the class by a test.

Made by the recording sink. The media loop hands bytes over, and the volume's writer thread reports
whether they were written. The sink decides whether there is room and when to try again.
"""

from __future__ import annotations

import threading

from camfleet_api.cause import Cause
from camfleet_worker.base.errors import IngestError
from camfleet_worker.media_types.delivery_log import DeliveryLog
from camfleet_worker.media_types.sink_state import (
    STARTING,
    WORKING,
    SinkCounters,
    SinkPhase,
    SinkState,
    Units,
)
from camfleet_worker.record.segment_file import Content


class WriteProgress:
    """A WriteObserver. `wrote`, `lost` and `failed` run on the writer's thread, `handed_over` and
    `dropped` on the media loop's; the rest may be read by any thread."""

    def __init__(self, counters: SinkCounters, delivery_log: DeliveryLog) -> None:
        self.counters = counters
        self.delivery_log = delivery_log
        """The access units that are in files."""
        self.lock = threading.Lock()
        """The lock of the counters, which both threads write."""
        self.queued_bytes = 0
        """Bytes that were submitted and are neither in a file nor lost yet."""
        self.state = STARTING
        """The state; WORKING means that the last write reached the file."""

    def handed_over(self, size: int) -> None:
        """Count bytes that were submitted."""
        with self.lock:
            self.queued_bytes += size

    def dropped(self, access_units: int, audio_units: int = 0, gops: int = 0) -> None:
        """Count units that were not submitted and never will be."""
        counters = self.counters
        with self.lock:
            counters.dropped_access_units += access_units
            counters.dropped_audio_units += audio_units
            counters.dropped_gops += gops

    def wrote(self, size: int, content: Content) -> None:
        """Count the content that is in the file now."""
        units, counters = content.units, self.counters
        with self.lock:
            self.queued_bytes -= size
            counters.access_units += units.access_units
            counters.audio_units += units.audio_units
            counters.bytes += size
            self.state = WORKING
        if content.begins:
            self.delivery_log.broken()
        if units.access_units:
            self.delivery_log.seen(content.first_us)
            self.delivery_log.seen(content.last_us)
            self.delivery_log.key_frames.extend(content.key_frames_us)

    def lost(self, size: int, units: Units, error: IngestError | None) -> None:
        """Count units that will never be in a file, and keep the error."""
        counters = self.counters
        with self.lock:
            self.queued_bytes -= size
            counters.dropped_access_units += units.access_units
            counters.dropped_audio_units += units.audio_units
        if error is not None:
            self.failed(error)

    def failed(self, error: IngestError) -> None:
        """Note that no write reaches the disk for now."""
        self.state = SinkState(SinkPhase.FAILED, error)
        self.delivery_log.failed(Cause.DISK)
        self.delivery_log.broken()
