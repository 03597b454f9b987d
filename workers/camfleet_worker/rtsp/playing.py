# SPDX-License-Identifier: Apache-2.0
"""The result of a handshake, for the media loop."""

from __future__ import annotations

from dataclasses import dataclass

from camfleet_worker.media_types.access_unit import Codec
from camfleet_worker.rtp.audio import AudioPayload
from camfleet_worker.rtsp.headers import InterleavedIds
from camfleet_worker.rtsp.media_socket import MediaSocket
from camfleet_worker.rtsp.session import RtspSession


@dataclass(frozen=True, slots=True)
class AudioTrack:
    """The audio of a session, interleaved beside the video."""

    ids: InterleavedIds
    payload_type: int
    payload: AudioPayload


@dataclass(slots=True)
class PlayingStream:
    """A session that plays; its holder owns the socket and must send TEARDOWN."""

    socket: MediaSocket
    session: RtspSession
    ids: InterleavedIds
    codec: Codec
    payload_type: int
    parameter_sets: tuple[bytes, ...]
    """The parameter sets of the description; may be empty."""
    received: bytes
    """The octets that were read from the socket and not used yet."""
    transport: str = "tcp"
    """"tcp" or "udp"."""
    certificate: str = ""
    """SHA-256 of the certificate that the RTSP port showed; empty without TLS."""
    audio: AudioTrack | None = None
    silence: str = ""
    """Why there is no audio although it was asked for; else empty."""
