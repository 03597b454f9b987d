# SPDX-License-Identifier: Apache-2.0
"""The octets of one playing session: packets to the depacketiser, messages to the session.

Without I/O and without a clock of its own; the media loop hands it what a socket gave. Video
packets are recognised and unpacked by one struct call each; everything else takes the slow path.

Compiled by mypyc (workers/compile_media.py): no attribute may be added from outside, none may be of
another type than declared, and nothing may be set on the class by a test.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from camfleet_worker.media.audio_receiver import AudioReceiver
from camfleet_worker.media.counters import StreamCounters
from camfleet_worker.rtp.depacketiser import Depacketiser, UntimedAccessUnit, depacketiser_for
from camfleet_worker.rtp.packet import RTP_HEADER_BYTES, payload_bounds
from camfleet_worker.rtp.reception import Reception
from camfleet_worker.rtp.rtcp import SenderReport, find_sender_report, receiver_report
from camfleet_worker.rtsp.client import PlayingStream
from camfleet_worker.rtsp.message import (
    FRAME_HEAD,
    INTERLEAVED,
    MessageError,
    Request,
    Response,
    next_beginning,
    parse_message,
    serialise_frame,
)

# An interleaved frame's head (RFC 2326 section 10.12) and the RTP header in it (RFC 3550
# section 5.1): `$`, channel, length; V/P/X/CC, M/PT, sequence, timestamp, SSRC.
_FRAME_AND_RTP = struct.Struct("!BBHBBHII")
_PLAIN_HEADER = 0x80
"""Version 2, no padding, no extension, no contributing sources: what nearly every packet has."""
_MAX_GARBAGE_BYTES = 64 * 1024
_JUDGED_BYTES = 5
"""An interleaved head and the first octet of the packet."""
_OWN_SSRC = 0x63616D66


class StreamReceiver:
    """Takes octets, gives access units."""

    def __init__(
        self,
        stream: PlayingStream,
        counters: StreamCounters,
        on_message: Callable[[Request | Response], None],
    ) -> None:
        self._rtp_channel = stream.ids.rtp
        self._rtcp_channel = stream.ids.rtcp
        self._payload_type = stream.payload_type
        self._counters = counters
        self._on_message = on_message
        self._reception = Reception()
        self._depacketiser: Depacketiser = depacketiser_for(stream.codec, stream.parameter_sets)
        self.audio = AudioReceiver(stream.audio, counters) if stream.audio else None
        self._audio_rtcp_channel = stream.audio.ids.rtcp if stream.audio else -1
        self._channels = {stream.ids.rtp, stream.ids.rtcp}
        if stream.audio is not None:
            self._channels |= {stream.audio.ids.rtp, stream.audio.ids.rtcp}
        self.sender_report: SenderReport | None = None
        self._doubtful = False
        """Behind garbage, before a whole head of a frame was seen."""
        self._garbage_bytes = 0
        """Octets that belonged to nothing, since the last packet."""
        self._packets_before_garbage = 0
        self.foreign_packets = 0
        """Frames of other channels and payload types: audio, or a dead session's (quirk 31)."""

    @property
    def awaiting_key(self) -> bool:
        """Whether access units are dropped until a key frame."""
        return self._depacketiser.awaiting_key

    def consume(self, view: memoryview, end: int, now: float) -> int:
        """Read view[:end]; how many octets are done with. Raises MessageError."""
        at = self._behind_garbage(view, 0, 0, end) if self._doubtful else 0
        unpack, head_bytes = _FRAME_AND_RTP.unpack_from, _FRAME_AND_RTP.size
        rtp_channel, payload_type = self._rtp_channel, self._payload_type
        reception, depacketiser = self._reception, self._depacketiser
        push = depacketiser.push
        packets = 0
        while end - at >= head_bytes:
            magic, channel, length, flags, kind, sequence, timestamp, ssrc = unpack(view, at)
            if magic != INTERLEAVED:
                following = self._message(view, at, end)
                if following == at:
                    break
                at = following
                continue
            payload, following = at + 16, at + 4 + length
            if following > end:
                break
            if channel != rtp_channel or kind & 0x7F != payload_type or length < RTP_HEADER_BYTES:
                self._other_frame(view, at, following, now)
                at = following
                continue
            packets += 1
            lost = False
            if sequence != reception.expected or ssrc != reception.ssrc:
                lost = reception.arrived(ssrc, sequence)
            marker, more = kind > 0x7F, 0
            if flags == _PLAIN_HEADER:
                push(view, payload, following, timestamp, marker, lost)
                if depacketiser.unit_at >= 0 and not marker:
                    following, more = depacketiser.run_on(view, at, following, end)
            else:
                payload, last = payload_bounds(view, at + 4, following)
                push(view, payload, last, timestamp, marker, lost)
            packets += more
            reception.expected = sequence + 1 + more & 0xFFFF
            reception.packets += 1 + more
            at = following
        else:
            at = self._short_frames(view, at, end, now)
        self._counters.packets += packets
        self._counters.lost_packets = reception.lost
        return at

    def take_access_units(self) -> list[UntimedAccessUnit]:
        """The access units completed since the last call."""
        depacketiser = self._depacketiser
        units, depacketiser.access_units = depacketiser.access_units, []
        losses = depacketiser.losses
        self._counters.damaged_access_units = losses.damaged
        self._counters.skipped_access_units = losses.awaiting_key + losses.without_format
        self._counters.refused_parameter_sets = losses.parameter_sets
        return units

    def receiver_report(self, now: float) -> bytes | None:
        """An interleaved receiver report; None before the first packet."""
        reception = self._reception
        if reception.packets == 0:
            return None
        report = receiver_report(
            _OWN_SSRC,
            reception.ssrc,
            lost=reception.lost,
            highest_sequence=reception.highest_sequence,
            last_report=self.sender_report,
            now=now,
        )
        return serialise_frame(self._rtcp_channel, report)

    def _short_frames(self, view: memoryview, at: int, end: int, now: float) -> int:
        """What is left is shorter than a video packet: it may still be a whole frame or message."""
        while at < end:
            if view[at] != INTERLEAVED:
                following = self._message(view, at, end)
                if following == at:
                    return at
                at = following
                continue
            if end - at < FRAME_HEAD.size:
                return at
            following = at + FRAME_HEAD.size + (view[at + 2] << 8 | view[at + 3])
            if following > end:
                return at
            self._other_frame(view, at, following, now)
            at = following
        return at

    def _message(self, view: memoryview, at: int, end: int) -> int:
        """Where the next item begins; `at` itself while more octets are needed."""
        try:
            message, following = parse_message(view, at, end)
        except MessageError:
            return self._behind_garbage(view, at, at + 1, end)
        if message is not None:
            self._on_message(message)
        return following

    def _behind_garbage(self, view: memoryview, at: int, start: int, end: int) -> int:
        """Where sense begins again, from `start` on (quirk 33). Raises MessageError where much is
        senseless."""
        following = next_beginning(view, start, end, self._channels)
        self._doubtful = following > end - _JUDGED_BYTES
        if self._reception.packets != self._packets_before_garbage:
            self._packets_before_garbage, self._garbage_bytes = self._reception.packets, 0
        self._garbage_bytes += following - at
        self._counters.garbage_bytes += following - at
        if self._garbage_bytes > _MAX_GARBAGE_BYTES:
            raise MessageError("more garbage than packets")
        return following

    def _other_frame(self, view: memoryview, at: int, following: int, now: float) -> None:
        if view[at + 1] == self._rtcp_channel:
            report = find_sender_report(view, at + FRAME_HEAD.size, following, now)
            self.sender_report = report or self.sender_report
        elif view[at + 1] != self._audio_rtcp_channel:
            self.foreign_packets += 1
            if self.audio is not None:
                self.audio.push(view, at, following)
