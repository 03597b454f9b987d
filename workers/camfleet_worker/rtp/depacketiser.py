# SPDX-License-Identifier: Apache-2.0
"""From RTP payloads to whole pictures in length-prefixed form, with as few copies as possible.

Called by the media loop's receiver, once per packet: this is the hottest code of the worker. Each
octet is copied twice, into the picture under construction and into the picture handed out. A
picture with a hole is never handed out, and nor is what refers to it: after a loss everything is
dropped until the next key frame. A recorder of evidence prefers an honest gap, which is counted
and can be shown, over a picture that a decoder has made up; over TCP losses are rare, they come
from cameras whose send buffer overflows.

Sequence numbers are the receiver's business; it says when one is missing.
"""

from __future__ import annotations

import struct
from abc import ABC, abstractmethod
from dataclasses import dataclass

from camfleet_worker.media.access_unit import Codec, VideoFormat
from camfleet_worker.rtp.parameter_sets import ParameterSets

MAX_PICTURE_BYTES = 8 * 1024 * 1024
"""An 8K key frame at the best quality takes some 4 MiB."""

_LENGTH = struct.Struct("!I")
_WHOLE_HEAD = struct.Struct("!QQI")
"""An interleaved RTP packet as three numbers: all that comes before the timestamp, the sequence
number last; timestamp and SSRC; the first four octets of the payload."""
_BEFORE_PAYLOAD = 16
_SAME_IN_LAST = 0xFFFF0000_FF7FFFFF
"""Of all that comes before the timestamp: not the length, not the marker."""
_MARKER = 0x00800000
_START_BIT, _END_BIT = 0x80, 0x40
"""Of a fragment header, in both codecs the last octet before the fragment."""
_NO_LENGTH = bytes(4)
_START_CODE = b"\0\0\1"

# What a NAL unit type means to us.
_SLICE = 1
_KEY = 2
_PARAMETERS = 4
_DROPPED = 8


@dataclass(slots=True)
class Picture:
    """One whole coded picture, still on the camera's clock."""

    data: bytes
    key: bool
    timestamp: int
    """RTP timestamp, 32 bits."""
    format: VideoFormat


@dataclass(slots=True)
class Losses:
    """Pictures that arrived and were not handed out."""

    damaged: int = 0
    """With a hole, without their beginning, or too large."""
    awaiting_key: int = 0
    """Whole, but they refer to pictures that were lost or never seen."""
    without_format: int = 0
    """Key frames before any parameter sets."""


class Depacketiser(ABC):
    """Puts pictures together; the codec's payload format is the subclass's part."""

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
        self.pictures: list[Picture] = []
        """Whole pictures; the receiver takes them out."""
        self.losses = Losses()
        self.awaiting_key = True
        self._buffer = bytearray()
        self._timestamp = -1
        self._has_slice = False
        self._key = False
        self._damaged = False
        self.unit_at = -1
        """Where in the buffer the unfinished NAL unit's length stands; -1 when there is none."""
        self._nal_meaning = 0
        self._finished_timestamp = -1
        self._marker_ends_picture = True

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
            and len(self._buffer) + end - fragment <= MAX_PICTURE_BYTES
        ):
            # Nine packets of ten: the middle of a fragmented unit (neither start nor end bit).
            # Everything else, and these too, could take the way below.
            self._buffer += view[fragment:end]
            return
        if lost:
            self._note_loss()
        if timestamp != self._timestamp:
            if self._buffer or self._damaged:
                # The end of a picture whose marker was never set or was lost.
                self._finish()
            self._timestamp = timestamp
        self._unpack(view, start, end)
        if marker and self._marker_ends_picture and self._has_slice:
            self._finish()  # a marker before any slice is misused: it ends no picture

    def run_on(self, view: memoryview, at: int, following: int, end: int) -> tuple[int, int]:
        """Take what of the unit under construction lies behind the packet just pushed.

        That one is view[at:following], interleaved head and all, with a plain RTP header and
        without a marker. Answers where the next packet begins, and how many were taken. Behind
        the first fragment of a unit come dozens of packets that differ in nothing but their
        sequence number, which must count on: one comparison of the whole head tells. The last
        fragment may differ in its length and its marker. Whatever else differs is left to `push`.
        """
        size, buffer = following - at, self._buffer
        if size < _WHOLE_HEAD.size:
            return following, 0
        unpack, shift = _WHOLE_HEAD.unpack_from, self._middle_shift
        head, stamp, begins = unpack(view, at)
        middle = begins >> shift & ~_START_BIT
        if middle & self._middle_mask != self._middle_kind:
            return following, 0
        skipped = _BEFORE_PAYLOAD + self._fragment_header_bytes
        room = MAX_PICTURE_BYTES - len(buffer)
        at = following
        last = min(end - _WHOLE_HEAD.size, following + room - size)
        while at <= last:
            head += 1
            its_head, its_stamp, its_begins = unpack(view, at)
            its_middle = its_begins >> shift
            if its_head == head and its_stamp == stamp and its_middle == middle:
                if at + size > end:
                    break
                buffer += view[at + skipped : at + size]
                at += size
                continue
            stop = at + 4 + (its_head >> 32 & 0xFFFF)
            if (
                its_middle == middle | _END_BIT
                and its_stamp == stamp
                and (its_head ^ head) & _SAME_IN_LAST == 0
                and at + skipped < stop <= min(end, at + size)
            ):
                buffer += view[at + skipped : stop]
                self._close_unit()
                if its_head & _MARKER and self._marker_ends_picture and self._has_slice:
                    self._finish()
                return stop, (at - following) // size + 1
            break
        return at, (at - following) // size

    @abstractmethod
    def _unpack(self, view: memoryview, start: int, end: int) -> None:
        """Split a payload into NAL units or fragments of them."""

    def _note_loss(self) -> None:
        # What is missing may be the tail of this picture, the head of the next, or whole
        # pictures between: none of what follows may refer to it.
        self.awaiting_key = True
        if self._has_slice or self.unit_at >= 0:
            self._damaged = True

    def _add_unit(self, kind: int, view: memoryview, start: int, end: int, slice_head: int) -> None:
        """A whole NAL unit."""
        meaning, buffer = self._meaning[kind], self._buffer
        size = end - start
        if self.unit_at < 0 and not meaning & _SLICE and len(buffer) + size <= MAX_PICTURE_BYTES:
            # What stands before most pictures: SEI, delimiters. The way below would do as well.
            unit = bytes(view[start:end])
            if _START_CODE in unit:
                self._add_annex_b(unit)
            elif meaning & _PARAMETERS:
                if not self._damaged:
                    self._parameter_sets.take(unit)
            elif not meaning & _DROPPED:
                buffer += _LENGTH.pack(size)
                buffer += unit
            return
        self._open_unit(kind, slice_head)
        self._append(view, start, end)
        self._close_unit()

    def _open_unit(self, kind: int, slice_head: int) -> None:
        """Begin a NAL unit; `slice_head` is the octet after its header."""
        if self.unit_at >= 0:
            # The unit before it never ended.
            self._damaged = True
            self._close_unit()
        meaning = self._meaning[kind]
        if meaning & _SLICE and not self._has_slice:
            self._has_slice = True
            # first_mb_in_slice = 0 is the single bit 1 (ITU-T H.264 section 7.3.3);
            # first_slice_segment_in_pic_flag (ITU-T H.265 section 7.3.6.1).
            if not slice_head & 0x80:
                self._damaged = True
                if self._timestamp == self._finished_timestamp:
                    # A marker on every slice (quirk 34): only the timestamp tells pictures apart.
                    self._marker_ends_picture = False
        if meaning & _KEY:
            self._key = True
        self._nal_meaning = meaning
        if len(self._buffer) > MAX_PICTURE_BYTES:
            self._buffer.clear()  # it is damaged, and empty units alone could grow it for ever
        self.unit_at = len(self._buffer)
        self._buffer += _NO_LENGTH

    def _append(self, view: memoryview, start: int, end: int) -> None:
        """Octets of the open NAL unit; past the bound of a picture they are dropped."""
        if self.unit_at < 0 or len(self._buffer) + end - start > MAX_PICTURE_BYTES:
            self._damaged = True
            return
        self._buffer += view[start:end]

    def _close_unit(self) -> None:
        at = self.unit_at
        if at < 0:
            return
        self.unit_at = -1
        buffer = self._buffer
        if not self._nal_meaning & _SLICE and buffer.find(_START_CODE, at + 4) >= 0:
            unit = bytes(buffer[at + 4 :])
            del buffer[at:]
            self._add_annex_b(unit)
        elif self._nal_meaning & (_PARAMETERS | _DROPPED):
            if self._nal_meaning & _PARAMETERS and not self._damaged:
                self._parameter_sets.take(bytes(buffer[at + 4 :]))
            del buffer[at:]
        else:
            _LENGTH.pack_into(buffer, at, len(buffer) - at - 4)

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
        """End the picture: hand it out, or count why not."""
        if self.unit_at >= 0:
            self._damaged = True
        if self._has_slice:
            self._deliver()
            self._finished_timestamp = self._timestamp
        self._buffer.clear()
        self.unit_at = -1
        self._has_slice = self._key = self._damaged = False

    def _deliver(self) -> None:
        if self._damaged or len(self._buffer) > MAX_PICTURE_BYTES:
            self.losses.damaged += 1
            self.awaiting_key = True
            return
        if self.awaiting_key and not self._key:
            self.losses.awaiting_key += 1
            return
        video_format = self._parameter_sets.format
        if video_format is None:
            self.losses.without_format += 1
            return
        self.awaiting_key = False
        self.pictures.append(Picture(bytes(self._buffer), self._key, self._timestamp, video_format))


def _table(size: int, meanings: dict[int, int]) -> tuple[int, ...]:
    return tuple(meanings.get(kind, 0) for kind in range(size))


class H264Depacketiser(Depacketiser):
    """RFC 6184, packetization modes 0 and 1: single NAL units, STAP-A, FU-A."""

    _kind_mask, _fragment_kind, _fragment_header_bytes = 0x1F, 28, 2
    _middle_shift, _middle_mask, _middle_kind = 16, 0x1F40, 28 << 8

    _meaning = _table(
        32,
        # ITU-T H.264 table 7-1.
        dict.fromkeys((1, 2), _SLICE)
        | {5: _SLICE | _KEY}
        | {7: _PARAMETERS, 8: _PARAMETERS}
        | dict.fromkeys((0, 9, 10, 11, 12, 24, 25, 26, 27, 28, 29, 30, 31), _DROPPED),
    )

    def _unpack(self, view: memoryview, start: int, end: int) -> None:
        if end - start < 2:
            return  # an empty packet, as some cameras send (quirk 34)
        kind = view[start] & 0x1F
        if kind == 28:  # FU-A, section 5.8
            header = view[start + 1]
            if header & 0x80:
                if end - start < 3:
                    return
                self._open_unit(header & 0x1F, view[start + 2])
                self._buffer.append(view[start] & 0xE0 | header & 0x1F)
            self._append(view, start + 2, end)
            if header & 0x40:
                self._close_unit()
        elif kind == 24:  # STAP-A, section 5.7.1
            at = start + 1
            while at + 3 < end:
                size = view[at] << 8 | view[at + 1]
                at += 2
                if size < 2 or at + size > end:
                    self._damaged = True
                    return
                self._add_unit(view[at] & 0x1F, view, at, at + size, view[at + 1])
                at += size
        else:
            self._add_unit(kind, view, start, end, view[start + 1])


class H265Depacketiser(Depacketiser):
    """RFC 7798: single NAL units, aggregation packets, fragmentation units, without DON."""

    _kind_mask, _fragment_kind, _fragment_header_bytes = 0x7E, 49 << 1, 3
    _middle_shift, _middle_mask, _middle_kind = 8, 0x7E0040, 49 << 17

    _meaning = _table(
        64,
        # ITU-T H.265 table 7-1.
        dict.fromkeys(range(10), _SLICE)
        | dict.fromkeys(range(16, 24), _SLICE | _KEY)
        | dict.fromkeys((32, 33, 34), _PARAMETERS)
        | dict.fromkeys((35, 36, 37, 38, *range(48, 64)), _DROPPED),
    )

    def _unpack(self, view: memoryview, start: int, end: int) -> None:
        if end - start < 3:
            return
        kind = view[start] >> 1 & 0x3F
        if kind == 49:  # FU, section 4.4.3
            header = view[start + 2]
            if header & 0x80:
                if end - start < 4:
                    return
                self._open_unit(header & 0x3F, view[start + 3])
                self._buffer.append(view[start] & 0x81 | (header & 0x3F) << 1)
                self._buffer.append(view[start + 1])
            self._append(view, start + 3, end)
            if header & 0x40:
                self._close_unit()
        elif kind == 48:  # AP, section 4.4.2
            at = start + 2
            while at + 4 < end:
                size = view[at] << 8 | view[at + 1]
                at += 2
                if size < 3 or at + size > end:
                    self._damaged = True
                    return
                self._add_unit(view[at] >> 1 & 0x3F, view, at, at + size, view[at + 2])
                at += size
        else:
            self._add_unit(kind, view, start, end, view[start + 2])


def depacketiser_for(codec: Codec, parameter_sets: tuple[bytes, ...]) -> Depacketiser:
    """The depacketiser of a codec, knowing the parameter sets of the description."""
    sets = ParameterSets(codec, parameter_sets)
    return H264Depacketiser(sets) if codec is Codec.H264 else H265Depacketiser(sets)
