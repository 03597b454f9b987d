# SPDX-License-Identifier: Apache-2.0
"""The GStreamer process: takes `set` and `remove` of cameras on stdin, tells what happens on
stdout.

It ends when stdin is closed, so it never outlives the simulator that started it. A mainloop serves
all cameras; GStreamer itself brings the threads of each stream that is being watched.
"""

from __future__ import annotations

import json
import sys
import threading
import traceback
from typing import Any

import gi

gi.require_version("Gst", "1.0")
from gi.repository import GLib, Gst  # noqa: E402


def main() -> None:
    Gst.init(None)
    from camera_simulator.gstreamer.rtsp_cameras import RtspCameras

    loop = GLib.MainLoop()
    cameras = RtspCameras(tell)

    def obey(line: str) -> bool:
        command = json.loads(line)
        try:
            cameras.obey(command)
            tell({"done": command["id"], "error": None})
        except (
            Exception
        ) as error:  # told to the simulator, which raises it where the test can see it
            traceback.print_exc()
            tell({"done": command["id"], "error": f"{type(error).__name__}: {error}"})
        return False

    def read() -> None:
        for line in sys.stdin:
            GLib.idle_add(obey, line)
        GLib.idle_add(loop.quit)

    threading.Thread(target=read, daemon=True).start()
    loop.run()


_telling = threading.Lock()


def tell(event: dict[str, Any]) -> None:
    """One line to the simulator; called from the main loop and from GStreamer's client threads."""
    with _telling:
        sys.stdout.write(json.dumps(event) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
