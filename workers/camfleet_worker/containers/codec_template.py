# SPDX-License-Identifier: Apache-2.0
"""A codec's extradata for av's muxers, made without an encoder, and what those muxers write to.

Called by the MP4 segment and the export of recordings: each wants a stream that carries avcC, hvcC
or an AudioSpecificConfig as the template of its own. Nothing is kept and no file is touched.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.video.stream import VideoStream

from camfleet_worker.containers.configuration_record import configuration_record
from camfleet_worker.media_types.access_unit import VideoFormat
from camfleet_worker.media_types.audio_unit import AudioFormat
from camfleet_worker.media_types.codec_outputs import VIDEO_OUTPUTS

CLOCK_RATE = 90_000
TIME_BASE = Fraction(1, CLOCK_RATE)
_AUDIO_TAG, _VIDEO_TAG = 8, 9


class Written:
    """What a muxer writes to; taken together."""

    def __init__(self) -> None:
        self._chunks: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._chunks.append(data)
        return len(data)

    def take(self) -> bytes:
        chunks, self._chunks = self._chunks, []
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)


@contextmanager
def format_template(video: VideoFormat) -> Iterator[VideoStream]:
    """A stream that carries the format's record (avcC or hvcC), made without an encoder. Width and
    height are not read from it."""
    four_cc = VIDEO_OUTPUTS[video.codec].rtmp_four_cc
    # H.264 as FLV always had it, H.265 as enhanced RTMP has it: sequence headers.
    head = b"\x17\0\0\0\0" if four_cc is None else b"\x90" + four_cc.encode()
    with _read_back(_VIDEO_TAG, 1, head + configuration_record(video)) as made:
        yield made.streams.video[0]


@contextmanager
def aac_template(audio: AudioFormat) -> Iterator[AudioStream]:
    """A stream that carries the AudioSpecificConfig, made without an encoder. Rate and channels are
    not read from it."""
    with _read_back(_AUDIO_TAG, 4, b"\xaf\0" + audio.config) as made:
        yield made.streams.audio[0]


def _read_back(kind: int, flags: int, body: bytes) -> InputContainer:
    """An FLV of one tag: the plainest container that holds a configuration as it is, and is read
    without a look inside (FLV specification 10.1 annex E)."""
    tag = bytes((kind,)) + len(body).to_bytes(3, "big") + bytes(7) + body
    flv = b"FLV\1" + bytes((flags,)) + b"\0\0\0\x09" + bytes(4) + tag + len(tag).to_bytes(4, "big")
    return av.open(io.BytesIO(flv), "r", format="flv")
