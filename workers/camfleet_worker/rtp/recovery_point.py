# SPDX-License-Identifier: Apache-2.0
"""Recovery points: where a decoder can start although no IDR picture is there. Pure.

Called by the depacketiser for each SEI unit. Encoders with open GOPs send an IDR picture once and
then I pictures behind this message.

Compiled by mypyc (workers/compile_media.py): no attribute may be added from outside, none may be of
another type than declared, and nothing may be set on the class by a test.
"""

from __future__ import annotations

from camfleet_worker.rtp.bits import without_emulation_prevention

_RECOVERY_POINT = 6
"""payloadType, in both codecs."""


def is_recovery_point(sei: bytes, header_bytes: int) -> bool:
    """Whether an SEI unit holds a recovery point that is recovered at once.

    ITU-T H.264 section D.1.8 begins it with recovery_frame_cnt, H.265 section D.2.8 with
    recovery_poc_cnt: both are 0 where the first bit is 1. Another number means that the pictures up
    to there are damaged, so that nothing can begin with them.
    """
    at, end = header_bytes, len(sei)
    if b"\0\0\3" in sei:
        sei = without_emulation_prevention(sei)
        end = len(sei)
    while at < end - 1:
        # sei_message(), H.264 section 7.3.2.3.1: type and size, 255 for each 255 of them.
        kind = size = 0
        while at < end and sei[at] == 0xFF:
            kind += 255
            at += 1
        if at < end:
            kind += sei[at]
            at += 1
        while at < end and sei[at] == 0xFF:
            size += 255
            at += 1
        if at < end:
            size += sei[at]
            at += 1
        if kind == _RECOVERY_POINT:
            return at < end and sei[at] & 0x80 != 0
        at += size
    return False
