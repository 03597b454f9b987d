# SPDX-License-Identifier: Apache-2.0
"""`python -m demo up|figures|down`: called by the demo targets of the Makefile."""

from __future__ import annotations

import argparse
import statistics
import sys
import time

from demo import steps
from demo.figures import measure
from demo.kubernetes import TARGETS, Target
from demo.progress import DemoFailed, Progress
from demo.proof import Proof, prove
from local_cluster import Cluster, ClusterError

STEPS = 7
READY_WITHIN_S = 120


def up(cluster: str) -> int:
    """Everything from nothing to the printed proof; 1 when the proof fails."""
    progress = Progress(STEPS)
    began = time.monotonic()
    with progress.step("cluster"):
        target = TARGETS[cluster]()
    with progress.step("images"):
        images = steps.provide_images(target)
    with progress.step("operator (helm)"):
        steps.install_operator(target, images["camfleet"])
    with progress.step("VMS and cameras"):
        steps.start_devices(target, images, progress)
    with progress.step("province phu-yen: apply until every camera has its verdict"):
        started = steps.apply_province(target)
        steps.wait_for_ready(target, progress, READY_WITHIN_S)
    with progress.step("frames at the VMS, seconds on disk"):
        proof = prove(target)
    with progress.step("table"):
        print(target.run("get", "sites,cameras", "-A"))
    report(target, proof, steps.seconds_to_ready(target, started))
    print(f"whole demo: {time.monotonic() - began:.0f} s")
    return 1 if proof.failures else 0


def report(target: Target, proof: Proof, ready_s: dict[str, float]) -> None:
    """The figures for people."""
    print("camera  ready after  frames at VMS  seconds on disk")
    for name in sorted(steps.GOOD):
        ready = f"{ready_s[name]:.0f} s" if name in ready_s else "before"
        disk = proof.seconds_on_disk.get(name, 0.0)
        print(f"{name:7} {ready:>11}  {proof.frames.get(name, 0):>13}  {disk:>15.1f}")
    for name, camera in steps.cameras(target).items():
        if name not in steps.GOOD:
            print(f"{name}: {steps.condition(camera, 'Ready').get('message', 'no verdict')}")
    print(f"failed logins counted at cam17: {proof.login_attempts}")
    if ready_s:
        ordered = sorted(ready_s.values())
        p95 = ordered[min(len(ordered) - 1, round(0.95 * len(ordered)))]
        print(f"apply to Ready: p50 {statistics.median(ordered):.0f} s, p95 {p95:.0f} s")
    for failure in proof.failures:
        print(f"NOT PROVED  {failure}")
    address = target.run(
        "get", "service", "vms", "-n", "demo-vms", "-o", "jsonpath={.spec.clusterIP}"
    )
    print(f"pictures: http://{address}:8080/ on this machine, or")
    print("          kubectl -n demo-vms port-forward service/vms 8080 → http://localhost:8080/")
    print("proved" if not proof.failures else f"{len(proof.failures)} claims not proved")


def down(cluster: str) -> int:
    """Take away what `up` made; fine when there is nothing."""
    if cluster == "local":
        Cluster.remove("demo")
    else:
        steps.remove_everything(TARGETS[cluster]())
    return 0


def figures(cluster: str) -> int:
    """Measure the running demo; it is without its province afterwards."""
    measure(TARGETS[cluster]())
    return 0


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="demo", description=__doc__)
    parser.add_argument("command", choices=("up", "figures", "down"))
    parser.add_argument("--cluster", choices=sorted(TARGETS), default="local")
    arguments = parser.parse_args()
    try:
        return {"up": up, "figures": figures, "down": down}[arguments.command](arguments.cluster)
    except (DemoFailed, ClusterError) as failure:
        print(f"demo failed: {failure}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
