# SPDX-License-Identifier: Apache-2.0
"""What asking a camera by ONVIF gives: who it is, and how to reach its stream from now on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DeviceIdentity:
    """What the device says it is; a claim, not an identity: `identity.judge` weighs it.

    Each field is one line, within the bounds of the Camera's status; "" where the device does not
    say.
    """

    manufacturer: str = ""
    model: str = ""
    firmware_version: str = ""
    serial_number: str = ""
    hardware_id: str = ""
    endpoint_reference: str = ""
    """ONVIF Core, GetEndpointReference."""
    mac_address: str = ""
    """Of the first enabled network interface that has one."""


@dataclass(frozen=True, slots=True)
class Learned:
    """What is kept in the Camera's status, and within its bounds, so that a restart goes
    straight to RTSP."""

    auth_scheme: str
    """An AuthScheme: how ONVIF was logged in to."""
    media_version: str
    """"1" or "2"."""
    media_path: str
    profile_token: str
    stream_path: str
    """Path and query of the stream, without host. {password} stands where the device put the
    password into its address: `addresses.revealed` puts it back for the request."""
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
    device_path: str = ""
    """Path of the device service, where it differs from the declared one."""
    scheme: str = ""
    """How the ONVIF port is asked, where it differs from the declared scheme."""
    certificate: str = ""
    """Fingerprint of the certificate of the ONVIF port, where it speaks TLS."""


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
