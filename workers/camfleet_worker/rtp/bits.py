# SPDX-License-Identifier: Apache-2.0
"""The bits of a NAL unit: fixed fields and Exp-Golomb codes. Pure; used by the SPS parsers.

Compiled by mypyc (workers/compile_media.py): no attribute may be added from outside, none may be of
another type than declared, and nothing may be set on the class by a test.
"""

from __future__ import annotations


class BitsExhausted(ValueError):
    """The NAL unit ends before the field does, or a code is longer than any real value."""


def without_emulation_prevention(nal: bytes) -> bytes:
    """The raw payload: each 00 00 03 loses its 03 (ITU-T H.264 and H.265 section 7.3.1)."""
    # Non-overlapping replacement from the left is exact: the 03 ends every run of zeros.
    return nal.replace(b"\x00\x00\x03", b"\x00\x00")


class BitReader:
    """A cursor over bits, most significant first."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "big")
        self._left = len(data) * 8

    def bits(self, count: int) -> int:
        """u(n)."""
        if count > self._left:
            raise BitsExhausted
        self._left -= count
        return (self._value >> self._left) & ((1 << count) - 1)

    def flag(self) -> bool:
        """u(1)."""
        return self.bits(1) == 1

    def unsigned(self) -> int:
        """ue(v), ITU-T H.264 section 9.1."""
        zeros = 0
        while not self.bits(1):
            zeros += 1
            if zeros > 32:
                raise BitsExhausted
        return (1 << zeros) - 1 + self.bits(zeros)

    def signed(self) -> int:
        """se(v), ITU-T H.264 section 9.1.1."""
        code = self.unsigned()
        return (code + 1) // 2 if code % 2 else -(code // 2)
