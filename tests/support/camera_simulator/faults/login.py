# SPDX-License-Identifier: Apache-2.0
"""Clocks, logins, SOAP manners: what stands before the ONVIF services (quirks 1–11, 25–27, 49,
53, 59)."""

from __future__ import annotations

from camera_simulator.challenge_forms import FORMS
from camera_simulator.faults.fault import Fault

_DAY_S = 86_400.0
_FORMS_SEEN = {
    "several-in-one": "httpwg/http-core#136",
    "qop-list": "devfans/digest-fetch#4",
    "without-quotes": "tafax/angular-digest-auth#21",
    "quoted-commas": "tafax/angular-digest-auth#21",
}

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
        "date-missing",
        "GetSystemDateAndTime is not implemented.",
        "onvif",
        {"clock_told": "not-implemented"},
        "lumeohq/onvif-rs#65",
        quirk=2,
    ),
    Fault(
        "date-empty",
        "GetSystemDateAndTime has an empty UTCDateTime.",
        "onvif",
        {"clock_told": "empty"},
        "agsh/onvif#65",
        quirk=2,
    ),
    Fault(
        "date-local-alone",
        "GetSystemDateAndTime has a LocalDateTime and no UTCDateTime.",
        "onvif",
        {"clock_told": "local-alone"},
        "agsh/onvif#65",
        quirk=2,
    ),
    Fault(
        "date-carries-local-time",
        "UTCDateTime carries local time, seven hours ahead of the clock that judges logins.",
        "onvif",
        {"clock_told": "local-as-utc"},
        "OpenIPC/majestic-webui#292",
        quirk=3,
    ),
    Fault(
        "clock-steps-between-calls",
        "The clock jumps by an hour after the second login, as when a time server answers.",
        "onvif",
        {"clock_step_s": 3600.0, "clock_steps_after": 2},
        "NVIDIA video-search-and-summarization#1273",
        quirk=4,
    ),
    Fault(
        "refuses-replays",
        "A nonce seen before, or a Created older than the last or than five seconds, is refused.",
        "onvif",
        {"onvif_schemes": ("wsse",), "wsse_window_s": 5.0, "refuses_old_created": True},
        "milg0/onvif-java-lib#2, edgexfoundry device-onvif-camera#195",
        quirk=5,
    ),
    Fault(
        "digest-for-media-alone",
        "The device service takes WS-UsernameToken alone, the media service HTTP Digest alone.",
        "onvif",
        {"onvif_schemes": ("wsse",), "media_schemes": ("digest",)},
        "lumeohq/onvif-rs#38, agsh/onvif#294",
        quirk=6,
    ),
    Fault(
        "password-changed",
        "Somebody changed the password at the camera; what we were given no longer opens it.",
        "both",
        {"password": "changed-at-the-camera"},
        "home-assistant/core#147404",
    ),
    Fault(
        "onvif-without-login",
        "ONVIF answers everybody; RTSP requires the login.",
        "onvif",
        {"onvif_schemes": ()},
        "observed at an ONVIF implementation of another maker beside a protected RTSP server",
        quirk=49,
    ),
    *(
        Fault(f"soap-{text}", sentence, "onvif", {"soap_text": text}, evidence, quirk=53)
        for text, sentence, evidence in (
            ("bare-ampersand", "Stream addresses have & where &amp; belongs.", "ZoneMinder#3767"),
            ("other-encoding", "Names are in GBK in a document in UTF-8.", "home-assistant#89620"),
            ("undeclared-prefix", "Elements have a prefix that is declared nowhere.", "Reolink"),
            (
                "control-character",
                "Names hold characters that XML has not.",
                "python-onvif#48",
            ),
        )
    ),
    *(
        Fault(
            f"challenge-{name}",
            f"Challenges, over HTTP and RTSP: {form.sentence}",
            "replay",
            {"challenge_form": name, "onvif_schemes": ("digest",)},
            _FORMS_SEEN.get(name, ""),
            quirk=59,
        )
        for name, form in FORMS.items()
    ),
    *(
        Fault(f"soap-{name}", sentence, "onvif", {"soap_version": f"1.1-{how}"}, evidence, quirk=56)
        for name, how, sentence, evidence in (
            ("1.1-by-415", "415", "It reads SOAP 1.1 alone and answers 1.2 by 415.", "rpos#6"),
            ("1.1-by-400", "400", "It reads SOAP 1.1 alone and answers 1.2 by 400.", "rpos#6"),
            ("1.1-by-500", "500", "It reads SOAP 1.1 alone and answers 1.2 by 500.", "rpos#6"),
            (
                "1.1-by-fault",
                "fault",
                "It reads SOAP 1.1 alone and answers 1.2 by VersionMismatch.",
                "rpos#6",
            ),
            (
                "1.1-answers",
                "answers",
                "It answers in SOAP 1.1 and says application/soap+xml.",
                "OpenIPC/viewer#65",
            ),
        )
    ),
    *(
        Fault(f"soap-{shape}", sentence, "onvif", {"soap_shape": shape} | more, evidence, quirk=56)
        for shape, sentence, more, evidence in (
            (
                "uri-without-wrapper",
                "The Uri is straight in GetStreamUriResponse.",
                {},
                "OpenIPC/viewer#65",
            ),
            ("wrapped-uri", "Media2 has its Uri in a MediaUri.", {"media2": "whole"}, ""),
            ("service-namespace", "All elements are in the namespace of their service.", {}, ""),
        )
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
