# SPDX-License-Identifier: Apache-2.0
"""The parameter sets of a stream: what they say, and which are in force. Pure.

They come from the description and in band. The format object changes only when bytes change,
because each change costs a new segment and a new announcement.
"""

from __future__ import annotations

from dataclasses import dataclass

from camfleet_worker.media.access_unit import Codec, VideoFormat
from camfleet_worker.rtp.bits import BitReader, BitsExhausted, without_emulation_prevention

_MAX_SET_BYTES = 8 * 1024
_MAX_SETS = 32
"""Cameras use one of each kind; the standards allow hundreds."""
_MAX_SIDE = 16384
"""Samples per row or column; wider is no camera."""


@dataclass(frozen=True, slots=True)
class SequenceParameters:
    """The part of an SPS that we need: its number and the size of the picture shown."""

    set_id: int
    width: int
    height: int


# ITU-T H.264 section 7.3.2.1.1: profiles whose SPS carries chroma format and scaling lists.
_H264_HIGH_PROFILES = frozenset({100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135})


def parse_h264_sps(nal: bytes) -> SequenceParameters:
    """ITU-T H.264 section 7.3.2.1.1. Raises ValueError when it makes no sense."""
    reader = BitReader(without_emulation_prevention(nal[1:]))
    profile = reader.bits(8)
    reader.bits(16)  # constraint flags, level
    set_id = reader.unsigned()
    chroma_format = 1
    if profile in _H264_HIGH_PROFILES:
        chroma_format = _skip_h264_high_profile_fields(reader)
    _skip_h264_picture_order(reader)
    reader.unsigned()  # max_num_ref_frames
    reader.flag()  # gaps_in_frame_num_value_allowed_flag
    width = (reader.unsigned() + 1) * 16
    rows = reader.unsigned() + 1
    frames_only = reader.flag()
    height = rows * 16 * (1 if frames_only else 2)
    if not frames_only:
        reader.flag()  # mb_adaptive_frame_field_flag
    reader.flag()  # direct_8x8_inference_flag
    if reader.flag():  # frame_cropping_flag, equations 7-19 to 7-22
        left, right, top, bottom = (reader.unsigned() for _ in range(4))
        unit_x = 2 if chroma_format in (1, 2) else 1
        unit_y = (2 if chroma_format == 1 else 1) * (1 if frames_only else 2)
        width -= (left + right) * unit_x
        height -= (top + bottom) * unit_y
    return _sized(set_id, width, height)


def _skip_h264_high_profile_fields(reader: BitReader) -> int:
    chroma_format = reader.unsigned()
    if chroma_format == 3:
        reader.flag()  # separate_colour_plane_flag
    reader.unsigned()  # bit_depth_luma_minus8
    reader.unsigned()  # bit_depth_chroma_minus8
    reader.flag()  # qpprime_y_zero_transform_bypass_flag
    if reader.flag():  # seq_scaling_matrix_present_flag
        for index in range(12 if chroma_format == 3 else 8):
            if reader.flag():
                _skip_scaling_list(reader, 16 if index < 6 else 64)
    return chroma_format


def _skip_scaling_list(reader: BitReader, size: int) -> None:
    """ITU-T H.264 section 7.3.2.1.1.1."""
    last, following = 8, 8
    for _ in range(size):
        if following:
            following = (last + reader.signed()) % 256
        last = following or last


def _skip_h264_picture_order(reader: BitReader) -> None:
    reader.unsigned()  # log2_max_frame_num_minus4
    kind = reader.unsigned()  # pic_order_cnt_type
    if kind == 0:
        reader.unsigned()  # log2_max_pic_order_cnt_lsb_minus4
    elif kind == 1:
        reader.flag()  # delta_pic_order_always_zero_flag
        reader.signed()  # offset_for_non_ref_pic
        reader.signed()  # offset_for_top_to_bottom_field
        for _ in range(min(reader.unsigned(), 255)):
            reader.signed()


def parse_h265_sps(nal: bytes) -> SequenceParameters:
    """ITU-T H.265 section 7.3.2.2.1. Raises ValueError when it makes no sense."""
    reader = BitReader(without_emulation_prevention(nal[2:]))
    reader.bits(4)  # sps_video_parameter_set_id
    sub_layers = reader.bits(3)  # sps_max_sub_layers_minus1
    reader.flag()  # sps_temporal_id_nesting_flag
    _skip_profile_tier_level(reader, sub_layers)
    set_id = reader.unsigned()
    chroma_format = reader.unsigned()
    if chroma_format == 3:
        reader.flag()  # separate_colour_plane_flag
    width, height = reader.unsigned(), reader.unsigned()
    if reader.flag():  # conformance_window_flag, table 6-1 and section 7.4.3.2.1
        left, right, top, bottom = (reader.unsigned() for _ in range(4))
        width -= (left + right) * (2 if chroma_format in (1, 2) else 1)
        height -= (top + bottom) * (2 if chroma_format == 1 else 1)
    return _sized(set_id, width, height)


def _skip_profile_tier_level(reader: BitReader, sub_layers: int) -> None:
    """ITU-T H.265 section 7.3.3: 88 bits of profile and 8 of level, then per sub-layer."""
    reader.bits(96)
    present = [(reader.flag(), reader.flag()) for _ in range(sub_layers)]
    if sub_layers:
        reader.bits(2 * (8 - sub_layers))
    for profile, level in present:
        reader.bits(88 * profile + 8 * level)


def _sized(set_id: int, width: int, height: int) -> SequenceParameters:
    if not (0 < width <= _MAX_SIDE and 0 < height <= _MAX_SIDE and set_id < 256):
        raise ValueError("the picture's size makes no sense")
    return SequenceParameters(set_id, width, height)


class ParameterSets:
    """Collects parameter sets and hands out the format that they make."""

    def __init__(self, codec: Codec, initial: tuple[bytes, ...] = ()) -> None:
        self._codec = codec
        self._sets: dict[tuple[int, int], bytes] = {}
        self._size: SequenceParameters | None = None
        self._format: VideoFormat | None = None
        self.refused = 0
        for nal in initial:
            self.take(nal)

    @property
    def format(self) -> VideoFormat | None:
        """The format in force: the same object while no byte changes; None while a kind lacks."""
        if self._format is None and self._size is not None and self._complete():
            self._format = VideoFormat(
                self._codec,
                tuple(nal for _, nal in sorted(self._sets.items())),
                self._size.width,
                self._size.height,
            )
        return self._format

    def take(self, nal: bytes) -> None:
        """One set, seen for the first time or for the thousandth."""
        if nal in self._sets.values():
            return
        try:
            key, size = self._identify(nal)
        except (ValueError, IndexError):
            self.refused += 1
            return
        if len(nal) > _MAX_SET_BYTES or (key not in self._sets and len(self._sets) >= _MAX_SETS):
            self.refused += 1
            return
        self._sets[key] = nal
        self._size = size or self._size
        self._format = None

    def _identify(self, nal: bytes) -> tuple[tuple[int, int], SequenceParameters | None]:
        """(kind, id): a set replaces the one of the same kind and id."""
        if self._codec is Codec.H264:
            kind = nal[0] & 0x1F
            if kind == 7:
                size = parse_h264_sps(nal)
                return (kind, size.set_id), size
            if kind == 8:
                return (kind, BitReader(nal[1:9]).unsigned()), None
        else:
            kind = (nal[0] >> 1) & 0x3F
            if kind == 33:
                size = parse_h265_sps(nal)
                return (kind, size.set_id), size
            if kind == 32:
                return (kind, nal[2] >> 4), None
            if kind == 34:
                return (kind, BitReader(nal[2:10]).unsigned()), None
        raise ValueError("not a parameter set")

    def _complete(self) -> bool:
        needed = {7, 8} if self._codec is Codec.H264 else {32, 33, 34}
        return needed <= {kind for kind, _ in self._sets}


__all__ = [
    "BitsExhausted",
    "ParameterSets",
    "SequenceParameters",
    "parse_h264_sps",
    "parse_h265_sps",
]
