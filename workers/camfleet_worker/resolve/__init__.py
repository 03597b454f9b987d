# SPDX-License-Identifier: Apache-2.0
"""What a camera's answers mean: which stream to take, what its clock says, why it refuses.

Pure: the onvif package asks, this package decides, the supervisor uses the result. Nothing here
opens a socket, reads a clock or parses SOAP.
"""

from camfleet_worker.resolve.addresses import revealed
from camfleet_worker.resolve.attempts import AttemptGate, AuthScheme
from camfleet_worker.resolve.clock import TOLERATED_OFFSET_S, ClockTrouble, clock_trouble
from camfleet_worker.resolve.freshness import needs_resolve
from camfleet_worker.resolve.request import ResolveRequest
from camfleet_worker.resolve.resolution import Resolution

__all__ = [
    "TOLERATED_OFFSET_S",
    "AttemptGate",
    "AuthScheme",
    "ClockTrouble",
    "Resolution",
    "ResolveRequest",
    "clock_trouble",
    "needs_resolve",
    "revealed",
]
