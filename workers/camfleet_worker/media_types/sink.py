# SPDX-License-Identifier: Apache-2.0
"""The face that every sink shows to the media loop.

All methods are called on the media loop's thread and never block: a sink that must wait has a
thread or a non-blocking socket of its own and a bounded queue that drops whole GOPs and counts
them. One sink can slow neither the source nor another sink.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from camfleet_api.conditions import ConditionType
from camfleet_worker.media_types.access_unit import AccessUnit
from camfleet_worker.media_types.audio_unit import AudioUnit
from camfleet_worker.media_types.delivery_log import DeliveryLog
from camfleet_worker.media_types.sink_state import SinkCounters, SinkState


class Sink(Protocol):
    """A destination of one camera's access units."""

    name: str
    condition: ConditionType
    counters: SinkCounters

    @property
    def state(self) -> SinkState:
        """Safe to read from any thread."""
        ...

    def push(self, unit: AccessUnit) -> None:
        """Take one access unit, or drop it and count. Starts at a key frame."""
        ...

    def tick(self, now: float) -> None:
        """Called once a tick of the media loop with time.monotonic(): flush, reconnect, expire."""
        ...

    def close(self) -> None:
        """Close in an orderly way (TEARDOWN, last fragment, span end) without blocking."""
        ...


@runtime_checkable
class TrackedSink(Sink, Protocol):
    """A sink that shows what it has brought to its end. A watch on the picture brings nothing."""

    delivery_log: DeliveryLog


@runtime_checkable
class AudioSink(Sink, Protocol):
    """A sink that takes audio too. One without `push_audio` is never given any."""

    def push_audio(self, unit: AudioUnit) -> None:
        """Take one audio unit, or drop it and count. Of one tick it comes after the access units:
        `pts_90k` says where it belongs."""
        ...
