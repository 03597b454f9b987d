# SPDX-License-Identifier: Apache-2.0
"""Reads parameter sets from the configuration records of MP4 files (avcC, hvcC). Pure.

The export calls it, and puts them before access units where the format changes within one file. We
wrote the records, but they are read as untrusted: None for an invalid one.
"""

from __future__ import annotations

from camfleet_worker.media_types.access_unit import Codec

_AVC_SETS_AT = 5
_HEVC_ARRAYS_AT = 22


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
