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
    encoder: str


def profiles(clips: Mapping[str, Clip], settings: CameraSettings, listed: int = 0) -> list[Profile]:
    """Channel by channel, main before sub; shuffled where the settings say so.

    `listed`: how often profiles were listed so far.
    """
    known: list[Profile] = []
    for channel in range(1, settings.channels + 1):
        for stream, clip in clips.items():
            for twin in ("", "_2") if settings.twin_profiles else ("",):
                token = _token(settings, "Profile", len(known) + 1)
                if settings.passing_tokens:
                    token = f"{random.Random(f'{token} {listed}').getrandbits(32):08x}"
                source = source_token(settings, channel)
                path = stream_path(settings, stream, channel) + (twin and f"?twin={twin}")
                encoder = f"Encoder_{channel}_{stream}{twin}"
                known.append(Profile(token, source, channel, stream, path, clip, encoder))
    if settings.shuffled_profiles:
        random.Random(settings.name).shuffle(known)
    if settings.reshuffles != "nothing":
        random.Random(f"{settings.name} {listed}").shuffle(known)
    return known


def sources(settings: CameraSettings, known: list[Profile]) -> list[str]:
    """The tokens of the video sources, in the order of the channels or of the profiles."""
    if settings.reshuffles == "sources":
        return list(dict.fromkeys(profile.source for profile in known))
    return [source_token(settings, channel) for channel in range(1, settings.channels + 1)]


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
