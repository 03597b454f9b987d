# SPDX-License-Identifier: Apache-2.0
"""One simulated camera and a worker on it, to look at: `python -m one_camera --help`.

For whoever works on the worker. Prints the conditions of the camera as they change and writes its
recording to a folder; sources are used, so a breakpoint works (`python -m pdb -m one_camera`). It
needs no cluster: Camera and Secret live in this process. It refuses faults that it does not know.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from camera_simulator import CameraSettings, Simulator
from camera_simulator.faults import FAULTS
from camera_simulator.settings import SettingsInvalid
from worker_parts import NAMESPACE, PASSWORD, CameraObjects, SecretObjects, WorkerParts, policy_to
from worker_parts import entry as shard_entry

NAME = "gate"


def main(arguments: list[str] | None = None) -> int:
    """Run it until the time is over or Ctrl-C; the exit status."""
    asked = _parser().parse_args(arguments)
    if asked.list_faults:
        for fault in FAULTS.values():
            print(f"{fault.name:32}{fault.sentence}")
        return 0
    logging.basicConfig(level=asked.log_level, format="%(levelname)s %(name)s: %(message)s")
    with contextlib.suppress(KeyboardInterrupt):
        try:
            asyncio.run(_run(asked))
        except SettingsInvalid as error:
            print(error, file=sys.stderr)
            return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "one_camera",
        description="A worker on one simulated camera: its conditions, as they change.",
    )
    parser.add_argument("--fault", action="append", default=[], help="a name of --list-faults")
    parser.add_argument("--list-faults", action="store_true", help="what the camera can get wrong")
    parser.add_argument("--password", default=PASSWORD, help="what the worker tries")
    parser.add_argument("--seconds", type=float, default=30.0, help="how long (default: 30)")
    parser.add_argument("--folder", type=Path, help="recording and state (default: a new one)")
    parser.add_argument("--log-level", default="WARNING", help="DEBUG, INFO, WARNING or ERROR")
    return parser


async def _run(asked: argparse.Namespace) -> None:
    folder = asked.folder or Path(tempfile.mkdtemp(prefix="one-camera-"))
    objects, secrets = CameraObjects(), SecretObjects()
    secrets.put("cameras", username="ingest", password=asked.password)
    settings = CameraSettings(NAME, password=PASSWORD, resolution="240p", faults=tuple(asked.fault))
    async with Simulator() as simulator, WorkerParts(folder, objects, secrets) as worker:
        camera = await simulator.add(settings)
        print(f"camera {NAME}: ONVIF {camera.onvif_port}, RTSP {camera.rtsp_port}")
        print(f"recording in {folder / 'recordings'}")
        await worker.run(policy_to(None), shard_entry(objects, camera))
        await _print_changes(objects, asked.seconds)
        print(f"recorded {worker.recorded_bytes()} bytes in {asked.seconds:g} s; look at it with")
        print(f"  python -m camfleet_worker.recordings --help  ({NAMESPACE}/{NAME})")


async def _print_changes(objects: CameraObjects, seconds: float) -> None:
    """Each condition when it changes, with the second it was seen in."""
    begun = time.monotonic()
    said: dict[str, tuple[str, ...]] = {}
    while (now := time.monotonic() - begun) < seconds:
        status = objects.objects[NAME]["status"]
        for condition in status.get("conditions", ()):
            words = _words(condition)
            if said.get(condition["type"]) != words:
                said[condition["type"]] = words
                print(f"{now:6.1f} s  {condition['type']:18}{'  '.join(words)}", flush=True)
        await asyncio.sleep(0.1)


def _words(condition: dict[str, Any]) -> tuple[str, ...]:
    return tuple(str(condition.get(key, "")) for key in ("status", "reason", "message"))


if __name__ == "__main__":
    sys.exit(main())
