# SPDX-License-Identifier: Apache-2.0
"""The audio of one playing session: its packets to the depacketiser, its losses to the counters.

Without I/O; the stream's receiver hands it each frame that is not an access unit's, so a session
without audio pays nothing for it.

Compiled by mypyc (workers/compile_media.py): no attribute may be added from outside, none may be of
another type than declared, and nothing may be set on the class by a test.
"""

from __future__ import annotations

import struct

from camfleet_worker.media.counters import StreamCounters
from camfleet_worker.media_types.audio_unit import AudioFormat
from camfleet_worker.rtp.audio import AudioFrame, audio_depacketiser
from camfleet_worker.rtp.packet import RTP_HEADER_BYTES, payload_bounds
from camfleet_worker.rtp.reception import Reception
from camfleet_worker.rtsp.message import FRAME_HEAD
from camfleet_worker.rtsp.playing import AudioTrack

_RTP_HEADER = struct.Struct("!BBHII")


class AudioReceiver:
    """Takes interleaved frames, gives units."""

    def __init__(self, track: AudioTrack, counters: StreamCounters) -> None:
        self.format: AudioFormat = track.payload.format
        self._rtp_channel = track.ids.rtp
        self._payload_type = track.payload_type
        self._counters = counters
        self._reception = Reception()
        self._depacketiser = audio_depacketiser(track.payload)

    def push(self, view: memoryview, at: int, following: int) -> None:
        """A frame, view[at:following], of whatever channel: others are passed over.

        The payload type decides too: there are cameras that settle on the channels of the video.
        """
        packet = at + FRAME_HEAD.size
        if view[at + 1] != self._rtp_channel or following - packet < RTP_HEADER_BYTES:
            return
        _, kind, sequence, timestamp, ssrc = _RTP_HEADER.unpack_from(view, packet)
        if kind & 0x7F != self._payload_type:
            return
        reception, lost = self._reception, False
        if sequence != reception.expected or ssrc != reception.ssrc:
            lost = reception.arrived(ssrc, sequence)
        reception.expected = sequence + 1 & 0xFFFF
        reception.packets += 1
        start, end = payload_bounds(view, packet, following)
        self._depacketiser.push(view, start, end, timestamp, kind > 0x7F, lost)

    def take_frames(self) -> list[AudioFrame]:
        """The units completed since the last call."""
        depacketiser, counters = self._depacketiser, self._counters
        frames, depacketiser.frames = depacketiser.frames, []
        counters.audio_packets = self._reception.packets
        counters.lost_audio_packets = self._reception.lost
        counters.damaged_audio_units = depacketiser.damaged
        return frames
