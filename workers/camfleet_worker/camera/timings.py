# SPDX-License-Identifier: Apache-2.0
"""How long things of one camera's life may take or must last, in seconds.

The fleet hands one set to all supervisors; tests shorten them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from camfleet_worker.base.backoff import Backoff


@dataclass(frozen=True)
class CameraTimings:
    """The product's values."""

    probe_s: float = 5.0
    """For one TCP connect that finds out whether a port is open."""
    rtsp_s: float = 10.0
    """For an RTSP handshake, from the connect to the answer to PLAY."""
    secret_s: float = 5.0
    """How long the first read of a Secret may take before it counts as missing."""
    healthy_after_s: float = 60.0
    """A camera that plays for two seconds and dies keeps its long backoff."""
    outage_s: float = 30.0
    """After a longer outage it may be another device, or one whose clock begins in 1970."""
    recheck_least_s: float = 180.0
    recheck_most_s: float = 600.0
    """When ONVIF is asked about that: far from the storm of a site that returns."""
    slow_retry_s: float = 30 * 60.0
    slow_jitter_s: float = 120.0
    """The wait after a failure that only a person can mend, and what may be added to it."""
    backoff: Callable[[], Backoff] = Backoff
    """The waits of one camera, or one device, that is tried again and again."""
