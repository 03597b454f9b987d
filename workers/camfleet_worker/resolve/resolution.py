# SPDX-License-Identifier: Apache-2.0
"""What asking a camera by ONVIF gives: who it is, and how to reach its stream from now on."""

from __future__ import annotations

from dataclasses import dataclass

from camfleet_worker.resolve.addresses import stream_url


@dataclass(frozen=True, slots=True)
class DeviceIdentity:
    """What the device says it is (ONVIF GetDeviceInformation); a claim, not an identity."""

    manufacturer: str = ""
    model: str = ""
    firmware_version: str = ""
    serial_number: str = ""
    hardware_id: str = ""


@dataclass(frozen=True, slots=True)
class Learned:
    """What is kept in the Camera's status, so that a restart goes straight to RTSP."""

    auth_scheme: str
    """An AuthScheme."""
    media_version: str
    """"1" or "2"."""
    media_path: str
    profile_token: str
    stream_path: str
    """Path and query of the stream, without host and credentials."""
    codec: str
    width: int = 0
    height: int = 0
    fps: int = 0
    gop: int = 0
    """Frames between key frames; 0 when the device does not say."""
    bitrate_kbps: int = 0
    clock_offset_s: int | None = None
    """Camera's clock minus ours; None when it does not tell its time."""

    def stream_url(self, host: str, rtsp_port: int) -> str:
        """The stream at the declared address, without credentials."""
        return stream_url(host, rtsp_port, self.stream_path)


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
