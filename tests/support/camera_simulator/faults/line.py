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
    Fault(
        "stream-dies-every-few-minutes",
        "The firmware drops the RTSP connection some time after PLAY, and takes the next one.",
        "replay",
        {"stream_dies_after_s": 180.0},
        "scottlamb/moonfire-nvr#209",
        quirk=40,
    ),
    Fault(
        "restarted-in-1970",
        "Since its last restart the camera believes it is 1970; its identity is the same.",
        "both",
        {"clock_offset_s": -56 * 365.25 * 86_400.0},
        "home-assistant/core#37711",
        quirk=40,
    ),
    Fault(
        "site-without-line",
        "One of many: a whole site falls at one moment and returns at another.",
        "both",
        {"power": False},
        "Mi-Bee-Studio/MiBeeNvr#711",
        quirk=41,
    ),
    Fault(
        "flaps",
        "It plays for half a second and drops the connection, for ever.",
        "replay",
        {"stream_dies_after_s": 0.5},
        "AlexxIT/go2rtc#675",
        quirk=42,
    ),
    Fault(
        "media-server-forgets",
        "The monitoring system restarts and knows no path any more: vms.RecordServer stops and "
        "starts. No camera has a part in it.",
        "vms",
        {},
        "bluenviron/mediamtx#1406",
        quirk=46,
    ),
    Fault(
        "taken-away",
        "The camera is dismantled while its neighbours stream.",
        "both",
        {"power": False},
        "bluenviron/mediamtx#4872",
        quirk=47,
    ),
)
