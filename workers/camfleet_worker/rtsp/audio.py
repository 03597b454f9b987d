# SPDX-License-Identifier: Apache-2.0
"""Chooses the audio of a description. Pure; the handshake calls it where the policy wants audio."""

from __future__ import annotations

from dataclasses import dataclass

from camfleet_worker.rtp.audio import AudioPayload
from camfleet_worker.rtp.audio_description import audio_payload
from camfleet_worker.rtsp.sdp import Description, MediaSection


@dataclass(frozen=True, slots=True)
class OfferedAudio:
    """An audio track, and how to depacketise it."""

    section: MediaSection
    payload: AudioPayload


def offered_audio(description: Description, video: MediaSection) -> OfferedAudio | None:
    """The first track with a codec that we take and its own control that is no back channel."""
    for section in description.media:
        if section.kind != "audio" or section.control in ("", "*", video.control):
            continue
        if section.send_only and not video.send_only:
            continue
        payload = audio_payload(
            section.encoding, section.clock_hz, section.channels, section.parameters
        )
        if payload is not None:
            return OfferedAudio(section, payload)
    return None
