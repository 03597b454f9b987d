# SPDX-License-Identifier: Apache-2.0
"""The Media2 service (ONVIF Media2 Service Specification): profiles, sources, stream URIs.

Called by device.py after authentication. Its encodings are those of SDP, so H.265 has a name here.
"""

from __future__ import annotations

from collections.abc import Callable
from xml.sax.saxutils import escape, quoteattr

from camera_simulator.onvif import soap
from camera_simulator.onvif.place import Place
from camera_simulator.onvif.profiles import (
    Profile,
    asked,
    source_configuration_token,
    source_token,
)
from camera_simulator.settings import CameraSettings


def answer(
    call: soap.Call, settings: CameraSettings, place: Place, known: list[Profile]
) -> str | None:
    """The response element of one operation; None when this camera does not know it."""
    if settings.media2 == "faults":
        return None
    operation = _OPERATIONS.get(call.operation)
    return operation(call, settings, place, known) if operation else None


def _get_profiles(
    call: soap.Call, settings: CameraSettings, place: Place, known: list[Profile]
) -> str:
    listed = "" if settings.media2 == "empty" else "".join(_profile(p, settings) for p in known)
    return f"<tr2:GetProfilesResponse>{listed}</tr2:GetProfilesResponse>"


def _get_video_source_configurations(
    call: soap.Call, settings: CameraSettings, place: Place, known: list[Profile]
) -> str:
    listed = "".join(
        _source("tr2:Configurations", channel, settings)
        for channel in range(1, settings.channels + 1)
    )
    return (
        f"<tr2:GetVideoSourceConfigurationsResponse>{listed}"
        "</tr2:GetVideoSourceConfigurationsResponse>"
    )


def _get_stream_uri(
    call: soap.Call, settings: CameraSettings, place: Place, known: list[Profile]
) -> str:
    uri = escape(place.stream_uri(asked(call.text("ProfileToken"), known).path))
    return f"<tr2:GetStreamUriResponse><tr2:Uri>{uri}</tr2:Uri></tr2:GetStreamUriResponse>"


def _get_snapshot_uri(
    call: soap.Call, settings: CameraSettings, place: Place, known: list[Profile]
) -> str:
    uri = escape(place.snapshot_uri)
    return f"<tr2:GetSnapshotUriResponse><tr2:Uri>{uri}</tr2:Uri></tr2:GetSnapshotUriResponse>"


_OPERATIONS: dict[str, Callable[[soap.Call, CameraSettings, Place, list[Profile]], str]] = {
    "GetProfiles": _get_profiles,
    "GetVideoSourceConfigurations": _get_video_source_configurations,
    "GetStreamUri": _get_stream_uri,
    "GetSnapshotUri": _get_snapshot_uri,
}


def _profile(profile: Profile, settings: CameraSettings) -> str:
    clip = profile.clip
    return (
        f'<tr2:Profiles token={quoteattr(profile.token)} fixed="true">'
        f"<tr2:Name>{profile.stream}</tr2:Name><tr2:Configurations>"
        f"{_source('tr2:VideoSource', profile.channel, settings)}"
        f'<tr2:VideoEncoder token="{profile.encoder}" '
        f'GovLength="{clip.gop}" Profile="Main"><tt:Name>{profile.stream}</tt:Name>'
        f"<tt:UseCount>1</tt:UseCount><tt:Encoding>{clip.codec.upper()}</tt:Encoding>"
        f"<tt:Resolution><tt:Width>{clip.width}</tt:Width><tt:Height>{clip.height}</tt:Height>"
        f'</tt:Resolution><tt:RateControl ConstantBitRate="false">'
        f"<tt:FrameRateLimit>{clip.fps:.1f}</tt:FrameRateLimit>"
        f"<tt:BitrateLimit>{clip.bitrate_kbps}</tt:BitrateLimit></tt:RateControl>"
        "<tt:Quality>5</tt:Quality></tr2:VideoEncoder></tr2:Configurations></tr2:Profiles>"
    )


def _source(element: str, channel: int, settings: CameraSettings) -> str:
    return (
        f"<{element} token={quoteattr(source_configuration_token(settings, channel))}>"
        "<tt:Name>source</tt:Name><tt:UseCount>2</tt:UseCount>"
        f"<tt:SourceToken>{escape(source_token(settings, channel))}</tt:SourceToken>"
        f'<tt:Bounds x="0" y="0" width="640" height="360"/></{element}>'
    )
