# SPDX-License-Identifier: Apache-2.0
"""What asking a camera by ONVIF gives: who it is, and how to reach its stream from now on."""

from __future__ import annotations

from dataclasses import dataclass

from camfleet_api.camera import DeviceStatus, LearnedStatus


@dataclass(frozen=True, slots=True)
class Resolution:
    """The answer to a ResolveRequest, in the form in which the Camera's status keeps it."""

    device: DeviceStatus
    """What the device says it is; a claim, not an identity: `identity.judge` weighs it."""
    learned: LearnedStatus
    """Without generation, and without what only the RTSP port can teach. {password} in the path of
    the stream stands where the device put the password into its address: `addresses.revealed` puts
    it back for the request."""
    deviations: tuple[str, ...] = ()
    """Where the stream differs from the technical profile, one sentence each, no period."""
