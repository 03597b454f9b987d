# SPDX-License-Identifier: Apache-2.0
"""The durations of one camera's connects, waits and checks, in seconds.

The fleet gives one set to all supervisors; tests shorten them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from camfleet_worker.base.backoff import Backoff


@dataclass(frozen=True)
class CameraTimings:
    """The product's values."""

    probe_s: float = 5.0
    """The deadline of a TCP connect that checks whether a port is open."""
    rtsp_s: float = 10.0
    """The deadline of an RTSP handshake, from the connect to the answer to PLAY."""
    secret_s: float = 5.0
    """How long the first read of a Secret may take before it counts as missing."""
    healthy_after_s: float = 60.0
    """How long a camera must stream before its backoff is reset."""
    outage_s: float = 30.0
    """After a longer outage ONVIF is asked: the device may be another, or its clock at 1970."""
    recheck_least_s: float = 180.0
    recheck_most_s: float = 600.0
    """The range of the wait before that, so that a returning site does not ask all at once."""
    slow_retry_s: float = 30 * 60.0
    slow_jitter_s: float = 120.0
    """The wait after a failure that only a person can correct, and the most that is added."""
    backoff: Callable[[], Backoff] = Backoff
    """Makes the backoff of one camera or one device."""
