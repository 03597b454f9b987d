# SPDX-License-Identifier: Apache-2.0
"""The parameter sets of a stream: their values, and which are in force. Pure.

They come from the description and in band, before any access unit. The format object changes only
when bytes change, or when a key frame means another SPS.
"""

from __future__ import annotations

from dataclasses import dataclass

from camfleet_worker.media_types.access_unit import Codec, Reordering, SliceFields, VideoFormat
from camfleet_worker.rtp.bits import BitReader, BitsExhausted, without_emulation_prevention
from camfleet_worker.rtp.slice_header import parameter_set_number

_MAX_SET_BYTES = 8 * 1024
_MAX_BYTES = 64 * 1024
"""Of all sets together. Cameras use some 100 octets."""
_MOST = {7: 31, 8: 255, 32: 16, 33: 16, 34: 64}
"""Of each kind, by NAL unit type: the ids that the standards have, and for H.264 what fits in the
record of an MP4 (ISO/IEC 14496-15 section 5.3.3.1)."""
_MOST_FOLLOWING = 64
_PPS = {Codec.H264: 8, Codec.H265: 34}
_MAX_SIDE = 16384
"""Samples per row or column; wider is no camera."""
_MAX_REORDERED = 16
"""MaxDpbFrames and MaxDpbSize are at most this (ITU-T H.264 section A.3.1, H.265 section A.4.2)."""


@dataclass(frozen=True, slots=True)
class SequenceParameters:
    """The part of an SPS that we need: its number, the size and the order of the pictures shown."""

    set_id: int
    width: int
    height: int
    reordering: Reordering


# ITU-T H.264 section 7.3.2.1.1: profiles whose SPS carries chroma format and scaling lists.
_H264_HIGH_PROFILES = frozenset({100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135})


def parse_h264_sps(nal: bytes) -> SequenceParameters:
    """ITU-T H.264 section 7.3.2.1.1. Raises ValueError when it makes no sense."""
    reader = BitReader(without_emulation_prevention(nal[1:]))
    profile, constraints, level = reader.bits(8), reader.bits(8), reader.bits(8)
    set_id = reader.unsigned()
    chroma_format, separate_planes = 1, False
    if profile in _H264_HIGH_PROFILES:
        chroma_format, separate_planes, _ = _h264_high_profile_fields(reader)
    frame_num_bits = reader.unsigned() + 4
    order_type, order_bits = _h264_picture_order(reader)
    reader.unsigned()  # max_num_ref_frames
    reader.flag()  # gaps_in_frame_num_value_allowed_flag
    width = (reader.unsigned() + 1) * 16
    rows = reader.unsigned() + 1
    frames_only = reader.flag()
    height = rows * 16 * (1 if frames_only else 2)
    if not frames_only:
        reader.flag()  # mb_adaptive_frame_field_flag
    blocks = width * height // 256
    reader.flag()  # direct_8x8_inference_flag
    if reader.flag():  # frame_cropping_flag, equations 7-19 to 7-22
        left, right, top, bottom = (reader.unsigned() for _ in range(4))
        unit_x = 2 if chroma_format in (1, 2) else 1
        unit_y = (2 if chroma_format == 1 else 1) * (1 if frames_only else 2)
        width -= (left + right) * unit_x
        height -= (top + bottom) * unit_y
    # Baseline has no B slices, and type 2 says that output order is decoding order (7.4.2.1.1).
    most = 0
    if profile != 66 and order_type != 2 and blocks > 0:
        most = min(_dpb_macroblocks(profile, constraints, level) // blocks, _MAX_REORDERED)
    slices = SliceFields(separate_planes, frame_num_bits, frames_only, order_bits)
    return _sized(
        set_id,
        width,
        height,
        Reordering(
            declared=_h264_declared_reordering(reader) if most else 0,
            most=most,
            slices=slices if order_type == 0 else None,
        ),
    )


# ITU-T H.264 table A-1, MaxDpbMbs by level_idc.
_DPB_MACROBLOCKS = {
    **dict.fromkeys((9, 10), 396),
    11: 900,
    **dict.fromkeys((12, 13, 20), 2376),
    21: 4752,
    **dict.fromkeys((22, 30), 8100),
    31: 18000,
    32: 20480,
    **dict.fromkeys((40, 41), 32768),
    42: 34816,
    50: 110400,
    **dict.fromkeys((51, 52), 184320),
    **dict.fromkeys((60, 61, 62), 696320),
}


def _dpb_macroblocks(profile: int, constraints: int, level: int) -> int:
    """How many macroblocks a decoder of that level keeps; as many as any where it is unknown."""
    if level == 11 and profile in (77, 88) and constraints & 0x10:
        level = 9  # level 1b
    return _DPB_MACROBLOCKS.get(level, 696320)


def _h264_declared_reordering(reader: BitReader) -> int | None:
    """max_num_reorder_frames of the VUI (ITU-T H.264 section E.1.1); None where it is not given.

    A VUI that makes no sense counts as none: cameras write them by hand.
    """
    try:
        if not reader.flag():  # vui_parameters_present_flag
            return None
        _skip_h264_vui(reader)
        if not reader.flag():  # bitstream_restriction_flag
            return None
        reader.flag()  # motion_vectors_over_pic_boundaries_flag
        for _ in range(4):  # bytes and bits per picture and macroblock, motion vector lengths
            reader.unsigned()
        reordered = reader.unsigned()
    except BitsExhausted:
        return None
    return reordered if reordered <= _MAX_REORDERED else None


def _skip_h264_vui(reader: BitReader) -> None:
    """Up to bitstream_restriction_flag."""
    if reader.flag() and reader.bits(8) == 255:  # aspect_ratio_idc: Extended_SAR
        reader.bits(32)
    if reader.flag():  # overscan_info_present_flag
        reader.flag()
    if reader.flag():  # video_signal_type_present_flag
        reader.bits(4)
        if reader.flag():  # colour_description_present_flag
            reader.bits(24)
    if reader.flag():  # chroma_loc_info_present_flag
        reader.unsigned()
        reader.unsigned()
    if reader.flag():  # timing_info_present_flag
        reader.bits(65)
    conformance = False
    for _ in ("NAL", "VCL"):
        if reader.flag():
            conformance = True
            _skip_h264_hrd(reader)
    if conformance:
        reader.flag()  # low_delay_hrd_flag
    reader.flag()  # pic_struct_present_flag


def _skip_h264_hrd(reader: BitReader) -> None:
    """ITU-T H.264 section E.1.2."""
    buffers = min(reader.unsigned(), 31) + 1
    reader.bits(8)
    for _ in range(buffers):
        reader.unsigned()
        reader.unsigned()
        reader.flag()
    reader.bits(20)


def h264_samples(sps: bytes) -> tuple[int, int, int]:
    """chroma_format_idc, and by how much more than 8 the bits of luma and chroma are. Raises
    ValueError."""
    reader = BitReader(without_emulation_prevention(sps[1:]))
    profile = reader.bits(8)
    reader.bits(16)  # constraints, level_idc
    reader.unsigned()  # seq_parameter_set_id
    if profile not in _H264_HIGH_PROFILES:
        return 1, 0, 0
    chroma_format, _, (luma_bits, chroma_bits) = _h264_high_profile_fields(reader)
    return chroma_format, luma_bits, chroma_bits


def _h264_high_profile_fields(reader: BitReader) -> tuple[int, bool, tuple[int, int]]:
    """chroma_format_idc, separate_colour_plane_flag, bit depths of luma and chroma above 8."""
    chroma_format = reader.unsigned()
    separate_planes = chroma_format == 3 and reader.flag()
    depths = reader.unsigned(), reader.unsigned()
    reader.flag()  # qpprime_y_zero_transform_bypass_flag
    if reader.flag():  # seq_scaling_matrix_present_flag
        for index in range(12 if chroma_format == 3 else 8):
            if reader.flag():
                _skip_scaling_list(reader, 16 if index < 6 else 64)
    return chroma_format, separate_planes, depths


def _skip_scaling_list(reader: BitReader, size: int) -> None:
    """ITU-T H.264 section 7.3.2.1.1.1."""
    last, following = 8, 8
    for _ in range(size):
        if following:
            following = (last + reader.signed()) % 256
        last = following or last


def _h264_picture_order(reader: BitReader) -> tuple[int, int]:
    """pic_order_cnt_type, and how many bits a slice header has for the count in type 0."""
    kind, bits = reader.unsigned(), 0
    if kind == 0:
        bits = reader.unsigned() + 4
    elif kind == 1:
        reader.flag()  # delta_pic_order_always_zero_flag
        reader.signed()  # offset_for_non_ref_pic
        reader.signed()  # offset_for_top_to_bottom_field
        for _ in range(min(reader.unsigned(), 255)):
            reader.signed()
    return kind, bits


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
    reordered = _h265_declared_reordering(reader, sub_layers)
    return _sized(set_id, width, height, Reordering(reordered, reordered))


def h265_samples(sps: bytes) -> tuple[int, int, int]:
    """chroma_format_idc, and by how much more than 8 the bits of luma and chroma are: as most
    cameras have them where the SPS breaks off before."""
    reader = BitReader(without_emulation_prevention(sps[2:]))
    try:
        reader.bits(4)  # sps_video_parameter_set_id
        sub_layers = reader.bits(3)
        reader.flag()  # sps_temporal_id_nesting_flag
        _skip_profile_tier_level(reader, sub_layers)
        reader.unsigned()  # sps_seq_parameter_set_id
        chroma_format = reader.unsigned()
        if chroma_format == 3:
            reader.flag()  # separate_colour_plane_flag
        for _ in range(2):  # width, height
            reader.unsigned()
        for _ in range(4 if reader.flag() else 0):  # conformance window
            reader.unsigned()
        return chroma_format, reader.unsigned(), reader.unsigned()
    except BitsExhausted:
        return 1, 0, 0


def _h265_declared_reordering(reader: BitReader, sub_layers: int) -> int:
    """sps_max_num_reorder_pics of the highest sub-layer; 0 where the SPS breaks off before it."""
    reordered = 0
    try:
        for _ in range(3):  # bit depths, log2_max_pic_order_cnt_lsb_minus4
            reader.unsigned()
        for _ in range(sub_layers + 1 if reader.flag() else 1):
            reader.unsigned()  # sps_max_dec_pic_buffering_minus1
            reordered = reader.unsigned()
            reader.unsigned()  # sps_max_latency_increase_plus1
    except BitsExhausted:
        return 0
    return reordered if reordered <= _MAX_REORDERED else 0


def _skip_profile_tier_level(reader: BitReader, sub_layers: int) -> None:
    """ITU-T H.265 section 7.3.3: 88 bits of profile and 8 of level, then per sub-layer."""
    reader.bits(96)
    present = [(reader.flag(), reader.flag()) for _ in range(sub_layers)]
    if sub_layers:
        reader.bits(2 * (8 - sub_layers))
    for profile, level in present:
        reader.bits(88 * profile + 8 * level)


def _sized(set_id: int, width: int, height: int, reordering: Reordering) -> SequenceParameters:
    if not (0 < width <= _MAX_SIDE and 0 < height <= _MAX_SIDE and set_id < 256):
        raise ValueError("the picture's size makes no sense")
    return SequenceParameters(set_id, width, height, reordering)


class ParameterSets:
    """Collects parameter sets and hands out the format that they make."""

    def __init__(self, codec: Codec, initial: tuple[bytes, ...] = ()) -> None:
        self._codec = codec
        self._sets: dict[tuple[int, int], bytes] = {}
        self._bytes = 0
        self._sequences: dict[int, SequenceParameters] = {}
        """By the id of the SPS."""
        self._active: SequenceParameters | None = None
        self._format: VideoFormat | None = None
        self.following: list[bytes] = []
        """Sets that replace others from the next access unit on."""
        self.refused = 0
        """Sets that made no sense, or were too many."""
        for nal in initial:
            self.take(nal)

    @property
    def format(self) -> VideoFormat | None:
        """The format in force: the same object while no byte changes; None while a kind lacks."""
        if self._format is None and self._active is not None and self._complete():
            self._format = VideoFormat(
                self._codec,
                tuple(nal for _, nal in sorted(self._sets.items())),
                self._active.width,
                self._active.height,
                self._active.reordering,
            )
        return self._format

    @property
    def several(self) -> bool:
        """Whether a picture has to say which SPS is its own."""
        return len(self._sequences) > 1

    def take(self, nal: bytes, behind_slice: bool = False) -> None:
        """One set, seen for the first time or for the thousandth.

        `behind_slice`: a slice of the same access unit came before it. Then a set that replaces
        another belongs to the next access unit (ITU-T H.264 section 7.4.1.2.3, H.265 section
        7.4.2.4.4). One with an id of its own serves at once: no slice before it can mean it.
        """
        if nal in self._sets.values() and not self.following:
            return
        try:
            key, sequence = self._identify(nal)
        except (ValueError, IndexError):
            self.refused += 1
            return
        if behind_slice and key in self._sets:
            if len(self.following) < _MOST_FOLLOWING:
                self.following.append(nal)
            return
        if not self._has_room(key, nal):
            self.refused += 1
            return
        self._bytes += len(nal) - len(self._sets.get(key, b""))
        self._sets[key] = nal
        if sequence is not None:
            self._sequences[sequence.set_id] = self._active = sequence
        self._format = None

    def next_access_unit(self) -> None:
        """Let those sets count that came behind a slice."""
        following, self.following = self.following, []
        for nal in following:
            self.take(nal)

    def activate(self, data: bytes) -> None:
        """Let the SPS count that the first slice of a key frame means by its PPS: its size is the
        picture's."""
        number = parameter_set_number(data, self._codec)
        pps = None if number is None else self._sets.get((_PPS[self._codec], number))
        if pps is None:
            return
        active = self._sequences.get(_sequence_of(pps, self._codec))
        if active is not None and active != self._active:
            self._active = active
            self._format = None

    def _has_room(self, key: tuple[int, int], nal: bytes) -> bool:
        if len(nal) > _MAX_SET_BYTES or self._bytes + len(nal) > _MAX_BYTES:
            return False
        kind, _ = key
        return key in self._sets or sum(one == kind for one, _ in self._sets) < _MOST[kind]

    def _identify(self, nal: bytes) -> tuple[tuple[int, int], SequenceParameters | None]:
        """(kind, id): a set replaces the one of the same kind and id."""
        if self._codec is Codec.H264:
            kind = nal[0] & 0x1F
            if kind == 7:
                sequence = parse_h264_sps(nal)
                return (kind, sequence.set_id), sequence
            if kind == 8:
                return (kind, BitReader(nal[1:9]).unsigned()), None
        else:
            kind = (nal[0] >> 1) & 0x3F
            if kind == 33:
                sequence = parse_h265_sps(nal)
                return (kind, sequence.set_id), sequence
            if kind == 32:
                return (kind, nal[2] >> 4), None
            if kind == 34:
                return (kind, BitReader(nal[2:10]).unsigned()), None
        raise ValueError("not a parameter set")

    def _complete(self) -> bool:
        needed = {7, 8} if self._codec is Codec.H264 else {32, 33, 34}
        return needed <= {kind for kind, _ in self._sets}


def _sequence_of(pps: bytes, codec: Codec) -> int:
    """seq_parameter_set_id (ITU-T H.264 section 7.3.2.2), pps_seq_parameter_set_id (H.265 section
    7.3.2.3.1); -1 where the PPS breaks off before it."""
    try:
        reader = BitReader(pps[1 if codec is Codec.H264 else 2 :][:16])
        reader.unsigned()  # the id of the PPS
        return reader.unsigned()
    except BitsExhausted:
        return -1


__all__ = [
    "BitsExhausted",
    "ParameterSets",
    "SequenceParameters",
    "h264_samples",
    "h265_samples",
    "parse_h264_sps",
    "parse_h265_sps",
]
