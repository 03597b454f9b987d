# SPDX-License-Identifier: Apache-2.0
"""The supervisor's request for a resolve: one video source of one device, with its policy."""

from __future__ import annotations

from dataclasses import dataclass

from camfleet_api.camera import LearnedStatus, Scheme, VideoSource
from camfleet_api.device_address import DeviceAddress
from camfleet_api.ingest_shard import Policy, ShardCamera
from camfleet_api.policy import StreamRole
from camfleet_api.technical_profile import VideoLimits


@dataclass(frozen=True, slots=True)
class ResolveRequest:
    """The declared address, to which alone requests are sent, and what is asked there."""

    host: str
    onvif_port: int
    rtsp_port: int
    scheme: Scheme
    device_path: str
    source: VideoSource
    limits: VideoLimits
    role: StreamRole
    learned: LearnedStatus | None = None
    declared_certificate: str = ""
    """spec.certificateFingerprint."""

    @property
    def device(self) -> DeviceAddress:
        """The address of the device that is asked."""
        return DeviceAddress(self.host, self.onvif_port)

    @property
    def pinned(self) -> str:
        """The certificate that the ONVIF port must show: the declared one, else the first seen."""
        return self.declared_certificate or (self.learned.certificate if self.learned else "")

    @property
    def schemes(self) -> tuple[Scheme, ...]:
        """The schemes by which to ask the ONVIF port, in this order. Declared https is required."""
        if self.scheme is Scheme.HTTPS:
            return (Scheme.HTTPS,)
        if self.learned is not None and self.learned.scheme == Scheme.HTTPS.value:
            return (Scheme.HTTPS, Scheme.HTTP)
        return (Scheme.HTTP, Scheme.HTTPS)

    @classmethod
    def of(
        cls, camera: ShardCamera, policy: Policy, learned: LearnedStatus | None = None
    ) -> ResolveRequest:
        """The request for a camera of the shard, with its policy."""
        return cls(
            host=camera.host,
            onvif_port=camera.onvif_port,
            rtsp_port=camera.rtsp_port,
            scheme=camera.scheme,
            device_path=camera.onvif_path,
            source=camera.source,
            limits=policy.video,
            role=policy.stream,
            learned=learned,
            declared_certificate=camera.certificate_fingerprint or "",
        )
