# SPDX-License-Identifier: Apache-2.0
"""The media service, version 1 (ONVIF Media Service Specification): profiles, sources, stream URIs.

Answers are built from the camera's streams; called by device.py after authentication. Media1's
schema knows JPEG, MPEG4 and H264 only: what a camera with H.265 does about that differs, hence
`media1_h265`.
"""

from __future__ import annotations

from collections.abc import Callable
from xml.sax.saxutils import escape, quoteattr

from camera_simulator.clips import Clip
from camera_simulator.onvif import soap
from camera_simulator.onvif.place import Place
from camera_simulator.onvif.profiles import (
    Profile,
    asked,
    source_configuration_token,
    sources,
)
from camera_simulator.settings import CameraSettings


def answer(
    call: soap.Call, settings: CameraSettings, place: Place, known: list[Profile]
) -> str | None:
    """The response element of one media operation; None when this camera does not know it."""
    if call.operation == "GetVideoSources" and not settings.lists_sources:
        return None
    operation = _OPERATIONS.get(call.operation)
    return operation(call, settings, place, known) if operation else None


def _get_profiles(
    call: soap.Call, settings: CameraSettings, place: Place, known: list[Profile]
) -> str:
    listed = "".join(_profile("trt:Profiles", profile, settings, len(known)) for profile in known)
    return f"<trt:GetProfilesResponse>{listed}</trt:GetProfilesResponse>"


def _get_profile(
    call: soap.Call, settings: CameraSettings, place: Place, known: list[Profile]
) -> str:
    profile = asked(call.text("ProfileToken"), known)
    inner = _profile("trt:Profile", profile, settings, len(known))
    return f"<trt:GetProfileResponse>{inner}</trt:GetProfileResponse>"


def _get_video_sources(
    call: soap.Call, settings: CameraSettings, place: Place, known: list[Profile]
) -> str:
    clip = known[0].clip
    listed = "".join(
        f"<trt:VideoSources token={quoteattr(token)}>"
        f"<tt:Framerate>{clip.fps}</tt:Framerate>{_resolution(clip)}</trt:VideoSources>"
        for token in sources(settings, known)
    )
    return f"<trt:GetVideoSourcesResponse>{listed}</trt:GetVideoSourcesResponse>"


def _get_stream_uri(
    call: soap.Call, settings: CameraSettings, place: Place, known: list[Profile]
) -> str:
    return _uri_response(
        "GetStreamUri", place.stream_uri(asked(call.text("ProfileToken"), known).path)
    )


def _get_snapshot_uri(
    call: soap.Call, settings: CameraSettings, place: Place, known: list[Profile]
) -> str:
    asked(call.text("ProfileToken"), known)
    return _uri_response("GetSnapshotUri", place.snapshot_uri)


def _get_video_encoder_configurations(
    call: soap.Call, settings: CameraSettings, place: Place, known: list[Profile]
) -> str:
    listed = "".join(_encoder("trt:Configurations", profile, settings) for profile in known)
    return (
        f"<trt:GetVideoEncoderConfigurationsResponse>{listed}"
        "</trt:GetVideoEncoderConfigurationsResponse>"
    )


def _get_service_capabilities(
    call: soap.Call, settings: CameraSettings, place: Place, known: list[Profile]
) -> str:
    return (
        '<trt:GetServiceCapabilitiesResponse><trt:Capabilities SnapshotUri="true" Rotation="false">'
        f'<trt:ProfileCapabilities MaximumNumberOfProfiles="{len(known)}"/>'
        '<trt:StreamingCapabilities RTPMulticast="false" RTP_TCP="true" RTP_RTSP_TCP="true"/>'
        "</trt:Capabilities></trt:GetServiceCapabilitiesResponse>"
    )


_OPERATIONS: dict[str, Callable[[soap.Call, CameraSettings, Place, list[Profile]], str]] = {
    "GetProfiles": _get_profiles,
    "GetProfile": _get_profile,
    "GetVideoSources": _get_video_sources,
    "GetStreamUri": _get_stream_uri,
    "GetSnapshotUri": _get_snapshot_uri,
    "GetVideoEncoderConfigurations": _get_video_encoder_configurations,
    "GetServiceCapabilities": _get_service_capabilities,
}


def _profile(element: str, profile: Profile, settings: CameraSettings, uses: int) -> str:
    clip = profile.clip
    return (
        f'<{element} token={quoteattr(profile.token)} fixed="true">'
        f"<tt:Name>{profile.stream}</tt:Name><tt:VideoSourceConfiguration token="
        f"{quoteattr(source_configuration_token(settings, profile.channel))}>"
        f"<tt:Name>source</tt:Name><tt:UseCount>{uses}</tt:UseCount>"
        f"<tt:SourceToken>{escape(profile.source)}</tt:SourceToken>"
        f'<tt:Bounds x="0" y="0" width="{clip.width}" height="{clip.height}"/>'
        "</tt:VideoSourceConfiguration>"
        f"{_encoder('tt:VideoEncoderConfiguration', profile, settings)}</{element}>"
    )


def _encoder(element: str, profile: Profile, settings: CameraSettings) -> str:
    clip = profile.clip
    if clip.codec == "h265" and settings.media1_h265 == "hidden":
        return ""
    encoding = "H265" if clip.codec == "h265" and settings.media1_h265 == "named" else "H264"
    h264 = (
        f"<tt:H264><tt:GovLength>{clip.gop}</tt:GovLength><tt:H264Profile>Main</tt:H264Profile></tt:H264>"
        if encoding == "H264"
        else ""
    )
    return (
        f'<{element} token="{profile.encoder}">'
        f"<tt:Name>{profile.stream}</tt:Name>"
        "<tt:UseCount>1</tt:UseCount>"
        f"<tt:Encoding>{encoding}</tt:Encoding>{_resolution(clip)}<tt:Quality>5</tt:Quality>"
        f"<tt:RateControl><tt:FrameRateLimit>{clip.fps}</tt:FrameRateLimit>"
        "<tt:EncodingInterval>1</tt:EncodingInterval>"
        f"<tt:BitrateLimit>{clip.bitrate_kbps}</tt:BitrateLimit></tt:RateControl>{h264}"
        "<tt:Multicast><tt:Address><tt:Type>IPv4</tt:Type><tt:IPv4Address>0.0.0.0</tt:IPv4Address></tt:Address>"
        "<tt:Port>0</tt:Port><tt:TTL>0</tt:TTL><tt:AutoStart>false</tt:AutoStart></tt:Multicast>"
        f"<tt:SessionTimeout>PT{settings.session_timeout_s}S</tt:SessionTimeout></{element}>"
    )


def _resolution(clip: Clip) -> str:
    size = f"<tt:Width>{clip.width}</tt:Width><tt:Height>{clip.height}</tt:Height>"
    return f"<tt:Resolution>{size}</tt:Resolution>"


def _uri_response(operation: str, uri: str) -> str:
    return (
        f"<trt:{operation}Response><trt:MediaUri><tt:Uri>{escape(uri)}</tt:Uri>"
        "<tt:InvalidAfterConnect>false</tt:InvalidAfterConnect><tt:InvalidAfterReboot>false</tt:InvalidAfterReboot>"
        f"<tt:Timeout>PT0S</tt:Timeout></trt:MediaUri></trt:{operation}Response>"
    )
