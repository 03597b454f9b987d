# SPDX-License-Identifier: Apache-2.0
"""Boxes of an MP4 in memory (ISO/IEC 14496-12 section 4.2): made, and av's header amended.

Pure; called by mp4.py and fragment.py. It knows boxes as that muxer writes them, with sizes of 32
bits, and is no parser for the files of others.

Compiled by mypyc (workers/compile_media.py): no attribute may be added from outside, none may be of
another type than declared, and nothing may be set on the class by a test.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

_HEAD = 8
_EDITS_BYTES = 36
_NORMAL_RATE = 0x00010000


@dataclass(frozen=True, slots=True)
class Box:
    """Where a box and its body lie in the octets around it."""

    kind: bytes
    begin: int
    end: int

    @property
    def body(self) -> int:
        """Where what it holds begins."""
        return self.begin + _HEAD


def boxes(data: bytes, begin: int, end: int) -> Iterator[Box]:
    """The boxes that follow one another between two places."""
    while begin < end:
        size = int.from_bytes(data[begin : begin + 4], "big")
        yield Box(data[begin + 4 : begin + 8], begin, begin + size)
        begin += size


def box(kind: bytes, *bodies: bytes) -> bytes:
    """A box around these octets."""
    return b"".join((_four(_HEAD + sum(map(len, bodies))), kind, *bodies))


def full_box(kind: bytes, version: int, flags: int, body: bytes) -> bytes:
    """A box with version and flags (section 4.2)."""
    return box(kind, _four(version << 24 | flags), body)


def with_edit_list(header: bytes, media_time: int) -> bytes:
    """The header, whose first track now begins at `media_time` of its media (section 8.6.6).

    It stays as long as it was, since the muxer counts on where things lie: the edit list takes its
    place from the UserDataBox, which names the muxer and nothing else.
    """
    (moov,) = _of_kind(header, b"moov", 0, len(header))
    trak = next(_of_kind(header, b"trak", moov.body, moov.end))
    (tkhd,) = _of_kind(header, b"tkhd", trak.body, trak.end)
    (udta,) = _of_kind(header, b"udta", moov.body, moov.end)
    # One edit of unknown length (0: as long as the fragments go on), at normal speed.
    edit = _four(1) + _four(0) + _four(media_time) + _four(_NORMAL_RATE)
    rest = udta.end - udta.begin - _EDITS_BYTES
    return b"".join(
        (
            header[: trak.begin],
            _four(trak.end - trak.begin + _EDITS_BYTES),
            header[trak.begin + 4 : tkhd.end],
            box(b"edts", full_box(b"elst", 0, 0, edit)),
            header[tkhd.end : udta.begin],
            box(b"free", bytes(rest - _HEAD)),
            header[udta.end :],
        )
    )


def _of_kind(data: bytes, kind: bytes, begin: int, end: int) -> Iterator[Box]:
    return (one for one in boxes(data, begin, end) if one.kind == kind)


def _four(value: int) -> bytes:
    return value.to_bytes(4, "big")
