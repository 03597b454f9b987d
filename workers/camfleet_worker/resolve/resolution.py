# SPDX-License-Identifier: Apache-2.0
"""The result of a resolve: the identity of the device, and how to reach the camera's stream."""

from __future__ import annotations

from dataclasses import dataclass

from camfleet_api.camera import DeviceStatus, LearnedStatus


@dataclass(frozen=True, slots=True)
class Resolution:
    """The answer to a ResolveRequest, in the form in which the Camera's status keeps it."""

    device: DeviceStatus
    """The identity that the device claims; `identity.judge` weighs it."""
    learned: LearnedStatus
    """The learnt values, without generation and those that only the RTSP port shows. {password} in
    the stream's path replaces a password of the device's address; `addresses.revealed` puts it back
    for the request."""
    deviations: tuple[str, ...] = ()
    """Where the stream differs from the technical profile, one sentence each, no period."""
