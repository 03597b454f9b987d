# SPDX-License-Identifier: Apache-2.0
"""Power, line and load: what happens to a camera from outside (quirks 38–42, 45–47)."""

from __future__ import annotations

from camera_simulator.faults.fault import Fault

FAULTS = (
    Fault(
        "powered-off",
        "No listener is open and open connections die.",
        "both",
        {"power": False},
        quirk=40,
    ),
)
