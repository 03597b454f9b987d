# SPDX-License-Identifier: Apache-2.0
"""What the demo claims, measured: conditions, frames counted at the VMS, video on disk."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import Any

from demo.kubernetes import Target, get_json, get_through_service
from demo.steps import GOOD, PROVINCE, cameras, condition

LEAST_FRAMES = 100
"""Frames a good camera must deliver to the VMS between the two counts: four seconds' worth."""

ON_DISK = """
import json, os, pathlib
import av
seconds = {}
root = pathlib.Path(os.environ["CAMFLEET_RECORDINGS"])
for path in root.rglob("*.mp4"):
    if not path.stat().st_size:
        continue
    try:
        with av.open(str(path)) as file:
            stream = file.streams.video[0]
            last = None
            for packet in file.demux(stream):
                if packet.pts is not None:
                    last = packet.pts * stream.time_base
    except av.error.FFmpegError:
        continue
    if last is not None:
        # <root>/<namespace>/<camera>.<start of its uid>/<day>/…
        camera = path.relative_to(root).parts[1].split(".")[0]
        seconds[camera] = seconds.get(camera, 0.0) + float(last)
print(json.dumps(seconds))
"""
"""Runs inside each worker: playable seconds by camera, read by a demuxer, not from file names."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """What a camera of the demo that is not good must say."""

    condition: str
    status: str
    reason: str | None


EXPECTED = {
    "cam17": Expectation("Authenticated", "False", "CredentialsRejected"),
    "cam18": Expectation("TimeSynchronized", "False", "ClockOff"),
    "cam19": Expectation("Eligible", "False", "NotOnvif"),
    "cam20": Expectation("Reachable", "False", None),
}


@dataclass(slots=True)
class Proof:
    """The figures, and every claim that they do not bear out."""

    frames: dict[str, int] = field(default_factory=dict)
    seconds_on_disk: dict[str, float] = field(default_factory=dict)
    login_attempts: int = 0
    failures: list[str] = field(default_factory=list)


def frames_at_vms(target: Target) -> dict[str, int]:
    """Whole access units that the VMS has taken, by camera."""
    streams = get_through_service(target, "demo-vms", "vms:http", "/streams")
    return {path.rsplit("/", 1)[-1]: int(stream["frames"]) for path, stream in streams.items()}


def seconds_on_disk(target: Target) -> dict[str, float]:
    """Seconds of playable video in every worker of the province, by camera."""
    total: dict[str, float] = {}
    selector = "app.kubernetes.io/component=ingest-worker"
    for pod in get_json(target, "pods", "-n", PROVINCE, "-l", selector)["items"]:
        name = pod["metadata"]["name"]
        output = target.run("exec", "-n", PROVINCE, name, "--", "python", "-c", ON_DISK)
        for camera, seconds in json.loads(output).items():
            total[camera] = total.get(camera, 0.0) + seconds
    return total


def login_attempts(target: Target, camera: str) -> int:
    """Failed logins that the camera itself has counted, ONVIF and RTSP together."""
    answer = get_through_service(target, "demo-devices", "cameras:control", f"/cameras/{camera}")
    return int(answer["counters"]["auth_refused"])


def prove(target: Target) -> Proof:
    """Measure everything once."""
    proof = Proof()
    before = frames_at_vms(target)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        now = frames_at_vms(target)
        proof.frames = {name: now.get(name, 0) - before.get(name, 0) for name in sorted(GOOD)}
        if min(proof.frames.values()) >= LEAST_FRAMES:
            break
        time.sleep(0.5)
    proof.seconds_on_disk = seconds_on_disk(target)
    proof.login_attempts = login_attempts(target, "cam17")
    proof.failures = [*_unmet_figures(proof), *_unmet_conditions(cameras(target))]
    return proof


def _unmet_figures(proof: Proof) -> list[str]:
    failures = [
        f"{name}: {frames} new frames at the VMS, fewer than {LEAST_FRAMES}"
        for name, frames in proof.frames.items()
        if frames < LEAST_FRAMES
    ]
    failures += [
        f"{name}: nothing playable on disk"
        for name in sorted(GOOD)
        if not proof.seconds_on_disk.get(name)
    ]
    if proof.login_attempts > 2:
        failures.append(f"cam17: {proof.login_attempts} failed logins counted at the camera")
    return failures


def _unmet_conditions(found: dict[str, dict[str, Any]]) -> list[str]:
    failures = [
        f"{name}: not Ready: {condition(found.get(name, {}), 'Ready').get('reason')}"
        for name in sorted(GOOD)
        if condition(found.get(name, {}), "Ready").get("status") != "True"
    ]
    for name, expected in EXPECTED.items():
        seen = condition(found.get(name, {}), expected.condition)
        if seen.get("status") != expected.status or (
            expected.reason is not None and seen.get("reason") != expected.reason
        ):
            failures.append(f"{name}: expected {expected}, found {seen or 'nothing'}")
    return failures
