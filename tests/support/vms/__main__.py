# SPDX-License-Identifier: Apache-2.0
"""`python -m vms`: the whole monitoring system as one process group, as the demo's pod runs it.

RTSP RECORD on one port, RTMP on another, and one web port with the page, the counts, the pictures
and the switches. It ends when either server ends: a pod that lives on half dead would show nothing
and say nothing.
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from pathlib import Path

from vms.record_server import RecordServer
from vms.rtmp_server import RtmpServer

_LOOK_EVERY_S = 1.0
_KEPT = 10_000
"""Frames of a path that can still be asked for; in a demo of many cameras and days nobody compares
them one by one."""


def main() -> int:
    arguments = _arguments()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with (
        RecordServer(
            arguments.host,
            arguments.rtsp_port,
            door_host="127.0.0.1",
            username=_content(arguments.username_file),
            password=_content(arguments.password_file),
            schemes=tuple(arguments.schemes.split(",")),
            kept=_KEPT,
        ) as record_server,
        RtmpServer(
            arguments.host,
            arguments.rtmp_port,
            arguments.http_port,
            door_port=record_server.http_port,
            vendor=arguments.vendor,
        ) as rtmp_server,
    ):
        print(
            f"RTSP RECORD {record_server.rtsp_port}, RTMP {rtmp_server.rtmp_port}, "
            f"page http://{arguments.host}:{rtmp_server.http_port}/",
            flush=True,
        )
        while not stop.wait(_LOOK_EVERY_S):
            if not (record_server.runs and rtmp_server.runs):
                print("vms: a server ended by itself", file=sys.stderr)
                return 1
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("vms", description="A monitoring system that counts.")
    parser.add_argument("--host", default="0.0.0.0")
    parser.add_argument("--rtsp-port", type=int, default=8554)
    parser.add_argument("--rtmp-port", type=int, default=1935)
    parser.add_argument("--http-port", type=int, default=8080)
    parser.add_argument(
        "--username-file", type=Path, help="who may publish by RTSP; else everybody"
    )
    parser.add_argument("--password-file", type=Path)
    parser.add_argument("--schemes", default="digest", help="digest, basic, or both with a comma")
    parser.add_argument("--vendor", type=Path, help="folder with hls.min.js, for the page")
    return parser.parse_args()


def _content(path: Path | None) -> str:
    return path.read_text().strip("\r\n") if path is not None else ""


if __name__ == "__main__":
    sys.exit(main())
