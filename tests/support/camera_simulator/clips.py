# SPDX-License-Identifier: Apache-2.0
"""A clip: a pre-encoded elementary stream cut into access units, as every server of ours plays it.

On disk a clip is a folder: `stream.h264` or `stream.h265` (Annex B, ITU-T H.264/H.265 Annex B),
`clip.json` (what it is, and where each access unit lies) and `snapshot.jpg`. `footage.py` makes
such folders; the replay server, the GStreamer script and the frame accounting of tests read them.
This module uses the standard library only, because it also runs inside the camera image, and it
never decodes: it looks at NAL unit headers and nothing below.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

Codec = Literal["h264", "h265"]

CLOCK_HZ = 90_000
"""RTP clock of every video payload (RFC 6184 §8.2.1, RFC 7798 §7.1)."""


def split_annex_b(data: bytes) -> Iterator[bytes]:
    """The NAL units of an Annex B byte stream, start codes and trailing zero bytes taken off."""
    start = data.find(b"\x00\x00\x01")
    while start >= 0:
        begin = start + 3
        start = data.find(b"\x00\x00\x01", begin)
        unit = data[begin:] if start < 0 else data[begin:start]
        unit = unit.rstrip(b"\x00")  # trailing_zero_8bits, and the zero_byte of the next start code
        if unit:
            yield unit


def nal_type(unit: bytes, codec: Codec) -> int:
    """nal_unit_type: five bits in H.264 (§7.3.1), six bits after the forbidden bit in H.265
    (§7.3.1.2)."""
    return unit[0] & 0x1F if codec == "h264" else (unit[0] >> 1) & 0x3F


def is_picture(unit: bytes, codec: Codec) -> bool:
    """Whether this is a VCL NAL unit, that is: picture data, not parameters, delimiters or
    messages."""
    kind = nal_type(unit, codec)
    return 1 <= kind <= 5 if codec == "h264" else kind < 32


def is_random_access(unit: bytes, codec: Codec) -> bool:
    """Whether decoding may begin here: IDR in H.264, any IRAP picture in H.265."""
    kind = nal_type(unit, codec)
    return kind == 5 if codec == "h264" else 16 <= kind <= 23


def is_recovery_point(unit: bytes, codec: Codec) -> bool:
    """Whether this is an SEI unit of x264 that says that decoding may begin here (H.264
    §D.1.8)."""
    return codec == "h264" and unit[:2] == b"\x06\x06" and len(unit) > 3 and unit[3] >= 0x80


def starts_picture(unit: bytes, codec: Codec) -> bool:
    """Whether this VCL unit is the first slice of its picture (first_mb_in_slice = 0 / first_slice
    flag)."""
    header = 1 if codec == "h264" else 2
    return is_picture(unit, codec) and len(unit) > header and bool(unit[header] & 0x80)


def is_parameter_set(unit: bytes, codec: Codec) -> bool:
    kind = nal_type(unit, codec)
    return kind in (7, 8) if codec == "h264" else kind in (32, 33, 34)


def frame_hash(units: Iterable[bytes], codec: Codec) -> str:
    """sha256 over the picture data of one access unit, whatever framing it travelled in.

    Only VCL units count, each preceded by its length: relays may add or drop parameter sets,
    delimiters and SEI, and may turn start codes into lengths, and the frame is still the same
    frame.
    """
    digest = hashlib.sha256()
    for unit in units:
        if is_picture(unit, codec):
            digest.update(len(unit).to_bytes(4, "big"))
            digest.update(unit)
    return digest.hexdigest()


@dataclass(frozen=True)
class AccessUnit:
    """One picture: its NAL units in order, and whether decoding may begin here."""

    units: tuple[bytes, ...]
    key: bool

    @cached_property
    def size(self) -> int:
        return sum(len(unit) for unit in self.units)


def group_access_units(units: Iterable[bytes], codec: Codec) -> Iterator[AccessUnit]:
    """Group NAL units into access units: whatever precedes the first slice of a picture belongs to
    it."""
    held: list[bytes] = []
    pictures = 0
    for unit in units:
        opens_next = starts_picture(unit, codec) or not is_picture(unit, codec)
        if pictures and opens_next:
            yield _access_unit(held, codec)
            held, pictures = [], 0
        held.append(unit)
        pictures += is_picture(unit, codec)
    if pictures:
        yield _access_unit(held, codec)


def _access_unit(units: list[bytes], codec: Codec) -> AccessUnit:
    key = any(is_random_access(u, codec) or is_recovery_point(u, codec) for u in units)
    return AccessUnit(tuple(units), key)


@dataclass(frozen=True)
class Clip:
    """A whole clip in memory; play it in a circle: it begins with a key frame and its GOPs are
    closed."""

    name: str
    folder: Path
    codec: Codec
    width: int
    height: int
    fps: int
    gop: int
    bitrate_kbps: int
    frames: tuple[AccessUnit, ...]
    shown: tuple[int, ...] = ()
    """Display number of each access unit; empty where they are shown in the order they stand in."""

    def shown_at(self, place: int) -> int:
        """Display number of the access unit at that place, going round and round."""
        rounds, place = divmod(place, len(self.frames))
        return rounds * len(self.frames) + (self.shown[place] if self.shown else place)

    @cached_property
    def parameter_sets(self) -> tuple[bytes, ...]:
        """(VPS,) SPS, PPS as they stand before the first key frame."""
        return tuple(u for u in self.frames[0].units if is_parameter_set(u, self.codec))

    @cached_property
    def frame_hashes(self) -> tuple[str, ...]:
        """`frame_hash` of each access unit, in order: what a receiver must have seen."""
        return tuple(frame_hash(frame.units, self.codec) for frame in self.frames)

    @property
    def ticks_per_frame(self) -> int:
        return CLOCK_HZ // self.fps

    @property
    def duration_s(self) -> float:
        return len(self.frames) / self.fps

    @property
    def stream_path(self) -> Path:
        return self.folder / f"stream.{self.codec}"

    @cached_property
    def snapshot(self) -> bytes:
        return (self.folder / "snapshot.jpg").read_bytes()


def load_clip(folder: Path) -> Clip:
    """Read a clip folder; ValueError when stream and description disagree."""
    about = json.loads((folder / "clip.json").read_text())
    codec: Codec = about["codec"]
    data = (folder / f"stream.{codec}").read_bytes()
    frames = tuple(group_access_units(split_annex_b(data), codec))
    if len(frames) != len(about["frames"]):
        raise ValueError(
            f"{folder}: {len(frames)} access units, but clip.json lists {len(about['frames'])}"
        )
    return Clip(
        name=about["name"],
        folder=folder,
        codec=codec,
        width=about["width"],
        height=about["height"],
        fps=about["fps"],
        gop=about["gop"],
        bitrate_kbps=about["bitrate_kbps"],
        frames=frames,
        shown=_order(about.get("shown", ())),
    )


def _order(shown: Sequence[int]) -> tuple[int, ...]:
    """Display numbers that say something: clip.json lists them for every clip."""
    return () if list(shown) == sorted(shown) else tuple(shown)
