# SPDX-License-Identifier: Apache-2.0
"""Picks one of the streams that a device offers, by the technical profile.

The codec is required: a stream of another codec is not taken, a stream without a named codec last.
Everything else is preferred, and a difference is reported (Conformant=False): a corridor in too
many pixels is still watched. The order in which a device lists its profiles decides nothing, for
some list them in another one each time; among equals, what was picked before is picked again.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from camfleet_api.camera import LearnedStatus, VideoSource
from camfleet_api.conditions import ConditionType, Reason
from camfleet_api.policy import StreamRole, VideoCodec
from camfleet_api.technical_profile import VideoLimits
from camfleet_worker.base.errors import IngestError, Quotation, Retry
from camfleet_worker.resolve.text import listed, printable

MAX_TOKEN = 64
"""Limit of tokens in status.learned, and of ONVIF's (Core section 5.3): a longer one is cut."""
MAX_TOKEN_SHOWN = 32

Key = tuple[list[tuple[int, str]], str]
"""What texts with numbers in them are sorted by."""
_DIGITS = re.compile("0*([0-9]+)")


class OtherCodecsOnly(IngestError):
    """All offered streams have codecs that the technical profile does not allow."""


@dataclass(frozen=True, slots=True)
class MediaProfile:
    """The values of one media profile that decide; 0 and "" where the device gives none."""

    token: str
    source_token: str
    codec: str
    width: int = 0
    height: int = 0
    fps: int = 0
    gop: int = 0
    bitrate_kbps: int = 0
    """The encoder's upper limit; 0 where the device states none."""
    encoder_token: str = ""
    """Of the video encoder configuration, which profiles may share."""
    name: str = ""

    @property
    def pixels(self) -> int:
        """Size of a picture."""
        return self.width * self.height


@dataclass(frozen=True, slots=True)
class Offer:
    """The media profiles and video sources of a device, in the device's order."""

    source_tokens: tuple[str, ...]
    """Video sources; empty when the device does not list them."""
    profiles: tuple[MediaProfile, ...]

    @property
    def channels(self) -> tuple[str, ...]:
        """The distinct video sources; channel n is the n-th.

        The list of sources comes first, because recorders reorder their profiles; sources that
        only profiles name follow, by their tokens, numbers in them by value.
        """
        named = {profile.source_token for profile in self.profiles if profile.source_token}
        return tuple(dict.fromkeys((*self.source_tokens, *sorted(named, key=_by_value))))


@dataclass(frozen=True, slots=True)
class Choice:
    """The stream to take, and where it differs from the technical profile."""

    profile: MediaProfile
    deviations: tuple[str, ...]


def codec_name(spelling: str) -> str:
    """A codec as SDP names it (RFC 6184, RFC 7798), from any spelling that a device uses."""
    name = spelling.strip().upper().replace(".", "").replace(" ", "")
    return {"HEVC": "H265", "AVC": "H264"}.get(name, name)


def pick_stream(
    offer: Offer,
    source: VideoSource,
    limits: VideoLimits,
    role: StreamRole,
    learned: LearnedStatus | None = None,
) -> Choice:
    """Pick the stream of `source` for `role`: largest allowed for main, smallest for sub.

    Among equals the one with fewer deviations wins, then what was picked before, then the first by
    codec, encoder configuration, name and token. IngestError: ChannelNotFound, NoAllowedStream.
    """
    before = learned or LearnedStatus()
    candidates = _profiles_of(offer, source, before)
    allowed = [profile for profile in candidates if profile.codec in limits.codecs]
    if not allowed:
        allowed = _unnamed(candidates, limits)
    if not allowed:
        raise _no_allowed_stream(source, candidates, limits)
    best = min(
        allowed, key=lambda profile: (_rank(profile, limits, role), _among_equals(profile, before))
    )
    return Choice(best, deviations(best, limits))


def _unnamed(candidates: list[MediaProfile], limits: VideoLimits) -> list[MediaProfile]:
    """Profiles without a codec, where H.265 is allowed.

    Media1 has no name for H.265, and devices that encode in it leave the encoder out. The SDP names
    their codec.
    """
    if VideoCodec.H265 not in limits.codecs:
        return []
    return [profile for profile in candidates if not profile.codec]


def deviations(profile: MediaProfile, limits: VideoLimits) -> tuple[str, ...]:
    """Where a stream differs from the limits; values that the device does not give do not count."""
    found = []
    size = f"{profile.width}x{profile.height}"
    if profile.width > limits.max_width or profile.height > limits.max_height:
        found.append(f"Resolution {size} is above {limits.max_width}x{limits.max_height}")
    elif 0 < profile.width < limits.min_width or 0 < profile.height < limits.min_height:
        found.append(f"Resolution {size} is below {limits.min_width}x{limits.min_height}")
    if profile.fps > limits.max_frames_per_second:
        found.append(f"Frame rate {profile.fps} is above {limits.max_frames_per_second} a second")
    elif 0 < profile.fps < limits.min_frames_per_second:
        found.append(f"Frame rate {profile.fps} is below {limits.min_frames_per_second} a second")
    if profile.bitrate_kbps > limits.max_bitrate_kbps:
        # RateControl.BitrateLimit is what the encoder stays below (ONVIF Media Service
        # Specification); what it sends may be far less.
        found.append(
            f"The encoder's limit of the bit rate, {profile.bitrate_kbps} kbit/s, "
            f"is above {limits.max_bitrate_kbps} kbit/s"
        )
    if profile.fps > 0 and profile.gop > limits.max_gop_seconds * profile.fps:
        found.append(
            f"A key frame every {profile.gop} frames at {profile.fps} a second is rarer than "
            f"one in {limits.max_gop_seconds} s"
        )
    return tuple(found)


def _rank(profile: MediaProfile, limits: VideoLimits, role: StreamRole) -> tuple[float, int, int]:
    """Sort key: nearest to the allowed sizes, then by the role's size, then fewest deviations."""
    size = profile.pixels if role is StreamRole.SUB else -profile.pixels
    return (_distance(profile, limits), size, len(deviations(profile, limits)))


def _among_equals(profile: MediaProfile, before: LearnedStatus) -> tuple[bool, bool, list[Key]]:
    """Sort key where the rank is the same: by what does not change from one answer to the next.

    The encoder configuration is the stream; several profiles may have it, and some devices give
    their profiles new tokens with each answer.
    """
    lasting = (profile.codec, profile.encoder_token, profile.name, profile.token)
    return (
        profile.encoder_token[:MAX_TOKEN] != before.encoder_token,
        profile.token[:MAX_TOKEN] != before.profile_token,
        [_by_value(text) for text in lasting],
    )


def _by_value(text: str) -> Key:
    """Sort key by which numbers in a text count as numbers: "Profile_2" is before "Profile_10"."""
    digits_apart = _DIGITS.split(text)
    parts = [(len(part), part) if at % 2 else (0, part) for at, part in enumerate(digits_apart)]
    return parts, text


def _distance(profile: MediaProfile, limits: VideoLimits) -> float:
    """How far a picture's size is outside the limits: 1.0 within, the worst ratio outside."""
    if profile.pixels <= 0:
        return float("inf")
    return max(
        1.0,
        profile.width / limits.max_width,
        profile.height / limits.max_height,
        limits.min_width / profile.width,
        limits.min_height / profile.height,
    )


def _profiles_of(offer: Offer, source: VideoSource, before: LearnedStatus) -> list[MediaProfile]:
    """The profiles of one video source; ChannelNotFound when the device has no such source."""
    if source.profile_token is not None:
        tokens = tuple(profile.token for profile in offer.profiles)
        if source.profile_token not in tokens:
            raise _not_found(source, "profile", tokens)
        return [profile for profile in offer.profiles if profile.token == source.profile_token]
    if source.video_source_token is not None:
        if source.video_source_token not in offer.channels:
            raise _not_found(source, "video source", offer.channels)
        return [p for p in offer.profiles if p.source_token == source.video_source_token]
    channel = channel_of(source)
    if channel > len(offer.channels):
        many = len(offer.channels)
        raise _channel_not_found(
            f"The device has no {describe(source)}: it has {many or 'no'} "
            f"channel{'' if many == 1 else 's'}"
        )
    token = _source_before(offer, channel, before) or offer.channels[channel - 1]
    return [profile for profile in offer.profiles if profile.source_token == token]


def _source_before(offer: Offer, channel: int, before: LearnedStatus) -> str:
    """The video source that was this channel before, while the device has it; "" without one."""
    if before.channel != channel or not before.video_source_token:
        return ""
    kept = (one for one in offer.channels if one[:MAX_TOKEN] == before.video_source_token)
    return next(kept, "")


def describe(source: VideoSource) -> str:
    """The selector in words for a person."""
    if source.profile_token is not None:
        return f"profile {printable(source.profile_token, MAX_TOKEN_SHOWN)}"
    if source.video_source_token is not None:
        return f"video source {printable(source.video_source_token, MAX_TOKEN_SHOWN)}"
    return f"channel {channel_of(source)}"


def channel_of(source: VideoSource) -> int:
    """The channel that is asked for, from 1; 0 where another selector is declared."""
    if source.profile_token is not None or source.video_source_token is not None:
        return 0
    return source.channel or 1


def _not_found(source: VideoSource, kind: str, tokens: tuple[str, ...]) -> IngestError:
    shown = tuple(printable(token, MAX_TOKEN_SHOWN) for token in tokens)
    has = ("it has ", Quotation(listed(shown))) if shown else (f"it has no {kind}",)
    return _channel_not_found((f"The device has no {describe(source)}: ", *has))


def _channel_not_found(detail: str | tuple[str, ...]) -> IngestError:
    return IngestError(
        ConditionType.ELIGIBLE, Reason.CHANNEL_NOT_FOUND, detail, Retry.ON_SPEC_CHANGE
    )


def _no_allowed_stream(
    source: VideoSource, candidates: list[MediaProfile], limits: VideoLimits
) -> IngestError:
    """NoAllowedStream with the codecs that the device offers and those that the profile allows."""
    offered = tuple(dict.fromkeys(_shown(profile) for profile in candidates))
    offers = ("offers ", Quotation(listed(offered))) if offered else ("offers no media profile",)
    allowed = listed(tuple(codec.value for codec in limits.codecs))
    what = describe(source)
    kind = OtherCodecsOnly if offered else IngestError
    return kind(
        ConditionType.ELIGIBLE,
        Reason.NO_ALLOWED_STREAM,
        (
            f"{what[0].upper()}{what[1:]} ",
            *offers,
            f"; the technical profile allows {allowed}",
        ),
        Retry.SLOW,
    )


def _shown(profile: MediaProfile) -> str:
    codec = printable(profile.codec, 12) or "no video encoder"
    return f"{codec} {profile.width}x{profile.height}" if profile.pixels else codec
