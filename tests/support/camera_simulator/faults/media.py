# SPDX-License-Identifier: Apache-2.0
"""RTP payloads, parameter sets, timestamps and sender reports (quirks 34–39, 48)."""

from __future__ import annotations

from camera_simulator.faults.fault import Fault

FAULTS = (
    Fault(
        "p-frames-only",
        "Pictures arrive but never a key frame.",
        "replay",
        {"media": "p-frames-only"},
        "AlexxIT/go2rtc#20",
        quirk=39,
    ),
    Fault(
        "no-sender-reports",
        "RTCP never comes.",
        "replay",
        {"sender_reports": False},
        "scottlamb/moonfire-nvr design/time.md",
        quirk=37,
    ),
    Fault(
        "sdp-without-parameter-sets",
        "The SDP has no sprop parameters; SPS and PPS come in band.",
        "replay",
        {"sdp_parameter_sets": False},
        "scottlamb/retina 0.3.5",
        quirk=34,
    ),
    Fault(
        "b-frames",
        "Pictures come in decoding order, and their timestamps step back.",
        "replay",
        {"resolution": "240p", "b_frames": "declared"},
        "blakeblackshear/frigate#7720",
        quirk=48,
    ),
    Fault(
        "b-frames-undeclared",
        "The same, and the SPS does not say how many pictures change places.",
        "replay",
        {"resolution": "240p", "codec": "h264", "b_frames": "undeclared"},
        "blakeblackshear/frigate#9661",
        quirk=48,
    ),
)
