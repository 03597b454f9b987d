# SPDX-License-Identifier: Apache-2.0
"""ONVIF Media service, version 1 (ver10/media): the streams of a device and their addresses."""

from __future__ import annotations

from typing import Any

from camfleet_worker.base.errors import IngestError
from camfleet_worker.onvif import wsdl
from camfleet_worker.onvif.device import (
    FaultAnswered,
    NotOnvif,
    OnvifDevice,
    field,
    items,
    text,
    whole,
)
from camfleet_worker.resolve.profiles import MediaProfile, Offer, codec_name

MAX_PROFILES = 1024
"""Enough for a recorder of 256 channels with four profiles each."""


class Media1:
    """The Media1 service of one device, at the path that the device named."""

    version = "1"

    def __init__(self, device: OnvifDevice, path: str) -> None:
        self._device = device
        self.path = path

    async def offer(self) -> Offer:
        """Video sources and media profiles, in the device's order."""
        sources = await self.source_tokens()
        profiles = items(await self._device.call(wsdl.MEDIA1, self.path, "GetProfiles"))
        return Offer(sources, tuple(_profile(found) for found in profiles[:MAX_PROFILES]))

    async def source_tokens(self) -> tuple[str, ...]:
        """Its video sources; empty where it lists none, and the profiles give their order."""
        try:
            sources = await self._device.call(wsdl.MEDIA1, self.path, "GetVideoSources")
        except IngestError as error:
            if not may_be_missing(error):
                raise
            return ()
        tokens = (text(source, "token") for source in items(sources)[:MAX_PROFILES])
        return tuple(token for token in tokens if token)

    async def stream_address(self, profile_token: str) -> str:
        """The address of a profile's stream for RTP interleaved in RTSP over TCP."""
        answer = await self._device.call(
            wsdl.MEDIA1,
            self.path,
            "GetStreamUri",
            StreamSetup={"Stream": "RTP-Unicast", "Transport": {"Protocol": "RTSP"}},
            ProfileToken=profile_token,
        )
        return text(answer, "Uri")


def may_be_missing(error: IngestError) -> bool:
    """Whether the failed operation or service may simply be missing on the device."""
    return isinstance(error, FaultAnswered | NotOnvif)


def _profile(found: Any) -> MediaProfile:
    encoder = field(found, "VideoEncoderConfiguration")
    codec = codec_name(text(encoder, "Encoding"))
    settings = "H264" if codec == "H264" else "MPEG4"
    return MediaProfile(
        token=text(found, "token"),
        source_token=text(found, "VideoSourceConfiguration", "SourceToken"),
        codec=codec,
        width=whole(encoder, "Resolution", "Width"),
        height=whole(encoder, "Resolution", "Height"),
        fps=whole(encoder, "RateControl", "FrameRateLimit"),
        gop=whole(encoder, settings, "GovLength"),
        bitrate_kbps=whole(encoder, "RateControl", "BitrateLimit"),
        encoder_token=text(encoder, "token"),
        name=text(found, "Name"),
    )
