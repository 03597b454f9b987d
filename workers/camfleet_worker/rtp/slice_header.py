# SPDX-License-Identifier: Apache-2.0
"""The few fields of a slice header that are read (ITU-T H.264 section 7.3.3). Pure.

Called by the timeline, at most once a GOP while it is not known whether a camera makes B-frames,
and by the depacketiser at key frames of streams with several SPS.

Compiled by mypyc (workers/compile_media.py): no attribute may be added from outside, none may be of
another type than declared, and nothing may be set on the class by a test.
"""

from __future__ import annotations

from camfleet_worker.media_types.access_unit import Codec, SliceFields
from camfleet_worker.rtp.bits import BitReader, BitsExhausted, without_emulation_prevention

_HEAD_BYTES = 32
"""The fields read here lie in the first 20 octets, whatever they hold."""
_FIRST_IRAP, _FIRST_NO_SLICE = 16, 32
"""nal_unit_type of H.265, table 7-1."""
_B_SLICES = (1, 6)
"""slice_type, table 7-6."""
_IDR = 5
"""nal_unit_type, table 7-1."""


def is_b_picture(data: bytes) -> bool:
    """Whether the first slice of a picture (length-prefixed NAL units) is a B slice."""
    _, reader = _first_slice(data)
    try:
        reader.unsigned()  # first_mb_in_slice
        return reader.unsigned() in _B_SLICES
    except BitsExhausted:
        return False


def parameter_set_number(data: bytes, codec: Codec) -> int | None:
    """The id of the PPS that the first slice of a picture names; None where it cannot be read.

    ITU-T H.264 section 7.3.3, H.265 section 7.3.6.1.
    """
    try:
        if codec is Codec.H264:
            _, reader = _first_slice(data)
            reader.unsigned()  # first_mb_in_slice
            reader.unsigned()  # slice_type
            return reader.unsigned()
        kind, reader = _first_h265_slice(data)
        reader.flag()  # first_slice_segment_in_pic_flag
        if kind >= _FIRST_IRAP:
            reader.flag()  # no_output_of_prior_pics_flag
        return reader.unsigned()
    except BitsExhausted:
        return None


def picture_order_count(data: bytes, fields: SliceFields) -> int | None:
    """pic_order_cnt_lsb of a picture; None where it cannot be read.

    An IDR picture has one too, and it need not be 0.
    """
    unit_type, reader = _first_slice(data)
    try:
        for _ in range(3):  # first_mb_in_slice, slice_type, pic_parameter_set_id
            reader.unsigned()
        reader.bits(2 * fields.separate_planes + fields.frame_num_bits)
        if not fields.frames_only and reader.flag():  # field_pic_flag
            reader.flag()  # bottom_field_flag
        if unit_type == _IDR:
            reader.unsigned()  # idr_pic_id
        return reader.bits(fields.order_bits)
    except BitsExhausted:
        return None


def _first_slice(data: bytes) -> tuple[int, BitReader]:
    """nal_unit_type of the first slice, and what is behind that header; empty where none is."""
    at = 0
    while at + 5 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        at += 4
        unit_type = data[at] & 0x1F
        if unit_type in (1, 2, _IDR):
            head = data[at + 1 : at + min(size, _HEAD_BYTES)]
            return unit_type, BitReader(without_emulation_prevention(head))
        at += size
    return 0, BitReader(b"")


def _first_h265_slice(data: bytes) -> tuple[int, BitReader]:
    """The type of the first slice segment of a picture, and what is behind its header."""
    at = 0
    while at + 6 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        at += 4
        kind = data[at] >> 1 & 0x3F
        if kind < _FIRST_NO_SLICE:
            head = data[at + 2 : at + min(size, _HEAD_BYTES)]
            return kind, BitReader(without_emulation_prevention(head))
        at += size
    return 0, BitReader(b"")
