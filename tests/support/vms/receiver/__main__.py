# SPDX-License-Identifier: Apache-2.0
"""Start the receiver: read the configuration line, open RTSP and the door, say the ports, run.

Ends on SIGTERM and SIGINT, and when its stdin is closed: then whoever started it is gone, and
a receiver without its test would hold ports for ever.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
from concurrent.futures import Future
from typing import Any

import gi

gi.require_version("Gst", "1.0")
from gi.repository import GLib, Gst  # noqa: E402

from vms.receiver.door import DoorServer  # noqa: E402
from vms.receiver.ledger import Ledger  # noqa: E402

_CONTROL_WITHIN_S = 10.0


def main() -> None:
    config = json.loads(sys.stdin.readline())
    Gst.init(None)
    from vms.receiver.recording import Login, RecordingServer
    from vms.receiver.snapshot import Snapshots

    loop = GLib.MainLoop()
    ledger = Ledger(config["kept"])
    login = Login(**_login_fields(config))
    certificate = config.get("certificate") or ""
    recording = RecordingServer(config["host"], config["rtsp_port"], login, ledger, certificate)

    def control(path: str, body: dict[str, Any]) -> str | None:
        if path == "/refuse":
            _on_main_context(lambda: recording.refuse(bool(body.get("on"))))
        elif path == "/login":
            _on_main_context(lambda: recording.set_login(Login(**_login_fields(body))))
        else:
            return "no such switch"
        return None

    door = DoorServer(
        (config["door_host"], config["http_port"]), ledger, Snapshots(ledger).jpeg, control
    )
    recording.listen()
    threading.Thread(target=door.serve_forever, daemon=True).start()
    print(json.dumps({"rtsp_port": recording.port, "http_port": door.server_port}), flush=True)
    for number in (signal.SIGTERM, signal.SIGINT):
        GLib.unix_signal_add(GLib.PRIORITY_HIGH, number, loop.quit)
    threading.Thread(target=_quit_with_stdin, args=(loop,), daemon=True).start()
    loop.run()


def _login_fields(config: dict[str, Any]) -> dict[str, Any]:
    return {
        "username": config.get("username") or "",
        "password": config.get("password") or "",
        "schemes": tuple(config.get("schemes") or ("digest",)),
    }


def _on_main_context(call: Any) -> None:
    """Run it where GStreamer's server lives, and wait for it."""
    done: Future[None] = Future()

    def run() -> bool:
        try:
            done.set_result(call())
        except BaseException as error:  # handed to the thread that asked
            done.set_exception(error)
        return False

    GLib.idle_add(run)
    done.result(_CONTROL_WITHIN_S)


def _quit_with_stdin(loop: Any) -> None:
    sys.stdin.read()
    loop.quit()


if __name__ == "__main__":
    main()
