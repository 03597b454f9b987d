# SPDX-License-Identifier: Apache-2.0
"""Addresses, services, profiles, identity as a device tells them (quirks 12–24, 43, 44)."""

from __future__ import annotations

from camera_simulator.faults.fault import Fault

FAULTS = (
    Fault(
        "onvif-closed",
        "The ONVIF port refuses connections while RTSP plays: ONVIF is switched off.",
        "onvif",
        {"web": "closed"},
        "agsh/onvif#112",
        quirk=10,
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
        quirk=15,
    ),
    Fault(
        "xaddr-lan-address",
        "Service addresses and stream URIs carry an address of the camera's own LAN.",
        "onvif",
        {"advertised_host": "192.168.1.88"},
        "home-assistant/core#92308, agsh/onvif#41",
        quirk=12,
    ),
    Fault(
        "h265-called-h264",
        "Media1 calls the H.265 stream H.264; the SDP tells the truth.",
        "onvif",
        {"media1_h265": "called-h264"},
        "agsh/onvif#187",
        quirk=16,
    ),
    Fault(
        "h265-hidden",
        "Media1 shows no encoder for the H.265 profile; Profile T shows it in Media2.",
        "onvif",
        {"media1_h265": "hidden"},
        "agsh/onvif#187",
        quirk=16,
    ),
    Fault(
        "rtsps-only",
        "The RTSP port speaks TLS, with a certificate that is self-signed and expired.",
        "replay",
        {"rtsp_tls": True},
        "AlexxIT/go2rtc#15",
        quirk=14,
    ),
    Fault(
        "rtsps-another-certificate",
        "The RTSP port speaks TLS, with another certificate than at first.",
        "replay",
        {"rtsp_tls": True, "rtsp_certificate": 2},
        quirk=14,
    ),
)
