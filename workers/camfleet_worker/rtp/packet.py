# SPDX-License-Identifier: Apache-2.0
"""Where the payload of an RTP packet lies (RFC 3550 section 5). Pure; used by both receivers.

Compiled by mypyc (workers/compile_media.py): no attribute may be added from outside, none may be of
another type than declared, and nothing may be set on the class by a test.
"""

from __future__ import annotations

RTP_HEADER_BYTES = 12


def payload_bounds(view: memoryview, start: int, end: int) -> tuple[int, int]:
    """Begin and end of the payload of the packet view[start:end], options taken off (sections 5.1
    and 5.3.1).

    A packet that contradicts itself has an empty payload, which every depacketiser bears.
    """
    flags = view[start]
    if flags & 0xC0 != 0x80:
        return end, end
    payload = start + RTP_HEADER_BYTES + 4 * (flags & 0x0F)
    if flags & 0x10:  # header extension: two octets of profile, two of length in words
        if payload + 4 > end:
            return end, end
        payload += 4 + 4 * (view[payload + 2] << 8 | view[payload + 3])
    if flags & 0x20:  # padding: its length is the last octet
        end -= view[end - 1]
    return (payload, end) if payload < end else (end, end)
