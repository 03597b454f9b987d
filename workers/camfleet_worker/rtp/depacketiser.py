# SPDX-License-Identifier: Apache-2.0
"""From RTP payloads to whole access units in length-prefixed form, with as few copies as possible.

Called by the media loop's receiver, once per packet: this is the hottest code of the worker. Each
octet is copied twice, out of the loop's buffer and into the access unit, which is joined once: one
that grows by each fragment is moved several times on its way.

An access unit with a hole is never handed out, and nor is what refers to it: after a loss
everything is dropped until the next key frame. A recording prefers an honest gap, which
is counted and can be shown, over a picture that a decoder has made up; over TCP losses are rare,
they come from cameras whose send buffer overflows.

The receiver checks sequence numbers, and reports a missing one to `push`.

Compiled by mypyc (workers/compile_media.py): no attribute may be added from outside, none may be of
another type than declared, and nothing may be set on the class by a test.
"""

from __future__ import annotations

import struct
from abc import ABC, abstractmethod
from dataclasses import dataclass

from camfleet_worker.media_types.access_unit import Codec, VideoFormat
from camfleet_worker.rtp.parameter_sets import ParameterSets
from camfleet_worker.rtp.recovery_point import is_recovery_point

MAX_ACCESS_UNIT_BYTES = 8 * 1024 * 1024
"""An 8K key frame at the best quality takes some 4 MiB."""
MAX_PARTS = 65_536
"""Of an access unit. The largest arrives in some 3,000 fragments; a fragment of an octet takes
forty octets of memory."""

_LENGTH = struct.Struct("!I")
_WHOLE_HEAD = struct.Struct("!QQI")
"""An interleaved RTP packet as three numbers: all that comes before the timestamp, the sequence
number last; timestamp and SSRC; the first four octets of the payload."""
_BEFORE_PAYLOAD = 16
_SAME_IN_LAST = 0xFFFF0000_FF7FFFFF
"""Mask over that first number: the bits which do not change from fragment to fragment of one unit,
so neither the length of the frame nor the marker bit."""
_MARKER = 0x00800000
_START_BIT, _END_BIT = 0x80, 0x40
"""Of a fragment header, in both codecs the last octet before the fragment."""
_PLACE_OF_LENGTH = bytes(4)
_OCTETS = tuple(bytes((octet,)) for octet in range(256))
_START_CODE = b"\0\0\1"
_UNMARKED_AFTER = 100
"""Access units in a row without a key frame; behind them an I picture alone is one."""

# What a NAL unit type means to us.
_SLICE = 1
_KEY = 2
_PARAMETERS = 4
_DROPPED = 8
_SEI = 16


@dataclass(slots=True)
class UntimedAccessUnit:
    """One whole coded picture, still on the camera's clock."""

    data: bytes
    key: bool
    timestamp: int
    """RTP timestamp, 32 bits."""
    format: VideoFormat


@dataclass(slots=True)
class Losses:
    """Access units that arrived and were not handed out."""

    damaged: int = 0
    """With a hole, without their beginning, or too large."""
    awaiting_key: int = 0
    """Whole, but they refer to access units that were lost or never seen."""
    without_format: int = 0
    """Key frames before any parameter sets."""
    parameter_sets: int = 0
    """Parameter sets that made no sense, or were too many."""


class Depacketiser(ABC):
    """Puts access units together; the codec's payload format is the subclass's part."""

    _meaning: tuple[int, ...]
    """By NAL unit type."""
    _kind_mask: int
    """Where the type stands in the first octet."""
    _fragment_kind: int
    """The first octet of a fragment, under the mask."""
    _fragment_header_bytes: int
    """Payload header and fragment header together."""
    _middle_shift: int
    """Leaves these headers of the first four octets of a payload."""
    _middle_mask: int
    """Type and end bit in them."""
    _middle_kind: int
    """A fragment that does not end its unit, under the mask."""

    def __init__(self, parameter_sets: ParameterSets) -> None:
        self._parameter_sets = parameter_sets
        self.access_units: list[UntimedAccessUnit] = []
        """Whole access units; the receiver takes them out."""
        self.losses = Losses()
        self.awaiting_key = True
        self._parts: list[bytes] = []
        """Of the access unit under construction."""
        self._size = 0
        """Of the parts together."""
        self._timestamp = -1
        self._has_slice = False
        self._key = False
        self._recovery_point = False
        self._slice_head = 0
        """The first octet of the first slice, behind its NAL unit header."""
        self._since_key = 0
        self._damaged = False
        self.unit_at = -1
        """The part with the length of the unfinished NAL unit; -1 when there is none."""
        self._before_unit = 0
        """Size of the parts before that one."""
        self._nal_header = b""
        """Of a fragmented unit, which its fragments lack."""
        self._nal_meaning = 0
        self._run_bytes = 0
        self._run = _LENGTH
        """Splits equally long packets, `_run_bytes` each."""
        self._finished_timestamp = -1
        self._marker_ends_unit = True

    def push(
        self, view: memoryview, start: int, end: int, timestamp: int, marker: bool, lost: bool
    ) -> None:
        """One RTP payload, view[start:end]; `lost`: packets before it are missing."""
        fragment = start + self._fragment_header_bytes
        if (
            timestamp == self._timestamp
            and self.unit_at >= 0
            and not (lost or marker)
            and end > fragment
            and view[start] & self._kind_mask == self._fragment_kind
            and view[fragment - 1] < 0x40
            and self._size + end - fragment <= MAX_ACCESS_UNIT_BYTES
            and len(self._parts) < MAX_PARTS
        ):
            # Nine packets of ten: the middle of a fragmented unit (neither start nor end bit).
            # Everything else, and these too, could take the way below.
            self._parts.append(view[fragment:end].tobytes())
            self._size += end - fragment
            return
        if lost:
            self._note_loss()
        if timestamp != self._timestamp:
            if self._parts or self._damaged:
                # The end of an access unit whose marker was never set or was lost.
                self._finish()
            self._timestamp = timestamp
        self._unpack(view, start, end)
        if marker and self._marker_ends_unit and self._has_slice:
            self._finish()  # a marker before any slice is misused: it ends no access unit

    def run_on(self, view: memoryview, at: int, following: int, end: int) -> tuple[int, int]:
        """Take what of the unit under construction lies behind the packet just pushed.

        That one is view[at:following], interleaved head and all, with a plain RTP header and
        without a marker. Answers where the next packet begins, and how many were taken. Behind
        the first fragment of a unit come dozens of packets that differ in nothing but their
        sequence number, which must count on: one comparison of the whole head decides. The last
        fragment may differ in its length and its marker. Whatever else differs is left to `push`.
        """
        unpack, shift = _WHOLE_HEAD.unpack_from, self._middle_shift
        size = following - at
        if size < _WHOLE_HEAD.size:
            return following, 0
        head, stamp, begins = unpack(view, at)
        middle = begins >> shift & ~_START_BIT
        if middle & self._middle_mask != self._middle_kind:
            return following, 0
        at, taken = following, 0
        if end - at >= size:
            taken = self._take_run(view, at, end, size, (head, stamp, middle))
            at += taken * size
        if end - at < _WHOLE_HEAD.size:
            return at, taken
        its_head, its_stamp, its_begins = unpack(view, at)
        begins_at = at + _BEFORE_PAYLOAD + self._fragment_header_bytes
        stop = at + 4 + (its_head >> 32 & 0xFFFF)
        if (
            its_begins >> shift == middle | _END_BIT
            and its_stamp == stamp
            and (its_head ^ head + taken + 1) & _SAME_IN_LAST == 0
            and begins_at < stop <= end
            and stop <= at + size
        ):
            self._append(view, begins_at, stop)
            self._close_unit()
            if its_head & _MARKER and self._marker_ends_unit and self._has_slice:
                self._finish()
            return stop, taken + 1
        return at, taken

    def _take_run(
        self, view: memoryview, at: int, end: int, size: int, before: tuple[int, int, int]
    ) -> int:
        """Take the middles from view[at] on that are `size` long like the one `before` them."""
        head, stamp, middle = before
        header_bytes, parts = self._fragment_header_bytes, self._parts
        fragment_bytes = size - _BEFORE_PAYLOAD - header_bytes
        if size != self._run_bytes:
            self._run_bytes = size
            self._run = struct.Struct(f"!QQ{header_bytes}s{fragment_bytes}s")
        header = middle.to_bytes(header_bytes, "big")
        room = min((MAX_ACCESS_UNIT_BYTES - self._size) // fragment_bytes, MAX_PARTS - len(parts))
        most = (end - at) // size
        if most > room:
            most = max(room, 0)
        first = head
        for its_head, its_stamp, its_header, fragment in self._run.iter_unpack(
            view[at : at + most * size]
        ):
            if its_head != head + 1 or its_stamp != stamp or its_header != header:
                break
            head = its_head
            parts.append(fragment)
        self._size += (head - first) * fragment_bytes
        return head - first

    @abstractmethod
    def _unpack(self, view: memoryview, start: int, end: int) -> None:
        """Split a payload into NAL units or fragments of them."""

    def _note_loss(self) -> None:
        # What is missing may be the tail of this access unit, the head of the next, or whole
        # access units between: none of what follows may refer to it.
        self.awaiting_key = True
        if self._has_slice or self.unit_at >= 0:
            self._damaged = True

    def _add_unit(self, kind: int, view: memoryview, start: int, end: int, slice_head: int) -> None:
        """A whole NAL unit."""
        meaning = self._meaning[kind]
        if self.unit_at < 0 and not meaning & _SLICE:
            # What stands before most pictures: SEI, delimiters. The way below would do as well.
            self._add_message(meaning, view[start:end].tobytes())
            return
        self._open_unit(kind, slice_head)
        self._append(view, start, end)
        self._close_unit()

    def _add_message(self, meaning: int, unit: bytes) -> None:
        """A whole NAL unit that is no slice."""
        if _START_CODE in unit:
            self._add_annex_b(unit)
        elif meaning & _PARAMETERS:
            self._parameter_sets.take(unit, self._has_slice)
            self.losses.parameter_sets = self._parameter_sets.refused
        elif not meaning & _DROPPED:
            if meaning & _SEI and not self._has_slice:
                head = self._fragment_header_bytes - 1
                self._recovery_point |= is_recovery_point(unit, head)
            if self._size + len(unit) > MAX_ACCESS_UNIT_BYTES or len(self._parts) >= MAX_PARTS:
                self._damaged = True
                return
            self._parts.append(_LENGTH.pack(len(unit)) + unit)
            self._size += 4 + len(unit)

    def _open_unit(self, kind: int, slice_head: int, header: bytes = b"") -> None:
        """Begin a NAL unit; `slice_head` is the octet after its header, `header` what of it the
        fragments lack."""
        if self.unit_at >= 0:
            # The unit before it never ended.
            self._damaged = True
            self._close_unit()
        meaning = self._meaning[kind]
        if meaning & _SLICE and not self._has_slice:
            self._has_slice, self._slice_head = True, slice_head
            # first_mb_in_slice = 0 is the single bit 1 (ITU-T H.264 section 7.3.3);
            # first_slice_segment_in_pic_flag (ITU-T H.265 section 7.3.6.1).
            if not slice_head & 0x80:
                self._damaged = True
                if self._timestamp == self._finished_timestamp:
                    # A marker on every slice (quirk 34): only the timestamp tells access units
                    # apart.
                    self._marker_ends_unit = False
        if meaning & _KEY:
            self._key = True
        self._nal_meaning = meaning
        parts = self._parts
        if self._size > MAX_ACCESS_UNIT_BYTES or len(parts) >= MAX_PARTS:
            # Empty units alone could grow it for ever.
            self._damaged = True
            parts.clear()
            self._size = 0
        self.unit_at, self._before_unit, self._nal_header = len(parts), self._size, header
        parts.append(_PLACE_OF_LENGTH)
        self._size += 4 + len(header)

    def _append(self, view: memoryview, start: int, end: int) -> None:
        """Octets of the open NAL unit; past the bounds of an access unit they are dropped."""
        size = self._size + end - start
        if self.unit_at < 0 or size > MAX_ACCESS_UNIT_BYTES or len(self._parts) >= MAX_PARTS:
            self._damaged = True
            return
        self._parts.append(view[start:end].tobytes())
        self._size = size

    def _close_unit(self) -> None:
        at = self.unit_at
        if at < 0:
            return
        self.unit_at = -1
        parts = self._parts
        if self._nal_meaning & _SLICE:
            parts[at] = _LENGTH.pack(self._size - self._before_unit - 4) + self._nal_header
            return
        unit = self._nal_header + b"".join(parts[at + 1 :])
        del parts[at:]
        self._size = self._before_unit
        if not self._damaged:  # else it may be the unit that has the hole
            self._add_message(self._nal_meaning, unit)

    def _add_annex_b(self, data: bytes) -> None:
        """Units with start codes between them, where one unit should be (quirk 34).

        No NAL unit can hold a start code (ITU-T H.264 section 7.4.1). It is looked for in all but
        slices, which are most of the octets: such a payload begins with something else.
        """
        head = self._fragment_header_bytes - 1
        for unit in data.split(_START_CODE):
            unit = unit.rstrip(b"\0")  # the first octet of a start code of four
            if len(unit) > head:
                kind = unit[0] & 0x1F if head == 1 else unit[0] >> 1 & 0x3F
                self._add_unit(kind, memoryview(unit), 0, len(unit), unit[head])

    def _finish(self) -> None:
        """End the access unit: hand it out, or count why not."""
        if self.unit_at >= 0:
            self._damaged = True
        if self._has_slice:
            self._deliver()
            self._finished_timestamp = self._timestamp
        self._parts.clear()
        self._size = 0
        self.unit_at = -1
        self._has_slice = self._key = self._damaged = self._recovery_point = False
        if self._parameter_sets.following:
            self._parameter_sets.next_access_unit()

    def _deliver(self) -> None:
        if self._damaged or self._size > MAX_ACCESS_UNIT_BYTES:
            self.losses.damaged += 1
            self.awaiting_key = True
            return
        data = b"".join(self._parts)
        key = self._key or self._is_unmarked_key()
        self._since_key = 0 if key else self._since_key + 1
        if self.awaiting_key and not key:
            self.losses.awaiting_key += 1
            return
        if key and self._parameter_sets.several:
            self._parameter_sets.activate(data)
        video_format = self._parameter_sets.format
        if video_format is None:
            self.losses.without_format += 1
            return
        self.awaiting_key = False
        self.access_units.append(UntimedAccessUnit(data, key, self._timestamp, video_format))

    def _is_unmarked_key(self) -> bool:
        """Whether a decoder can start with a picture whose NAL unit type does not say so."""
        return self._recovery_point


def _table(size: int, meanings: dict[int, int]) -> tuple[int, ...]:
    return tuple(meanings.get(kind, 0) for kind in range(size))


_H264_MEANING = _table(
    32,
    # ITU-T H.264 table 7-1.
    dict.fromkeys((1, 2), _SLICE)
    | {5: _SLICE | _KEY}
    | {6: _SEI}
    | {7: _PARAMETERS, 8: _PARAMETERS}
    | dict.fromkeys((0, 9, 10, 11, 12, 24, 25, 26, 27, 28, 29, 30, 31), _DROPPED),
)
_H265_MEANING = _table(
    64,
    # ITU-T H.265 table 7-1.
    dict.fromkeys(range(10), _SLICE)
    | dict.fromkeys(range(16, 24), _SLICE | _KEY)
    | dict.fromkeys((32, 33, 34), _PARAMETERS)
    | {39: _SEI}
    | dict.fromkeys((35, 36, 37, 38, *range(48, 64)), _DROPPED),
)


class H264Depacketiser(Depacketiser):
    """RFC 6184, packetization modes 0 and 1: single NAL units, STAP-A, FU-A."""

    _kind_mask = 0x1F
    _fragment_kind = 28
    _fragment_header_bytes = 2
    _middle_shift = 16
    _middle_mask = 0x1F40
    _middle_kind = 28 << 8

    _meaning = _H264_MEANING

    def _is_unmarked_key(self) -> bool:
        """There are encoders that put the message of a recovery point before every picture, and
        some that send I pictures without it and no IDR picture ever."""
        if not self._recovery_point and self._since_key < _UNMARKED_AFTER:
            return False
        # first_mb_in_slice 0, and slice_type 7 or 2 (ITU-T H.264 sections 7.3.3 and 9.1).
        return self._slice_head == 0x88 or self._slice_head & 0xF0 == 0xB0

    def _unpack(self, view: memoryview, start: int, end: int) -> None:
        if end - start < 2:
            return  # an empty packet, as some cameras send (quirk 34)
        kind = view[start] & 0x1F
        if kind == 28:  # FU-A, section 5.8
            header = view[start + 1]
            if header & 0x80:
                if end - start < 3:
                    return
                nal_header = _OCTETS[view[start] & 0xE0 | header & 0x1F]
                self._open_unit(header & 0x1F, view[start + 2], nal_header)
            self._append(view, start + 2, end)
            if header & 0x40:
                self._close_unit()
        elif kind == 24:  # STAP-A, section 5.7.1
            at = start + 1
            while at + 3 < end:
                size = view[at] << 8 | view[at + 1]
                at += 2
                if size == 0:
                    return  # padding behind the last unit (quirk 50)
                if at + size > end:
                    self._damaged = True
                    return
                if size > 1:  # else a unit of its header alone, which says nothing to us
                    self._add_unit(view[at] & 0x1F, view, at, at + size, view[at + 1])
                at += size
        else:
            self._add_unit(kind, view, start, end, view[start + 1])


class H265Depacketiser(Depacketiser):
    """RFC 7798: single NAL units, aggregation packets, fragmentation units, without DON."""

    _kind_mask = 0x7E
    _fragment_kind = 49 << 1
    _fragment_header_bytes = 3
    _middle_shift = 8
    _middle_mask = 0x7E0040
    _middle_kind = 49 << 17

    _meaning = _H265_MEANING

    def _unpack(self, view: memoryview, start: int, end: int) -> None:
        if end - start < 3:
            return
        kind = view[start] >> 1 & 0x3F
        if kind == 49:  # FU, section 4.4.3
            header = view[start + 2]
            if header & 0x80:
                if end - start < 4:
                    return
                nal_header = _OCTETS[view[start] & 0x81 | (header & 0x3F) << 1]
                nal_header += _OCTETS[view[start + 1]]
                self._open_unit(header & 0x3F, view[start + 3], nal_header)
            self._append(view, start + 3, end)
            if header & 0x40:
                self._close_unit()
        elif kind == 48:  # AP, section 4.4.2
            at = start + 2
            while at + 4 < end:
                size = view[at] << 8 | view[at + 1]
                at += 2
                if size == 0:
                    return
                if at + size > end:
                    self._damaged = True
                    return
                if size > 2:
                    self._add_unit(view[at] >> 1 & 0x3F, view, at, at + size, view[at + 2])
                at += size
        else:
            self._add_unit(kind, view, start, end, view[start + 2])


def depacketiser_for(codec: Codec, parameter_sets: tuple[bytes, ...]) -> Depacketiser:
    """The depacketiser of a codec, knowing the parameter sets of the description."""
    sets = ParameterSets(codec, parameter_sets)
    return H264Depacketiser(sets) if codec is Codec.H264 else H265Depacketiser(sets)
