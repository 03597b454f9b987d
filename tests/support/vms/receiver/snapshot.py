# SPDX-License-Identifier: Apache-2.0
"""A key frame as a JPEG, decoded when the page asks for it and not before."""

from __future__ import annotations

import threading

import gi

gi.require_version("Gst", "1.0")
from gi.repository import Gst  # noqa: E402

from vms.receiver.ledger import Ledger  # noqa: E402

_DECODERS = {"h264": "h264parse ! avdec_h264", "h265": "h265parse ! avdec_h265"}
_WITHIN = 5 * Gst.SECOND


class Snapshots:
    """Keeps the last JPEG of each path until a newer key frame has come."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[int, bytes]] = {}

    def jpeg(self, path: str) -> bytes | None:
        """None while no key frame of this path has come, or when the frame cannot be decoded."""
        found = self._ledger.last_key(path)
        if found is None or found[0] not in _DECODERS:
            return None
        codec, number, frame = found
        with (
            self._lock
        ):  # one decoder at a time: a page with many pictures must not starve the counting
            kept = self._kept.get(path)
            if kept is None or kept[0] != number:
                picture = _decode(codec, frame)
                if picture is None:
                    return None
                kept = self._kept[path] = (number, picture)
            return kept[1]


def _decode(codec: str, frame: bytes) -> bytes | None:
    caps = f"video/x-{codec},stream-format=byte-stream,alignment=au"
    pipeline = Gst.parse_launch(
        f"appsrc name=in caps={caps} ! {_DECODERS[codec]} ! videoconvert ! jpegenc ! "
        "appsink name=out sync=false"
    )
    try:
        pipeline.set_state(Gst.State.PLAYING)
        source = pipeline.get_by_name("in")
        source.emit("push-buffer", Gst.Buffer.new_wrapped(frame))
        source.emit("end-of-stream")
        sample = pipeline.get_by_name("out").emit("try-pull-sample", _WITHIN)
        if sample is None:
            return None
        buffer = sample.get_buffer()
        return bytes(buffer.extract_dup(0, buffer.get_size()))
    finally:
        pipeline.set_state(Gst.State.NULL)
