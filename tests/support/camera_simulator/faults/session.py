# SPDX-License-Identifier: Apache-2.0
"""RTSP sessions: transports, keepalive, limits, headers (quirks 28–33, 39)."""

from __future__ import annotations

from camera_simulator.faults.fault import Fault

FAULTS = (
    Fault(
        "rtsp-basic-only",
        "RTSP takes Basic and nothing else.",
        "both",
        {"rtsp_schemes": ("basic",)},
        quirk=8,
    ),
    Fault(
        "frozen",
        "The session stands, no packet comes.",
        "both",
        {"freeze": True},
        "AlexxIT/go2rtc#1847, bluenviron/mediamtx#196",
        quirk=39,
    ),
    Fault(
        "one-session",
        "A second RTSP session is answered 453 Not Enough Bandwidth.",
        "replay",
        {"max_sessions": 1},
        "roflcoopter/viseron#800, AlexxIT/go2rtc#75",
        quirk=28,
    ),
    Fault(
        "session-timeout-10s",
        "A session without keepalive ends after ten seconds.",
        "replay",
        {"session_timeout_s": 10},
        "scottlamb/retina 0.1.0, bluenviron/mediamtx#842",
        quirk=29,
    ),
    Fault(
        "udp-only",
        "SETUP over TCP is answered 461 Unsupported Transport.",
        "replay",
        {"transports": ("UDP",)},
        "bluenviron/mediamtx#173",
        quirk=32,
    ),
)
