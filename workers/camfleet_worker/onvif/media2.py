# SPDX-License-Identifier: Apache-2.0
"""ONVIF Media2 service (ver20/media), which has a name for H.265 where Media1 has none.

It is asked first where a device has it. It does not list the video sources themselves, so their
order (which channel is the third?) is taken from Media1 where the device has both.
"""

from __future__ import annotations

from typing import Any

from camfleet_worker.base.errors import IngestError
from camfleet_worker.onvif import wsdl
from camfleet_worker.onvif.device import FaultAnswered, OnvifDevice, field, items, text, whole
from camfleet_worker.onvif.media1 import MAX_PROFILES, Media1, may_be_missing
from camfleet_worker.resolve.profiles import MediaProfile, Offer, codec_name


class Media2:
    """The Media2 service of one device, at the path that the device named."""

    version = "2"

    def __init__(self, device: OnvifDevice, path: str, beside: Media1 | None) -> None:
        self._device = device
        self._beside = beside
        self.path = path

    async def offer(self) -> Offer:
        """Video sources and media profiles, in the device's order."""
        answer = await self._device.call(
            wsdl.MEDIA2, self.path, "GetProfiles", Type=["VideoSource", "VideoEncoder"]
        )
        profiles = tuple(_profile(found) for found in items(answer)[:MAX_PROFILES])
        return Offer(await self._source_tokens() if profiles else (), profiles)

    async def _source_tokens(self) -> tuple[str, ...]:
        if self._beside is not None:
            tokens = await self._beside.source_tokens()
            if tokens:
                return tokens
        try:
            configurations = await self._device.call(
                wsdl.MEDIA2, self.path, "GetVideoSourceConfigurations"
            )
        except IngestError as error:
            if not may_be_missing(error):
                raise
            return ()
        found = (text(one, "SourceToken") for one in items(configurations)[:MAX_PROFILES])
        return tuple(dict.fromkeys(token for token in found if token))

    async def stream_address(self, profile_token: str) -> str:
        """The address of a profile's stream; Media2 section 5.3.1: "RTSP" is RTP over RTSP."""
        try:
            return await self._stream_address(profile_token, "RTSP")
        except FaultAnswered:  # the first firmware with Media2 knows only the unicast form
            return await self._stream_address(profile_token, "RtspUnicast")

    async def _stream_address(self, profile_token: str, protocol: str) -> str:
        answer = await self._device.call(
            wsdl.MEDIA2, self.path, "GetStreamUri", Protocol=protocol, ProfileToken=profile_token
        )
        return answer if isinstance(answer, str) else text(answer, "Uri")


def _profile(found: Any) -> MediaProfile:
    encoder = field(found, "Configurations", "VideoEncoder")
    return MediaProfile(
        token=text(found, "token"),
        source_token=text(found, "Configurations", "VideoSource", "SourceToken"),
        codec=codec_name(text(encoder, "Encoding")),
        width=whole(encoder, "Resolution", "Width"),
        height=whole(encoder, "Resolution", "Height"),
        fps=whole(encoder, "RateControl", "FrameRateLimit"),
        gop=whole(encoder, "GovLength"),
        bitrate_kbps=whole(encoder, "RateControl", "BitrateLimit"),
        encoder_token=text(encoder, "token"),
        name=text(found, "Name"),
    )
