# SPDX-License-Identifier: Apache-2.0
"""Configuration records of MP4 and FLV (avcC, hvcC), written and read. Pure.

Every container of ours holds one. av could write them, but its parser of H.265's SPS takes minutes
over some that are cut off (18.1, with the interpreter's lock held), and a camera sends what it
likes. The export reads records, and puts the sets before access units where the format changes
within one file; they are read as untrusted: None for an invalid one.
"""

from __future__ import annotations

from collections.abc import Iterable

from camfleet_worker.media_types.access_unit import Codec, VideoFormat
from camfleet_worker.rtp.bits import without_emulation_prevention
from camfleet_worker.rtp.parameter_sets import h264_samples, h265_samples

_AVC_SETS_AT = 5
_HEVC_ARRAYS_AT = 22


# Profiles whose record says the form of a sample (ISO/IEC 14496-15 section 5.3.3.1.2).
_WITH_SAMPLES = frozenset({100, 110, 122, 144, 244})
_LENGTH_OF_FOUR = 3
"""lengthSizeMinusOne: access units have NAL units behind four octets of length."""


def configuration_record(video: VideoFormat) -> bytes:
    """The record of a format: ISO/IEC 14496-15 section 5.3.3.1 (avcC), 8.3.3.1 (hvcC)."""
    if video.codec is Codec.H264:
        return _avc_record(video.parameter_sets)
    return _hevc_record(video.parameter_sets)


def _avc_record(units: tuple[bytes, ...]) -> bytes:
    sps = [unit for unit in units if unit[0] & 0x1F == 7]
    pps = [unit for unit in units if unit[0] & 0x1F == 8]
    profile, compatibility, level = sps[0][1:4]
    head = bytes((1, profile, compatibility, level, 0xFC | _LENGTH_OF_FOUR, 0xE0 | len(sps)))
    record = head + _sized(sps) + bytes((len(pps),)) + _sized(pps)
    if profile in _WITH_SAMPLES:
        chroma, luma_bits, chroma_bits = h264_samples(sps[0])
        record += bytes((0xFC | chroma & 3, 0xF8 | luma_bits & 7, 0xF8 | chroma_bits & 7, 0))
    return record


def _hevc_record(units: tuple[bytes, ...]) -> bytes:
    by_kind = {
        kind: [unit for unit in units if unit[0] >> 1 & 0x3F == kind] for kind in (32, 33, 34)
    }
    sps = without_emulation_prevention(by_kind[33][0][2:])
    layers, nested = (sps[0] >> 1 & 7) + 1, sps[0] & 1
    chroma, luma_bits, chroma_bits = h265_samples(by_kind[33][0])
    # Profile, tier and level stand in the SPS as they do here (H.265 section 7.3.3). Unknown: the
    # segmentation, the parallelism, the frame rate.
    record = b"\1" + sps[1:13] + b"\xf0\0\xfc"
    record += bytes((0xFC | chroma & 3, 0xF8 | luma_bits & 7, 0xF8 | chroma_bits & 7, 0, 0))
    record += bytes((layers << 3 | nested << 2 | _LENGTH_OF_FOUR, len(by_kind)))
    for kind, found in by_kind.items():
        # array_completeness is 0: sets may change, and then stand among the samples.
        record += bytes((kind,)) + len(found).to_bytes(2, "big") + _sized(found)
    return record


def _sized(units: Iterable[bytes]) -> bytes:
    return b"".join(len(unit).to_bytes(2, "big") + unit for unit in units)


def begins_with_parameter_set(data: bytes, codec: Codec) -> bool:
    """Whether the first NAL unit of a recorded access unit is one, as where they stand in band."""
    if codec is Codec.H264:
        return data[4] & 0x1F in (7, 8)
    return data[4] >> 1 & 0x3F in (32, 33, 34)


def parameter_sets(codec: Codec, record: bytes) -> tuple[bytes, ...] | None:
    """The NAL units in a record: ISO/IEC 14496-15 section 5.3.3.1 (H.264), 8.3.3.1 (H.265)."""
    try:
        units = _of_avc(record) if codec is Codec.H264 else _of_hevc(record)
    except IndexError:
        return None
    return tuple(units) if units and all(units) else None


def _of_avc(record: bytes) -> list[bytes]:
    at = _AVC_SETS_AT
    units: list[bytes] = []
    for mask in (0x1F, 0xFF):  # sequence parameter sets, then picture parameter sets
        number = record[at] & mask
        at = _take(record, at + 1, number, units)
    return units


def _of_hevc(record: bytes) -> list[bytes]:
    arrays, at = record[_HEVC_ARRAYS_AT], _HEVC_ARRAYS_AT + 1
    units: list[bytes] = []
    for _ in range(arrays):
        number = record[at + 1] << 8 | record[at + 2]
        at = _take(record, at + 3, number, units)
    return units


def _take(record: bytes, at: int, number: int, units: list[bytes]) -> int:
    """Read so many units, each behind its length; where the next thing begins."""
    for _ in range(number):
        length = record[at] << 8 | record[at + 1]
        unit = record[at + 2 : at + 2 + length]
        if len(unit) != length:
            raise IndexError
        units.append(unit)
        at += 2 + length
    return at
