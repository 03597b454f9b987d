# SPDX-License-Identifier: Apache-2.0
"""Everything that can be wrong with a camera, as data: one registry, read by tests and by the
control door.

A fault is a name, one sentence, the field evidence (issue threads, as repository#number) and the
settings it changes. A new fault is a new row here, plus at most a new field in settings.py and the
few lines in the one server that reads it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from camera_simulator.settings import CameraSettings, SettingsInvalid, checked_fields

PlayedBy = Literal["both", "replay", "onvif"]
"""Which part shows it: the ONVIF device (before either RTSP server), the replay server, or both
servers."""


@dataclass(frozen=True)
class Fault:
    name: str
    sentence: str
    played_by: PlayedBy
    changes: Mapping[str, Any]
    evidence: str = ""


_DAY_S = 86_400.0

FAULTS: dict[str, Fault] = {
    fault.name: fault
    for fault in (
        Fault(
            "powered-off", "No listener is open and open connections die.", "both", {"power": False}
        ),
        Fault(
            "clock-184-days-behind",
            "The camera believes it is half a year ago and refuses any Created outside its window.",
            "onvif",
            {"clock_offset_s": -184 * _DAY_S},
            "lumeohq/onvif-rs#121, agsh/onvif#249, home-assistant/core#121952",
        ),
        Fault(
            "clock-an-hour-ahead",
            "The camera's clock is one hour fast.",
            "onvif",
            {"clock_offset_s": 3600.0},
            "lumeohq/onvif-rs#79",
        ),
        Fault(
            "clock-window-5s",
            "A UsernameToken older or younger than five seconds is refused.",
            "onvif",
            {"wsse_window_s": 5.0},
            "lumeohq/onvif-rs#121",
        ),
        Fault(
            "date-needs-login",
            "GetSystemDateAndTime asks for credentials, against ONVIF Core's access policy.",
            "onvif",
            {"date_needs_login": True},
            "lumeohq/onvif-rs#65, agsh/onvif#65",
        ),
        Fault(
            "password-changed",
            "Somebody changed the password at the camera; what we were given no longer opens it.",
            "both",
            {"password": "changed-at-the-camera"},
            "home-assistant/core#147404",
        ),
        Fault(
            "locks-after-5",
            "Five refused logins lock the account for half an hour, on ONVIF and RTSP together.",
            "replay",
            {"lockout_after": 5, "lockout_s": 1800.0},
            "agsh/onvif#112, CamioCam/rtsp#34",
        ),
        Fault(
            "digest-only",
            "WS-UsernameToken is ignored; only HTTP Digest opens ONVIF.",
            "onvif",
            {"onvif_schemes": ("digest",)},
            "agsh/onvif#294, blakeblackshear/frigate#22623",
        ),
        Fault(
            "wsse-only",
            "HTTP Digest is not offered on ONVIF.",
            "onvif",
            {"onvif_schemes": ("wsse",)},
        ),
        Fault(
            "rtsp-basic-only",
            "RTSP takes Basic and nothing else.",
            "both",
            {"rtsp_schemes": ("basic",)},
        ),
        Fault(
            "onvif-closed",
            "The ONVIF port refuses connections while RTSP plays: ONVIF is switched off.",
            "onvif",
            {"web": "closed"},
            "agsh/onvif#112",
        ),
        Fault(
            "web-page-not-onvif",
            "The web port serves an HTML page for everything: a camera that speaks no ONVIF.",
            "onvif",
            {"web": "page"},
        ),
        Fault(
            "web-not-found",
            "The web port answers 404 to the ONVIF paths.",
            "onvif",
            {"web": "not-found"},
        ),
        Fault(
            "xaddr-lan-address",
            "Service addresses and stream URIs carry an address of the camera's own LAN.",
            "onvif",
            {"advertised_host": "192.168.1.88"},
            "home-assistant/core#92308, agsh/onvif#41",
        ),
        Fault(
            "h265-called-h264",
            "Media1 calls the H.265 stream H.264; the SDP tells the truth.",
            "onvif",
            {"media1_h265": "called-h264"},
            "agsh/onvif#187",
        ),
        Fault(
            "h265-hidden",
            "Media1 shows no encoder for the H.265 profile; Profile T shows it in Media2.",
            "onvif",
            {"media1_h265": "hidden"},
            "agsh/onvif#187",
        ),
        Fault(
            "frozen",
            "The session stands, no packet comes.",
            "both",
            {"freeze": True},
            "AlexxIT/go2rtc#1847, bluenviron/mediamtx#196",
        ),
        Fault(
            "p-frames-only",
            "Pictures arrive but never a key frame.",
            "replay",
            {"media": "p-frames-only"},
            "AlexxIT/go2rtc#20",
        ),
        Fault(
            "one-session",
            "A second RTSP session is answered 453 Not Enough Bandwidth.",
            "replay",
            {"max_sessions": 1},
            "roflcoopter/viseron#800, AlexxIT/go2rtc#75",
        ),
        Fault(
            "session-timeout-10s",
            "A session without keepalive ends after ten seconds.",
            "replay",
            {"session_timeout_s": 10},
            "scottlamb/retina 0.1.0, bluenviron/mediamtx#842",
        ),
        Fault(
            "udp-only",
            "SETUP over TCP is answered 461 Unsupported Transport.",
            "replay",
            {"transports": ("UDP",)},
            "bluenviron/mediamtx#173",
        ),
        Fault(
            "no-sender-reports",
            "RTCP never comes.",
            "replay",
            {"sender_reports": False},
            "scottlamb/moonfire-nvr design/time.md",
        ),
        Fault(
            "sdp-without-parameter-sets",
            "The SDP has no sprop parameters; SPS and PPS come in band.",
            "replay",
            {"sdp_parameter_sets": False},
            "scottlamb/retina 0.3.5",
        ),
    )
}


def with_faults(settings: CameraSettings) -> CameraSettings:
    """The camera as installed, with its faults applied in the order given."""
    changes: dict[str, Any] = {}
    for name in settings.faults:
        changes |= known_fault(name).changes
    return dataclasses.replace(settings, **checked_fields(changes))


def known_fault(name: str) -> Fault:
    fault = FAULTS.get(name)
    if fault is None:
        raise SettingsInvalid(f"unknown fault {name!r}; there are {', '.join(sorted(FAULTS))}")
    return fault


def refuse_unplayable(settings: CameraSettings) -> None:
    """SettingsInvalid when a fault asks for something that this camera's RTSP server cannot do."""
    if settings.server == "gstreamer":
        wrong = [name for name in settings.faults if known_fault(name).played_by == "replay"]
        if wrong:
            raise SettingsInvalid(f"{', '.join(wrong)}: only the replay server plays this")
