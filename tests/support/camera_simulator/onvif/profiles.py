# SPDX-License-Identifier: Apache-2.0
"""The media profiles of a camera or recorder: two streams for each channel, under its own tokens.

Read by media1.py and media2.py. Tokens and paths are invented, as every maker does.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass

from camera_simulator.clips import Clip
from camera_simulator.settings import CameraSettings

_LONGEST = 64
"""ONVIF Core section 5.3: a ReferenceToken has up to 64 characters."""


class NoSuchProfile(ValueError):
    """A profile token that this camera never gave out."""


@dataclass(frozen=True)
class Profile:
    """One media profile: a stream of one channel under the token that GetProfiles gives it."""

    token: str
    source: str
    channel: int
    stream: str
    path: str
    clip: Clip


def profiles(clips: Mapping[str, Clip], settings: CameraSettings) -> list[Profile]:
    """Channel by channel, main before sub; shuffled where the settings say so."""
    known: list[Profile] = []
    for channel in range(1, settings.channels + 1):
        for stream, clip in clips.items():
            token = _token(settings, "Profile", len(known) + 1)
            source = source_token(settings, channel)
            path = stream_path(settings, stream, channel)
            known.append(Profile(token, source, channel, stream, path, clip))
    if settings.shuffled_profiles:
        random.Random(settings.name).shuffle(known)
    return known


def asked(token: str, known: list[Profile]) -> Profile:
    for profile in known:
        if profile.token == token:
            return profile
    raise NoSuchProfile(token)


def stream_path(settings: CameraSettings, stream: str, channel: int) -> str:
    return f"/live/{stream}" if settings.channels == 1 else f"/live/{channel}/{stream}"


def source_token(settings: CameraSettings, channel: int) -> str:
    return _token(settings, "VideoSource", channel)


def source_configuration_token(settings: CameraSettings, channel: int) -> str:
    return _token(settings, "VideoSourceConfig", channel)


def _token(settings: CameraSettings, kind: str, number: int) -> str:
    if settings.odd_tokens:
        return f"{kind} số {number} <ngoài & trong> 'x' \"y\" ".ljust(_LONGEST, "·")[:_LONGEST]
    return f"{kind}_{number}"
