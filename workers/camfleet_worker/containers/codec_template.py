# SPDX-License-Identifier: Apache-2.0
"""A codec's extradata for av's muxers, made without an encoder, and what those muxers write to.

Called by the MP4 segment, RTMP's FLV tags and the export of recordings: each wants a stream that
carries avcC, hvcC or an AudioSpecificConfig as the template of its own. Nothing is kept and no file
is touched.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from functools import lru_cache

import av
from av.audio.stream import AudioStream
from av.video.stream import VideoStream

from camfleet_worker.media_types.access_unit import VideoFormat
from camfleet_worker.media_types.audio_unit import AudioFormat
from camfleet_worker.media_types.codec_outputs import VIDEO_OUTPUTS

CLOCK_RATE = 90_000
TIME_BASE = Fraction(1, CLOCK_RATE)
_START_CODE = b"\0\0\0\1"
_RECORDS_KEPT = 64
"""For streams whose parameter sets change to and fro."""


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
    """A stream that carries the format's extradata (avcC or hvcC), made without an encoder.

    The muxer builds the configuration record from parameter sets in Annex B form; read back from
    memory, its stream is what `add_stream_from_template` wants.
    """
    memory = io.BytesIO()
    with av.open(memory, "w", format="mp4") as container:
        stream = container.add_mux_stream(
            VIDEO_OUTPUTS[video.codec].ffmpeg_name, width=video.width, height=video.height
        )
        packet = av.Packet(b"".join(_START_CODE + unit for unit in video.parameter_sets))
        packet.stream = stream
        packet.time_base = TIME_BASE
        packet.pts = packet.dts = 0
        packet.is_keyframe = True
        container.mux(packet)
    memory.seek(0)
    with av.open(memory, "r") as made:
        yield made.streams.video[0]


@lru_cache(_RECORDS_KEPT)
def configuration_record(video: VideoFormat) -> bytes:
    """avcC or hvcC of the format (ISO/IEC 14496-15 sections 5.3.3.1 and 8.3.3.1)."""
    with format_template(video) as template:
        record = template.codec_context.extradata
    assert record is not None
    return record


@contextmanager
def aac_template(audio: AudioFormat) -> Iterator[AudioStream]:
    """A stream that carries the AudioSpecificConfig, made without an encoder.

    Read back from an FLV of one tag, the plainest container that holds it as it is (FLV
    specification 10.1 annex E.4.2). Rate and channels are not read from it.
    """
    tag = b"\xaf\0" + audio.config
    head = b"\x08" + len(tag).to_bytes(3, "big") + bytes(7)
    flv = b"FLV\1\4\0\0\0\x09" + bytes(4) + head + tag + (len(head) + len(tag)).to_bytes(4, "big")
    with av.open(io.BytesIO(flv), "r", format="flv") as made:
        yield made.streams.audio[0]
