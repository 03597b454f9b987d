# SPDX-License-Identifier: Apache-2.0
"""Audio among the octets of a session: what is audio, what is not, and what is lost of it."""

from __future__ import annotations

import socket
import struct

from camfleet_worker.media.counters import StreamCounters
from camfleet_worker.media.receiver import StreamReceiver
from camfleet_worker.media_types.access_unit import Codec
from camfleet_worker.media_types.audio_unit import AudioCodec, AudioFormat
from camfleet_worker.rtp.audio import AudioPayload
from camfleet_worker.rtsp.client import PlayingStream
from camfleet_worker.rtsp.headers import InterleavedIds
from camfleet_worker.rtsp.message import serialise_frame
from camfleet_worker.rtsp.playing import AudioTrack
from camfleet_worker.rtsp.session import RtspSession

PCMA = AudioPayload(AudioFormat(AudioCodec.PCMA, 8000, 1))
NO_SOCKET = socket.socket()
NO_SOCKET.close()


class Heard:
    """A receiver of video on channels 0 and 1 and audio on 2 and 3."""

    def __init__(self) -> None:
        self.counters = StreamCounters()
        track = AudioTrack(InterleavedIds(2, 3), 8, PCMA)
        stream = PlayingStream(
            NO_SOCKET, RtspSession(None), InterleavedIds(0, 1), Codec.H264, 96, (), b"", audio=track
        )
        self.receiver = StreamReceiver(stream, self.counters, lambda message: None)

    def feed(self, *frames: bytes) -> list[bytes]:
        """The audio of these frames."""
        data = bytearray(b"".join(frames))
        assert self.receiver.consume(memoryview(data), len(data), 5.0) == len(data)
        assert self.receiver.audio is not None
        return [frame.data for frame in self.receiver.audio.take_frames()]


def audio(number: int, payload: bytes, *, channel: int = 2, kind: int = 8) -> bytes:
    head = struct.pack("!BBHII", 0x80, kind, number & 0xFFFF, number * 160, 0xCAFE)
    return serialise_frame(channel, head + payload)


def test_audio_is_what_comes_on_its_channel_by_its_payload_type() -> None:
    heard = Heard()
    taken = heard.feed(
        audio(1, b"one, long enough to be a packet of video"),
        audio(7, b"another payload type", kind=13),
        audio(7, b"a dead session's", channel=4),
        serialise_frame(2, b"tiny"),
        audio(2, b"2"),
    )
    assert taken == [b"one, long enough to be a packet of video", b"2"]
    assert (heard.counters.audio_packets, heard.counters.lost_audio_packets) == (2, 0)


def test_lost_packets_of_audio_are_counted_apart_from_those_of_the_video() -> None:
    heard = Heard()
    assert heard.feed(audio(65_534, b"a"), audio(65_537, b"b")) == [b"a", b"b"]
    assert heard.counters.lost_audio_packets == 2
    assert heard.counters.lost_packets == 0


def test_audio_counts_as_media_that_is_no_video_and_its_reports_do_not() -> None:
    heard = Heard()
    heard.feed(audio(1, b"a"), serialise_frame(3, b"\x80\xc8\x00\x06" + bytes(24)), audio(2, b"b"))
    assert heard.receiver.foreign_packets == 2
    assert heard.receiver.sender_report is None


def test_options_of_the_header_are_no_audio() -> None:
    heard = Heard()
    head = struct.pack("!BBHII", 0xB1, 8, 1, 160, 0xCAFE)
    options = b"csrc\xbe\xde\x00\x01word"
    assert heard.feed(serialise_frame(2, head + options + b"audio\x00\x02")) == [b"audio"]


def test_audio_behind_garbage_is_found() -> None:
    heard = Heard()
    assert heard.feed(audio(1, b"a"), b"\x00\x17garbage", audio(2, b"b"), audio(3, b"c")) == [
        b"a",
        b"b",
        b"c",
    ]
