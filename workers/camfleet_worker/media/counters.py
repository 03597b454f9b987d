# SPDX-License-Identifier: Apache-2.0
"""What has passed through a stream and through the loop; written by the loop, read by metrics.

Compiled by mypyc (workers/compile_media.py): no attribute may be added from outside, none may be of
another type than declared, and nothing may be set on the class by a test.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class StreamCounters:
    """One session of one camera. Whole numbers and floats only: reading needs no lock."""

    bytes: int = 0
    packets: int = 0
    lost_packets: int = 0
    late_packets: int = 0
    """Packets over UDP that came after their successors were passed on; they count as lost too."""
    foreign_datagrams: int = 0
    """Datagrams over UDP from another address than the camera's."""
    access_units: int = 0
    key_frames: int = 0
    damaged_access_units: int = 0
    skipped_access_units: int = 0
    """Whole access units that refer to lost ones: they are dropped until the next key frame."""
    refused_parameter_sets: int = 0
    """Parameter sets that made no sense, or were too many."""
    audio_packets: int = 0
    lost_audio_packets: int = 0
    audio_units: int = 0
    damaged_audio_units: int = 0
    """Units with a hole, and packets that made no sense."""
    garbage_bytes: int = 0
    """Octets between packets that belonged to nothing."""
    keepalives: int = 0
    capped_ticks: int = 0
    """Ticks that left octets in the socket because the camera had used up its share."""
    last_access_unit_monotonic: float = 0.0
    stamped_by_arrival: int = 0
    """Access units whose own timestamps do not rise."""
    camera_clock_offset_s: float | None = None
    """The camera's wall clock minus ours, by its last sender report; None before one."""
    drift_ppm: float | None = None
    """How much faster than ours its RTP clock runs; None while that is not known."""
    drift_s: float = 0.0
    """How late the earliest access unit of late arrived, against the camera's own clock."""


@dataclass(slots=True)
class LoopCounters:
    """The loop as a whole."""

    ticks: int = 0
    busy_s: float = 0.0
    """Time spent working, not waiting."""
    lag_s: float = 0.0
    """How much later than due the last tick began."""
    worst_lag_s: float = 0.0
    stream_faults: int = 0
    """Exceptions of ours while reading a stream: bugs."""
    sink_faults: int = 0
    """Exceptions of a sink: bugs."""
    listener_faults: int = 0
    """Exceptions of a listener: bugs."""
    wall_clock_steps: int = 0
    """Steps of our own clock."""
    loop_faults: int = 0
    """Exceptions in a command to the loop: bugs."""
