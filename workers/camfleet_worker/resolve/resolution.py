# SPDX-License-Identifier: Apache-2.0
"""What asking a camera by ONVIF gives: who it is, and how to reach its stream from now on."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from camfleet_api.camera import DeviceStatus, LearnedStatus
from camfleet_worker.credentials import Credentials
from camfleet_worker.resolve.addresses import revealed, stream_url

MAX_TOKEN = 64
MAX_MEDIA_PATH = 256


@dataclass(frozen=True, slots=True)
class DeviceIdentity:
    """What the device says it is (ONVIF GetDeviceInformation); a claim, not an identity."""

    manufacturer: str = ""
    model: str = ""
    firmware_version: str = ""
    serial_number: str = ""
    hardware_id: str = ""

    def to_status(self) -> DeviceStatus:
        """The claim as it stands in the Camera's status."""
        return DeviceStatus(**asdict(self))


@dataclass(frozen=True, slots=True)
class Learned:
    """What is kept in the Camera's status, so that a restart goes straight to RTSP."""

    auth_scheme: str
    """An AuthScheme: how ONVIF was logged in to."""
    media_version: str
    """"1" or "2"."""
    media_path: str
    profile_token: str
    stream_path: str
    """Path and query of the stream, without host; {password} stands where the device put the
    password into its address."""
    codec: str
    """SDP encoding name, as the technical profile spells it."""
    width: int = 0
    height: int = 0
    fps: int = 0
    gop: int = 0
    """Frames between key frames; 0 when the device does not say."""
    bitrate_kbps: int = 0
    clock_offset_s: int | None = None
    """Camera's clock minus ours; None when it does not tell its time."""

    def stream_url(self, host: str, rtsp_port: int, credentials: Credentials | None = None) -> str:
        """The stream at the declared address.

        No credentials stand in it, save where the device itself wants them in path or query:
        whoever logs an address logs `stream_path`.
        """
        return stream_url(host, rtsp_port, revealed(self.stream_path, credentials))

    def to_status(self, generation: int) -> LearnedStatus:
        """What was learnt, under the generation it was learnt under, cut to the status's bounds."""
        return LearnedStatus(
            clock_offset_seconds=self.clock_offset_s,
            auth_scheme=self.auth_scheme,
            media_version=self.media_version,
            media_path=self.media_path if len(self.media_path) <= MAX_MEDIA_PATH else "",
            profile_token=self.profile_token[:MAX_TOKEN],
            stream_path=self.stream_path,
            codec=self.codec,
            width=min(self.width, 65535),
            height=min(self.height, 65535),
            generation=generation,
        )

    @classmethod
    def from_status(cls, status: LearnedStatus) -> Learned | None:
        """What an earlier worker learnt; None when it did not get as far as a stream."""
        if not status.stream_path or not status.codec:
            return None
        return cls(
            auth_scheme=status.auth_scheme,
            media_version=status.media_version,
            media_path=status.media_path,
            profile_token=status.profile_token,
            stream_path=status.stream_path,
            codec=status.codec,
            width=status.width,
            height=status.height,
            clock_offset_s=status.clock_offset_seconds,
        )


@dataclass(frozen=True, slots=True)
class Resolution:
    """The answer to a ResolveRequest."""

    device: DeviceIdentity
    learned: Learned
    deviations: tuple[str, ...] = ()
    """Where the stream differs from the technical profile, one sentence each, no period."""

    @property
    def clock_offset_s(self) -> int | None:
        """Camera's clock minus ours; None when it does not tell its time."""
        return self.learned.clock_offset_s
