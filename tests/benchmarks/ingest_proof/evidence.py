# SPDX-License-Identifier: Apache-2.0
"""Where pictures are looked for: the files of a volume and the ledger of the monitoring system."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from pathlib import Path

import av

from camera_simulator.clips import Codec as ClipCodec
from camera_simulator.clips import frame_hash
from camera_simulator.rtsp.labels import label_of, parse_label
from camfleet_worker.containers.configuration_record import parameter_sets
from camfleet_worker.media_types.access_unit import Codec, length_prefixed
from camfleet_worker.record.layout import ObjectKey, Span, parse_key, spans
from vms import RecordServer

from .account import Sighting

_CODECS: dict[str, ClipCodec] = {"h264": "h264", "hevc": "h265"}


def prefix_of(root: Path, camera: str) -> str:
    """The one folder of a camera on a volume; ValueError where it is not exactly one."""
    found = [path for path in root.glob(f"*/{camera}.*") if path.is_dir()]
    if len(found) != 1:
        raise ValueError(f"{camera} has {len(found)} folders")
    return found[0].relative_to(root).as_posix()


def spans_on(root: Path, camera: str) -> list[Span]:
    """The spans of a camera's recording, by time."""
    return spans(_keys(root, prefix_of(root, camera)))


def _keys(root: Path, prefix: str) -> Iterator[ObjectKey]:
    for path in (root / prefix).rglob("*"):
        key = parse_key(path.relative_to(root).as_posix())
        if key is not None and path.is_file():
            yield key


def files_on(root: Path, camera: str) -> list[ObjectKey]:
    """The segments of a camera, in the order in which they are played."""
    return [segment for span in spans_on(root, camera) for segment in span.segments]


def pictures_on(root: Path, camera: str) -> list[Sighting]:
    """Every picture of a camera on a volume, in decoding order."""
    return [one for key in files_on(root, camera) for one in pictures_in(root, key)]


def pictures_in(root: Path, key: ObjectKey) -> list[Sighting]:
    """Every picture of one segment; av's errors where it cannot be read."""
    with av.open(str(root / str(key))) as container:
        codec = _CODECS[container.streams.video[0].codec_context.name]
        return [
            _sighting(bytes(packet), codec, packet.is_keyframe, key.at_us / 1e6 + shown_s)
            for packet in container.demux(video=0)
            if packet.size
            for shown_s in [float((packet.pts or 0) * (packet.time_base or 0))]
        ]


def decoded_in(path: Path) -> int:
    """How many pictures a decoder shows of a file."""
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


def decoded_along(root: Path, span: Span) -> int:
    """How many pictures one decoder shows of the segments of a span, which may refer to each other;
    av's error at the first that does not decode."""
    decoder: av.VideoCodecContext | None = None
    shown = 0
    for key in span.segments:
        with av.open(str(root / str(key))) as container:
            stream = container.streams.video[0]
            header = stream.codec_context.extradata or b""
            codec = Codec(_CODECS[stream.codec_context.name].upper())
            decoder = decoder or _decoder(stream.codec_context.name, header)
            # What a player reads in a header counts from there on.
            sets = length_prefixed(parameter_sets(codec, header) or ())
            for packet in container.demux(stream):
                if packet.size:
                    shown += len(decoder.decode(av.Packet(sets + bytes(packet))))
                    sets = b""
    return shown if decoder is None else shown + len(decoder.decode(None))


def _decoder(name: str, header: bytes) -> av.VideoCodecContext:
    decoder = av.CodecContext.create(name, "r")
    assert isinstance(decoder, av.VideoCodecContext)
    decoder.extradata = header
    decoder.thread_count = 1
    decoder.options = {"err_detect": "explode"}
    return decoder


def audio_on(root: Path, camera: str) -> list[str]:
    """Hashes of the audio units of a camera on a volume, in order."""
    heard: list[str] = []
    for key in files_on(root, camera):
        with av.open(str(root / str(key))) as container:
            if container.streams.audio:
                packets = (bytes(packet) for packet in container.demux(audio=0) if packet.size)
                heard += [hashlib.sha256(packet).hexdigest() for packet in packets]
    return heard


def pictures_at(vms: RecordServer, path: str) -> list[Sighting]:
    """Every picture of a path, in the order of arrival."""
    return [
        Sighting(parse_label(frame.label), frame.sha256, frame.key) for frame in vms.frames(path)
    ]


def _sighting(data: bytes, codec: ClipCodec, key: bool, at_s: float) -> Sighting:
    units = list(_nal_units(data))
    return Sighting(label_of(units), frame_hash(units, codec), key, at_s)


def _nal_units(data: bytes) -> Iterator[bytes]:
    """ISO/IEC 14496-15: each behind its length in four octets."""
    at = 0
    while at < len(data):
        (size,) = struct.unpack_from("!I", data, at)
        yield data[at + 4 : at + 4 + size]
        at += 4 + size
