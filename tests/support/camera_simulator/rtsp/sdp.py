# SPDX-License-Identifier: Apache-2.0
"""The SDP that DESCRIBE answers for a clip (RFC 4566, RFC 6184 §8.2.1, RFC 7798 §7.1)."""

from __future__ import annotations

import base64
from collections.abc import Sequence

from camera_simulator.clips import CLOCK_HZ, Clip, nal_type
from camera_simulator.rtsp.packets import PAYLOAD_TYPE

TRACK = "track1"


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
        "a=control:*",
        "a=range:npt=now-",
        f"m=video 0 RTP/AVP {PAYLOAD_TYPE}",
        f"b=AS:{clip.bitrate_kbps}",
        f"a=rtpmap:{PAYLOAD_TYPE} {encoding}/{CLOCK_HZ}",
        *([f"a=fmtp:{PAYLOAD_TYPE} {format_parameters}"] if format_parameters else []),
        f"a=framerate:{clip.fps}",
        *_control(dialect, base),
    ]
    if "bare-sdp" in dialect:
        lines = [line for line in lines if line[0] in "ma" and line != "a=control:*"]
    lines += audio
    if "audio" in media and not audio:
        lines += ["m=audio 0 RTP/AVP 8", "a=rtpmap:8 PCMA/8000", "a=control:track2"]
    if media == "audio-only":
        lines = [*lines[:6], *lines[-3:]]
    end = "\n" if "lf-only" in dialect else "\r\n"
    return end.join(lines) + end


def _control(dialect: tuple[str, ...], base: str) -> list[str]:
    if "no-control" in dialect:
        return []
    if "star-control" in dialect:
        return ["a=control:*"]
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
