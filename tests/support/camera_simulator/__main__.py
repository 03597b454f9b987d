# SPDX-License-Identifier: Apache-2.0
"""`python -m camera_simulator --config cameras.yaml --control-port 8080`: the cameras as one
process.

Clips come from `--clips`, a folder of prepared ones (the image has them), else from this machine's
cache.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from pathlib import Path

from camera_simulator.clips import Clip, load_clip
from camera_simulator.configuration import read_configuration
from camera_simulator.control_door import ControlDoor
from camera_simulator.settings import CameraSettings, SettingsInvalid
from camera_simulator.simulator import ClipSource, Simulator, clips_of_this_machine


def main() -> int:
    arguments = _arguments()
    try:
        cameras = read_configuration(arguments.config)
        asyncio.run(_serve(cameras, arguments))
    except (SettingsInvalid, OSError) as error:
        print(f"camera simulator: {error}", file=sys.stderr)
        return 1
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("camera_simulator", description="Simulated ONVIF cameras.")
    parser.add_argument("--config", type=Path, required=True, help="cameras.yaml")
    parser.add_argument("--host", default="0.0.0.0", help="address of the control door")
    parser.add_argument("--control-port", type=int, default=8080)
    parser.add_argument("--clips", type=Path, help="folder of prepared clips, one folder each")
    return parser.parse_args()


async def _serve(cameras: list[CameraSettings], arguments: argparse.Namespace) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with Simulator(_clip_source(arguments.clips)) as simulator:
        for settings in cameras:
            camera = await simulator.add(settings)
            ports = f"ONVIF {camera.onvif_port}, RTSP {camera.rtsp_port}"
            print(f"{camera.name}: {ports}, {settings.server}, {settings.main_clip}", flush=True)
        door = ControlDoor(simulator, arguments.host, arguments.control_port)
        await door.open()  # last: whoever finds it open finds every camera there
        print(f"control door: port {door.port}", flush=True)
        await stop.wait()
        door.close()


def _clip_source(folder: Path | None) -> ClipSource:
    if folder is None:
        return clips_of_this_machine

    def from_folder(name: str) -> Clip:
        return load_clip(folder / name)

    return from_folder


if __name__ == "__main__":
    sys.exit(main())
