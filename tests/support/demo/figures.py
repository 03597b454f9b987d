# SPDX-License-Identifier: Apache-2.0
"""`make demo-figures`: what the running demo costs and how it comes back, measured.

Everything is counted by somebody else than us: requests by the API server, frames by the VMS.
"""

from __future__ import annotations

import re
import time
from typing import Any

from demo import steps
from demo.kubernetes import Target, get_json, get_through_service
from demo.progress import DemoFailed, Progress

WORKERS = "app.kubernetes.io/component=ingest-worker"
OPERATOR_AWAY_S = 120
_WRITES = re.compile(
    r'^apiserver_request_total\{(?P<labels>[^}]*group="camfleet\.vnpt\.vn"[^}]*)\} (?P<count>\S+)$',
    re.MULTILINE,
)


def writes(target: Target) -> dict[str, int]:
    """Writes to our kinds since the API server started: "verb resource/subresource" → count."""
    found: dict[str, int] = {}
    for match in _WRITES.finditer(target.run("get", "--raw", "/metrics")):
        labels = dict(re.findall(r'(\w+)="([^"]*)"', match["labels"]))
        if labels["verb"] in ("APPLY", "PATCH", "PUT", "POST", "UPDATE"):
            name = f"{labels['verb']} {labels['resource']}/{labels['subresource']}".rstrip("/")
            found[name] = found.get(name, 0) + int(float(match["count"]))
    return found


def streams(target: Target) -> dict[str, dict[str, Any]]:
    """What the VMS says of each of the province's streams, by camera."""
    answer = get_through_service(target, "demo-vms", "vms:http", "/streams")
    return {
        path.rsplit("/", 1)[-1]: stream
        for path, stream in answer.items()
        if f"/{steps.PROVINCE}/" in path
    }


def worker_pods(target: Target) -> list[dict[str, Any]]:
    """The province's worker pods."""
    return list(get_json(target, "pods", "-n", steps.PROVINCE, "-l", WORKERS)["items"])


def _seconds_until(reached: Any, within_s: float, what: str) -> float:
    started = time.monotonic()
    while not reached():
        if time.monotonic() - started > within_s:
            raise DemoFailed(f"{what}: not within {within_s} s")
        time.sleep(0.2)
    return time.monotonic() - started


def not_ready(target: Target) -> list[str]:
    """Good cameras that are not Ready."""
    return [
        name
        for name, camera in steps.cameras(target).items()
        if name in steps.GOOD and steps.condition(camera, "Ready").get("status") != "True"
    ]


def after_worker_deleted(target: Target) -> tuple[float, float]:
    """Worker pods deleted: seconds until every good camera's frames are back at the VMS, and until
    all are Ready by a worker that reports."""
    before = streams(target)
    old = {pod["metadata"]["uid"] for pod in worker_pods(target)}
    started = time.monotonic()
    target.run("delete", "pods", "-n", steps.PROVINCE, "-l", WORKERS, "--wait=false")

    def frames_again() -> bool:
        now = streams(target)
        return all(
            now[name]["publishers"] > before[name]["publishers"] for name in steps.GOOD
        ) and (all(now[name]["last_frame_age_s"] < 1 for name in steps.GOOD))

    _seconds_until(frames_again, 120, "frames of all cameras")
    frames_s = time.monotonic() - started

    def ready() -> bool:
        pods = worker_pods(target)
        replaced = all(
            pod["metadata"]["uid"] not in old
            and steps.condition(pod, "Ready").get("status") == "True"
            for pod in pods
        )
        return bool(pods) and replaced and not not_ready(target)

    _seconds_until(ready, 120, "all cameras Ready")
    return frames_s, time.monotonic() - started


def while_operator_is_away(target: Target) -> dict[str, int]:
    """Operator scaled to nothing for two minutes: frames lost at the VMS, by good camera.

    A frame is lost where presentation times leave a gap, or where the publisher was replaced.
    """
    before = streams(target)
    deployment = (
        "deployment",
        "-n",
        steps.OPERATOR_NAMESPACE,
        "-l",
        "app.kubernetes.io/name=camfleet",
    )
    target.run("scale", *deployment, "--replicas=0")
    try:
        time.sleep(OPERATOR_AWAY_S)
        after = streams(target)
    finally:
        target.run("scale", *deployment, "--replicas=2")
    lost = {}
    for name in sorted(steps.GOOD):
        gaps = after[name]["pts_gaps"] - before[name]["pts_gaps"]
        replaced = after[name]["publishers"] - before[name]["publishers"]
        fewest = (OPERATOR_AWAY_S - 5) * 10
        stalled = after[name]["frames"] - before[name]["frames"] < fewest
        lost[name] = gaps + replaced + stalled
    return lost


def measure(target: Target) -> None:
    """Print every figure, the province's removal last."""
    progress = Progress(4)
    with progress.step("writes since the API server started"):
        counted = writes(target)
        for name, count in sorted(counted.items()):
            print(f"  {name:40} {count:6}")
        status = sum(count for name, count in counted.items() if "cameras/status" in name)
        print(f"  status writes per camera: {status / len(steps.cameras(target)):.1f}")
    with progress.step("worker pods deleted"):
        frames_s, ready_s = after_worker_deleted(target)
        print(f"  frames of all at the VMS after {frames_s:.1f} s, all Ready after {ready_s:.1f} s")
    with progress.step(f"operator away for {OPERATOR_AWAY_S} s"):
        lost = while_operator_is_away(target)
        print(f"  cameras with a gap at the VMS: {sum(1 for gaps in lost.values() if gaps)}")
    with progress.step("kubectl delete -k of the province"):
        print(f"  nothing left after {steps.remove_province(target):.1f} s")
