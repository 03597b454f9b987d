# SPDX-License-Identifier: Apache-2.0
"""How many buffers GStreamer's qtdemux makes of each track of a file, as JSON.

Run by the system's Python, which alone has GStreamer's bindings: `qtdemux_count.py FILE`.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import gi

gi.require_version("Gst", "1.0")
from gi.repository import Gst  # noqa: E402

_WITHIN_S = 60


def main() -> int:
    """0 and the counts by media type, or 1 and the pipeline's error."""
    Gst.init(None)
    counts: dict[str, int] = {}
    pipeline = Gst.parse_launch("filesrc name=source ! qtdemux name=demuxer")
    pipeline.get_by_name("source").set_property("location", sys.argv[1])

    def take(_demuxer: Any, pad: Any) -> None:
        kind = pad.get_current_caps().get_structure(0).get_name()
        counts[kind] = 0
        sink = Gst.ElementFactory.make("fakesink", None)
        sink.set_property("signal-handoffs", True)
        sink.set_property("sync", False)

        def count(*_: Any) -> None:
            counts[kind] += 1

        sink.connect("handoff", count)
        pipeline.add(sink)
        sink.sync_state_with_parent()
        pad.link(sink.get_static_pad("sink"))

    pipeline.get_by_name("demuxer").connect("pad-added", take)
    pipeline.set_state(Gst.State.PLAYING)
    ends = Gst.MessageType.EOS | Gst.MessageType.ERROR
    message = pipeline.get_bus().timed_pop_filtered(_WITHIN_S * Gst.SECOND, ends)
    pipeline.set_state(Gst.State.NULL)
    if message is None or message.type != Gst.MessageType.EOS:
        print("no end" if message is None else message.parse_error()[0].message, file=sys.stderr)
        return 1
    print(json.dumps(counts))
    return 0


if __name__ == "__main__":
    sys.exit(main())
