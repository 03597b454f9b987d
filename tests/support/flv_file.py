# SPDX-License-Identifier: Apache-2.0
"""An FLV file around tags (Adobe's FLV specification 10.1 annex E.2 to E.4.1), for players."""

from __future__ import annotations

from collections.abc import Iterable

from camfleet_worker.relay.rtmp.flv import FlvTag


def flv_file(tags: Iterable[FlvTag]) -> bytes:
    """The octets of a file with these tags."""
    parts = [b"FLV\1\5\0\0\0\x09" + bytes(4)]
    for tag in tags:
        time = (tag.at_ms & 0xFFFFFF).to_bytes(3, "big") + bytes((tag.at_ms >> 24,))
        head = bytes((tag.kind,)) + len(tag.body).to_bytes(3, "big") + time + bytes(3)
        parts += (head, tag.body, (len(head) + len(tag.body)).to_bytes(4, "big"))
    return b"".join(parts)
