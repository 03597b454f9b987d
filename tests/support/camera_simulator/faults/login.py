# SPDX-License-Identifier: Apache-2.0
"""Clocks, logins, SOAP manners: what stands before the ONVIF services (quirks 1–11, 25–27)."""

from __future__ import annotations

from camera_simulator.faults.fault import Fault

_DAY_S = 86_400.0

FAULTS = (
    Fault(
        "clock-184-days-behind",
        "The camera believes it is half a year ago and refuses any Created outside its window.",
        "onvif",
        {"clock_offset_s": -184 * _DAY_S},
        "lumeohq/onvif-rs#121, agsh/onvif#249, home-assistant/core#121952",
        quirk=1,
    ),
    Fault(
        "clock-an-hour-ahead",
        "The camera's clock is one hour fast.",
        "onvif",
        {"clock_offset_s": 3600.0},
        "lumeohq/onvif-rs#79",
        quirk=1,
    ),
    Fault(
        "clock-window-5s",
        "A UsernameToken older or younger than five seconds is refused.",
        "onvif",
        {"wsse_window_s": 5.0},
        "lumeohq/onvif-rs#121",
        quirk=1,
    ),
    Fault(
        "date-needs-login",
        "GetSystemDateAndTime asks for credentials, against ONVIF Core's access policy.",
        "onvif",
        {"date_needs_login": True},
        "lumeohq/onvif-rs#65, agsh/onvif#65",
        quirk=2,
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
        quirk=9,
    ),
    Fault(
        "digest-only",
        "WS-UsernameToken is ignored; only HTTP Digest opens ONVIF.",
        "onvif",
        {"onvif_schemes": ("digest",)},
        "agsh/onvif#294, blakeblackshear/frigate#22623",
        quirk=6,
    ),
    Fault(
        "wsse-only",
        "HTTP Digest is not offered on ONVIF.",
        "onvif",
        {"onvif_schemes": ("wsse",)},
    ),
    Fault(
        "digest-sha-256",
        "Digest by SHA-256 alone.",
        "replay",
        {"digest_algorithms": ("SHA-256",)},
        "AlexxIT/go2rtc#2344, scottlamb/retina#25",
        quirk=8,
    ),
    Fault(
        "digest-sha-256-sess",
        "Digest by SHA-256-sess alone.",
        "replay",
        {"digest_algorithms": ("SHA-256-sess",)},
        "AlexxIT/go2rtc#2451",
        quirk=8,
    ),
    Fault(
        "digest-many",
        "Basic, MD5 and SHA-256 are offered in one header, the weakest first.",
        "replay",
        {
            "rtsp_schemes": ("basic", "digest"),
            "digest_algorithms": ("MD5", "SHA-256"),
            "challenges_in_one_header": True,
        },
        "onvif/specs#237",
        quirk=8,
    ),
    Fault(
        "digest-sha-256-broken",
        "SHA-256 is offered beside MD5 and never taken.",
        "replay",
        {"digest_algorithms": ("MD5", "SHA-256"), "digest_refused": ("SHA-256",)},
        "ZLMediaKit/ZLMediaKit#1702",
        quirk=8,
    ),
    Fault(
        "nonce-per-url",
        "Each URL has nonces of its own.",
        "replay",
        {"nonce_per_url": True},
        "IOTechSystems/onvif#41",
        quirk=7,
    ),
    Fault(
        "tells-attempts",
        "Refusals say how many attempts are left, and that the account is locked.",
        "replay",
        {"tells_attempts": True, "lockout_after": 5},
        "agsh/onvif#112, CamioCam/rtsp#34",
        quirk=9,
    ),
    Fault(
        "realm-not-ascii",
        "The realm of its challenges is the name somebody gave the camera, in UTF-8.",
        "replay",
        {"realm": "Cổng chính"},
        "RFC 7616 section 4",
        quirk=7,
    ),
    Fault(
        "odd-password",
        "Somebody set a password with everything in it that URLs, headers and shells stumble over.",
        "both",
        {"password": "p@ss #%^/?:;&=+\"'\\ mật khẩu"},
        "bluenviron/mediamtx#2069, AlexxIT/go2rtc#1032, kerberos-io/agent#74",
        quirk=11,
    ),
)
