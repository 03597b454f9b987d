# SPDX-License-Identifier: Apache-2.0
"""What arrived, path by path and frame by frame: the evidence that tests and the demo's proof rest
on.

Written by GStreamer's streaming threads, read by the HTTP door; one lock around it all. A *frame*
is a whole access unit. Its hash covers the picture data only (VCL NAL units, each preceded by its
length), the same rule as the camera simulator's clips, so that the two can be compared whatever a
relay did to parameter sets, delimiters and framing.
"""

from __future__ import annotations

import hashlib
import re
import struct
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

KEPT = 100_000
"""Frames, and as many audio units, of each path: more than an hour at 25 frames a second. That is
some 20 MB for a path, since each lies in memory as packed octets."""

_FRAME = struct.Struct("<IH?dId32s")
"""Number, publisher, key flag, presentation time, size, arrival, SHA-256; the label follows."""
_AUDIO = struct.Struct("<Hd32s")
"""Publisher, presentation time, SHA-256."""

_LABEL = re.compile(rb"camfleet-picture([!-~]+)\x80")

GAP_S = 1.0
"""A step in presentation time beyond this is a gap; cameras slower than 1 frame a second are none
of ours."""


@dataclass(frozen=True)
class Frame:
    number: int
    publisher: int
    key: bool
    pts_s: float
    size: int
    arrived_s: float
    sha256: str
    label: str = ""
    """What the picture says of itself, where a camera of tests has labelled it."""

    def packed(self) -> bytes:
        digest = bytes.fromhex(self.sha256)
        head = (self.number, self.publisher, self.key, self.pts_s, self.size, self.arrived_s)
        return _FRAME.pack(*head, digest) + self.label.encode("ascii")

    @classmethod
    def unpacked(cls, octets: bytes) -> Frame:
        number, publisher, key, pts_s, size, arrived_s, digest = _FRAME.unpack_from(octets)
        label = octets[_FRAME.size :].decode("ascii")
        return cls(number, publisher, key, pts_s, size, arrived_s, digest.hex(), label)


@dataclass(frozen=True)
class Audio:
    """One audio unit; `sha256` of all its octets."""

    publisher: int
    pts_s: float
    sha256: str

    def packed(self) -> bytes:
        return _AUDIO.pack(self.publisher, self.pts_s, bytes.fromhex(self.sha256))

    @classmethod
    def unpacked(cls, octets: bytes) -> Audio:
        publisher, pts_s, digest = _AUDIO.unpack(octets)
        return cls(publisher, pts_s, digest.hex())


@dataclass
class PathRecord:
    """One path since the receiver started; publishers come and go, counts stay."""

    codec: str = ""
    frames: int = 0
    key_frames: int = 0
    byte_count: int = 0
    publishers: int = 0
    connected: int = 0
    pts_gaps: int = 0
    pts_backwards: int = 0
    last_frame_s: float | None = None
    last_pts: tuple[int, float] | None = None
    last_key: bytes | None = None
    log: deque[bytes] = field(default_factory=deque)
    """The latest frames, packed."""
    audio_log: deque[bytes] = field(default_factory=deque)

    def as_json(self, now_s: float) -> dict[str, Any]:
        age = None if self.last_frame_s is None else round(now_s - self.last_frame_s, 3)
        return {
            "codec": self.codec,
            "frames": self.frames,
            "key_frames": self.key_frames,
            "bytes": self.byte_count,
            "publishers": self.publishers,
            "connected": self.connected > 0,
            "last_frame_age_s": age,
            "pts_gaps": self.pts_gaps,
            "pts_backwards": self.pts_backwards,
        }


class Ledger:
    def __init__(self, kept: int = KEPT) -> None:
        """`kept`: frames of a path that can still be asked for, and audio units; counts go on."""
        self._kept = kept
        self._lock = threading.Lock()
        self._paths: dict[str, PathRecord] = {}

    def published(self, path: str, codec: str) -> int:
        """A publisher announced this path; its number, counted from 1."""
        with self._lock:
            record = self._paths.setdefault(path, self._new_record())
            record.codec = codec
            record.publishers += 1
            record.connected += 1
            return record.publishers

    def _new_record(self) -> PathRecord:
        return PathRecord(log=deque(maxlen=self._kept), audio_log=deque(maxlen=self._kept))

    def left(self, path: str) -> None:
        """A publisher of this path is gone."""
        with self._lock:
            self._paths[path].connected -= 1

    def frame(self, path: str, publisher: int, data: bytes, key: bool, pts_s: float) -> None:
        """One whole access unit in Annex B form."""
        now_s = time.monotonic()
        with self._lock:
            record = self._paths[path]
            record.frames += 1
            record.key_frames += key
            record.byte_count += len(data)
            record.last_frame_s = now_s
            self._judge_pts(record, publisher, pts_s)
            if key:
                record.last_key = data
            sha256, label = picture_hash(data, record.codec), picture_label(data)
            frame = Frame(record.frames, publisher, key, pts_s, len(data), now_s, sha256, label)
            record.log.append(frame.packed())

    def audio(self, path: str, publisher: int, data: bytes, pts_s: float) -> None:
        """One audio unit as it was depayloaded."""
        with self._lock:
            sha256 = hashlib.sha256(data).hexdigest()
            self._paths[path].audio_log.append(Audio(publisher, pts_s, sha256).packed())

    def audio_units(self, path: str) -> list[dict[str, Any]] | None:
        """The audio of a path, as far as it is kept; None: no such path."""
        with self._lock:
            record = self._paths.get(path)
            packed = None if record is None else list(record.audio_log)
        return None if packed is None else [vars(Audio.unpacked(octets)) for octets in packed]

    def _judge_pts(self, record: PathRecord, publisher: int, pts_s: float) -> None:
        """Presentation time is compared within one publisher: a new one starts a new timeline."""
        if record.last_pts is not None and record.last_pts[0] == publisher:
            step_s = pts_s - record.last_pts[1]
            record.pts_backwards += step_s <= 0
            record.pts_gaps += step_s > GAP_S
        record.last_pts = (publisher, pts_s)

    def as_json(self) -> dict[str, Any]:
        now_s = time.monotonic()
        with self._lock:
            return {path: record.as_json(now_s) for path, record in sorted(self._paths.items())}

    def frames_after(self, path: str, number: int) -> list[dict[str, Any]] | None:
        """The frames of a path numbered above `number`, as far as they are kept; None: no such
        path."""
        with self._lock:
            record = self._paths.get(path)
            if record is None:
                return None
            newer = min(max(0, record.frames - number), len(record.log))
            packed = list(islice(reversed(record.log), newer))
        return [vars(Frame.unpacked(octets)) for octets in reversed(packed)]

    def last_key(self, path: str) -> tuple[str, int, bytes] | None:
        """Codec, a number that changes with the picture, and the last key frame of a path."""
        with self._lock:
            record = self._paths.get(path)
            if record is None or record.last_key is None:
                return None
            return record.codec, record.key_frames, record.last_key


def picture_hash(data: bytes, codec: str) -> str:
    digest = hashlib.sha256()
    for unit in _nal_units(data):
        kind = unit[0] & 0x1F if codec == "h264" else (unit[0] >> 1) & 0x3F
        if 1 <= kind <= 5 if codec == "h264" else kind < 32:
            digest.update(len(unit).to_bytes(4, "big"))
            digest.update(unit)
    return digest.hexdigest()


def picture_label(data: bytes) -> str:
    """The text of the labelling SEI message, which is plain ASCII; empty where there is none."""
    found = _LABEL.search(data)
    return found[1].decode("ascii") if found else ""


def _nal_units(data: bytes) -> Iterator[bytes]:
    start = data.find(b"\x00\x00\x01")
    while start >= 0:
        begin = start + 3
        start = data.find(b"\x00\x00\x01", begin)
        unit = (data[begin:] if start < 0 else data[begin:start]).rstrip(b"\x00")
        if unit:
            yield unit
