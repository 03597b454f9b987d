# SPDX-License-Identifier: Apache-2.0
"""Movie fragments (ISO/IEC 14496-12 section 8.8): samples gather, and come out as whole boxes.

Pure; called by mp4.py for every access unit, so it does next to nothing for each: a sample's octets
are kept by reference until the kernel takes them. The header before the first fragment is av's.

Compiled by mypyc (workers/compile_media.py): no attribute may be added from outside, none may be of
another type than declared, and nothing may be set on the class by a test.
"""

from __future__ import annotations

import struct

from camfleet_worker.containers.boxes import box, full_box

VIDEO_TRACK, AUDIO_TRACK = 1, 2
"""In the order in which the header announces them."""

_BASE_IS_MOOF = 0x020000
_DEFAULT_FLAGS = 0x000020
_DATA_OFFSET, _DURATION, _SIZE, _FLAGS, _COMPOSITION = 0x1, 0x100, 0x200, 0x400, 0x800
_KEY = 0x02000000
"""Depends on no other sample (section 8.8.3.1)."""
_NOT_KEY = 0x01010000
"""Depends on others, and is no sync sample."""
_TRUN_HEAD_BYTES = 20
_BOX_HEAD_BYTES = 8


class Octets:
    """Octets in parts that belong one behind the other and are never copied together."""

    __slots__ = ("parts", "size")

    def __init__(self, parts: list[bytes]) -> None:
        self.parts = parts
        self.size = sum(map(len, parts))

    def __len__(self) -> int:
        return self.size

    def __bytes__(self) -> bytes:
        return b"".join(self.parts)


class TrackSamples:
    """What of one track belongs to the fragment under construction. Times by the track's clock."""

    def __init__(self, track: int, run_flags: int, header_flags: int) -> None:
        self.begin = 0
        """Decoding time of the first sample."""
        self.count = 0
        self.octets = 0
        self._track = track
        self._run_flags = run_flags
        self._header_flags = header_flags
        self._data: list[bytes] = []
        self._fields: list[int] = []
        """Of all samples, one after the other, as the track run lists them."""

    def add(self, data: bytes, dts: int, *fields: int) -> None:
        """Add one sample. `fields`: its entry in the TrackRunBox (section 8.8.8)."""
        if not self.count:
            self.begin = dts
        self.count += 1
        self.octets += len(data)
        self._data.append(data)
        self._fields += fields

    @property
    def box_bytes(self) -> int:
        """Of `traf`."""
        return _BOX_HEAD_BYTES + len(self._header()) + len(self._begin()) + self._run_bytes()

    def traf(self, data_offset: int) -> bytes:
        """The TrackFragmentBox; the samples begin so many octets after the fragment's beginning."""
        run = full_box(
            b"trun",
            0,
            self._run_flags | _DATA_OFFSET,
            struct.pack(f"!Ii{len(self._fields)}I", self.count, data_offset, *self._fields),
        )
        return box(b"traf", self._header(), self._begin(), run)

    def take(self) -> list[bytes]:
        """The samples; begins anew."""
        data, self._data = self._data, []
        self._fields.clear()
        self.count = self.octets = 0
        return data

    def _header(self) -> bytes:
        defaults = b"\0\0\0\0" if self._header_flags & _DEFAULT_FLAGS else b""
        return full_box(b"tfhd", 0, self._header_flags, struct.pack("!I", self._track) + defaults)

    def _begin(self) -> bytes:
        return full_box(b"tfdt", 1, 0, struct.pack("!Q", self.begin))

    def _run_bytes(self) -> int:
        return _TRUN_HEAD_BYTES + 4 * len(self._fields)


class AccessUnitSamples(TrackSamples):
    """Access units."""

    def __init__(self) -> None:
        flags = _DURATION | _SIZE | _FLAGS | _COMPOSITION
        super().__init__(VIDEO_TRACK, flags, _BASE_IS_MOOF)

    def add_access_unit(self, data: bytes, dts: int, duration: int, key: bool, offset: int) -> None:
        """`offset`: how much later it is shown than decoded."""
        self.add(data, dts, duration, len(data), _KEY if key else _NOT_KEY, offset)


class AudioSamples(TrackSamples):
    """Audio units: each can be decoded by itself."""

    def __init__(self) -> None:
        super().__init__(AUDIO_TRACK, _DURATION | _SIZE, _BASE_IS_MOOF | _DEFAULT_FLAGS)
        self._last = 0

    def add_unit(self, data: bytes, at: int, duration: int) -> None:
        """How long the unit before it lasts is known with this one."""
        if self.count:
            self._fields[-2] = at - self._last
        self._last = at
        self.add(data, at, duration, len(data))


def fragment(number: int, tracks: list[TrackSamples]) -> list[bytes]:
    """MovieFragmentBox and MediaDataBox of the tracks that have samples, which begin anew."""
    filled = [track for track in tracks if track.count]
    head = full_box(b"mfhd", 0, 0, struct.pack("!I", number))
    moof_bytes = _BOX_HEAD_BYTES + len(head) + sum(track.box_bytes for track in filled)
    data_bytes = _BOX_HEAD_BYTES + sum(track.octets for track in filled)
    trafs, offset = [], moof_bytes + _BOX_HEAD_BYTES
    for track in filled:
        trafs.append(track.traf(offset))
        offset += track.octets
    moof = box(b"moof", head, *trafs)
    samples = [data for track in filled for data in track.take()]
    return [moof + struct.pack("!I4s", data_bytes, b"mdat"), *samples]


def random_access(points: list[tuple[int, int]]) -> bytes:
    """MovieFragmentRandomAccessBox (section 8.8.9): at which times, of the video's clock, and
    where in the file a fragment begins with a key frame."""
    entries = b"".join(struct.pack("!QQBBB", time, at, 1, 1, 1) for time, at in points)
    table = struct.pack("!III", VIDEO_TRACK, 0, len(points)) + entries
    tfra = full_box(b"tfra", 1, 0, table)
    size = _BOX_HEAD_BYTES + len(tfra) + 16
    return box(b"mfra", tfra, full_box(b"mfro", 0, 0, struct.pack("!I", size)))
