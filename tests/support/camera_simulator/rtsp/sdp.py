# SPDX-License-Identifier: Apache-2.0
"""The SDP that DESCRIBE answers for a clip (RFC 4566, RFC 6184 §8.2.1, RFC 7798 §7.1)."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from urllib.parse import urlsplit

from camera_simulator.clips import CLOCK_HZ, Clip, nal_type
from camera_simulator.rtsp.packets import PAYLOAD_TYPE

TRACK = "track1"
MOVED = "/moved"
"""Under here a camera that redirects has its streams, and one whose session control says so."""


def describe(
    clip: Clip,
    host: str,
    with_parameter_sets: bool,
    dialect: tuple[str, ...] = (),
    media: str = "whole",
    base: str = "",
    audio: Sequence[str] = (),
) -> str:
    """One video track, its control URL relative to Content-Base; audio where `media` has it."""
    encoding = "H264" if clip.codec == "h264" else "H265"
    format_parameters = _format_parameters(clip, with_parameter_sets)
    lines = [
        "v=0",
        f"o=- 1 1 IN IP4 {host}",
        "s=Media Presentation",
        "c=IN IP4 0.0.0.0",
        "t=0 0",
        *_session_control(dialect, base),
        "a=range:npt=now-",
        f"m=video 0 RTP/AVP {'35 ' if 'several-payload-types' in dialect else ''}{PAYLOAD_TYPE}",
        f"b=AS:{clip.bitrate_kbps}",
        f"a=rtpmap:{PAYLOAD_TYPE} {encoding}/{CLOCK_HZ}",
        *([f"a=fmtp:{PAYLOAD_TYPE} {format_parameters}"] if format_parameters else []),
        f"a=framerate:{clip.fps}",
        *_control(dialect, base),
    ]
    if "bare-sdp" in dialect:
        lines = [line for line in lines if line[0] in "ma" and line != "a=control:*"]
    if "several-payload-types" in dialect:
        lines += ["a=rtpmap:35 X-VENDOR/90000", "a=fmtp:35 packetization-mode=0"]
    if "unreadable-medium" in dialect:
        # As TP-Link's cameras have it: no number where the payload type should be.
        lines += ["m=application/TP-LINK 0 RTP/AVP smart/1/90000", "a=rtpmap:95 TP-LINK/90000"]
        lines += ["a=control:track3", "a=sendonly"]
    lines += audio
    if "audio" in media and not audio:
        lines += ["m=audio 0 RTP/AVP 8", "a=rtpmap:8 PCMA/8000", "a=control:track2"]
    if media == "audio-only":
        lines = [*lines[:6], *lines[-3:]]
    end = "\n" if "lf-only" in dialect else "\r\n"
    return end.join(lines) + end


def is_of_medium(target: str, dialect: tuple[str, ...]) -> bool:
    """Whether SETUP for this URL follows the description."""
    url = urlsplit(target)
    if "query-control" in dialect:
        return url.query == "ctype=video" and not url.path.endswith("/")
    return "session-control-base" not in dialect or url.path.startswith(MOVED)


def _session_control(dialect: tuple[str, ...], base: str) -> list[str]:
    if "unreadable-medium" in dialect:
        return []
    if "session-control-base" in dialect:
        path = base.partition("://")[2].partition("/")[2]
        return [f"a=control:rtsp://192.168.1.88:554{MOVED}/{path}"]
    return ["a=control:*"]


def _control(dialect: tuple[str, ...], base: str) -> list[str]:
    if "no-control" in dialect:
        return []
    if "star-control" in dialect:
        return ["a=control:*"]
    if "query-control" in dialect:
        return ["a=control:?ctype=video"]
    if "inner-control" in dialect:
        path = base.partition("://")[2].partition("/")[2]
        return [f"a=control:rtsp://192.168.1.88:554/{path}{TRACK}"]
    return [f"a=control:{TRACK}"]


def _format_parameters(clip: Clip, with_parameter_sets: bool) -> str:
    sets = {nal_type(u, clip.codec): base64.b64encode(u).decode() for u in clip.parameter_sets}
    if clip.codec == "h265":
        named = [("sprop-vps", 32), ("sprop-sps", 33), ("sprop-pps", 34)]
        return ";".join(f"{key}={sets[kind]}" for key, kind in named) if with_parameter_sets else ""
    parts = ["packetization-mode=1"]
    if with_parameter_sets:
        sps = next(u for u in clip.parameter_sets if nal_type(u, "h264") == 7)
        parts.append(f"profile-level-id={sps[1:4].hex().upper()}")
        parts.append(f"sprop-parameter-sets={sets[7]},{sets[8]}")
    return ";".join(parts)
