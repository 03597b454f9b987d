# SPDX-License-Identifier: Apache-2.0
"""The steps of the demo, each a function of the target cluster."""

from __future__ import annotations

import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

import camera_simulator
import vms
from demo.kubernetes import ROOT, Target, get_json
from demo.progress import DemoFailed, Progress

EXAMPLES = ROOT / "crds" / "examples"
MANIFESTS = Path(__file__).parent / "manifests"
OPERATOR_NAMESPACE = "camfleet-system"
PROVINCE = "phu-yen"
POWERED_OFF = "cam20"
GOOD = frozenset(f"cam{n:02d}" for n in (*range(1, 17), 18))
"""Cameras that must become Ready: sixteen good ones, and the one whose clock is behind."""


def provide_images(target: Target) -> dict[str, str]:
    """The product, the cameras and the VMS; answers the names that pods use."""
    images = {
        "camfleet": target.provide_image(
            ROOT / "charts/image/Containerfile", ROOT, "localhost/camfleet:dev"
        )
    }
    for name, package in (("camera-simulator", camera_simulator), ("vms", vms)):
        folder = Path(package.__file__ or "").parent
        with tempfile.TemporaryDirectory() as context:
            package.prepare_image_context(Path(context))
            images[name] = target.provide_image(
                folder / "image/Containerfile", Path(context), f"localhost/{name}:dev"
            )
    return images


def install_operator(target: Target, image: str, *options: str) -> None:
    """Helm, as the README says; with further options of it."""
    repository, tag = image.rsplit(":", 1)
    target.run("apply", "-f", "-", stdin=yaml.safe_dump(restricted_namespace(OPERATOR_NAMESPACE)))
    target.helm(
        "upgrade", "--install", "camfleet", str(ROOT / "charts/camfleet"),
        "--namespace", OPERATOR_NAMESPACE,
        "--set", f"image.repository={repository}", "--set", f"image.tag={tag}",
        "--wait", "--timeout", "180s", *options,
    )  # fmt: skip


def restricted_namespace(name: str) -> dict[str, Any]:
    """A Namespace whose pods must pass the restricted standard."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def start_devices(target: Target, images: dict[str, str], progress: Progress) -> None:
    """The VMS and the cameras, as pods."""
    for manifest in ("cameras.yaml", "vms.yaml"):
        text = (MANIFESTS / manifest).read_text("utf-8")
        for name, image in images.items():
            text = text.replace(f"localhost/{name}:dev", image)
        target.run("apply", "-f", "-", stdin=text)

    def missing() -> list[str]:
        return [
            f"{item['metadata']['namespace']}/{item['metadata']['name']}"
            for item in get_json(target, "deployments", "-A")["items"]
            if item["metadata"]["namespace"].startswith("demo-")
            and not item.get("status", {}).get("readyReplicas")
        ]

    if lacking := progress.wait(missing, 120):
        raise DemoFailed(f"not started within 120 s: {', '.join(lacking)}")


def apply_province(target: Target) -> float:
    """National folder, then the province, then its Secrets. Answers when the apply began.

    The powered-off camera of the examples has a documentation address; here it gets an
    unassigned one of the pod network, so that no packet leaves the machine.
    """
    target.run("apply", "-k", str(EXAMPLES / "national"))
    documents = list(yaml.safe_load_all(target.run("kustomize", str(EXAMPLES / PROVINCE))))
    for document in documents:
        if document["kind"] == "Camera" and document["metadata"]["name"] == POWERED_OFF:
            document["spec"]["host"] = target.powered_off_address()
    started = time.time()
    target.run("apply", "-f", "-", stdin=yaml.safe_dump_all(documents))
    target.run("apply", "-f", str(EXAMPLES / "secrets"))
    return started


def condition(resource: dict[str, Any], type_: str) -> dict[str, Any]:
    """One condition of an object, empty when it is absent."""
    for item in resource.get("status", {}).get("conditions", []):
        if item["type"] == type_:
            return dict(item)
    return {}


def cameras(target: Target) -> dict[str, dict[str, Any]]:
    """The province's cameras by name."""
    items = get_json(target, "cameras", "-n", PROVINCE)["items"]
    return {item["metadata"]["name"]: item for item in items}


def wait_for_ready(target: Target, progress: Progress, within_s: float) -> None:
    """Until every good camera is Ready and every other says why it is not."""

    def missing() -> list[str]:
        return [
            name
            for name, camera in cameras(target).items()
            if condition(camera, "Ready").get("status") != ("True" if name in GOOD else "False")
        ]

    progress.wait(missing, within_s)


def seconds_to_ready(target: Target, started: float) -> dict[str, float]:
    """For each camera that became Ready since: lastTransitionTime of Ready minus the start.

    Times in status are whole seconds, cut off, so each may be up to a second too short.
    """
    result = {}
    for name, camera in cameras(target).items():
        ready = condition(camera, "Ready")
        if ready.get("status") == "True":
            since = datetime.fromisoformat(ready["lastTransitionTime"].replace("Z", "+00:00"))
            if since.timestamp() >= int(started):
                result[name] = max(0.0, since.timestamp() - started)
    return result


def remove_province(target: Target) -> float:
    """`kubectl delete -k` of the province; answers the seconds until nothing of it is left."""
    started = time.monotonic()
    target.run("delete", "-k", str(EXAMPLES / PROVINCE), "--ignore-not-found", "--wait=true")
    return time.monotonic() - started


def remove_everything(target: Target) -> None:
    """What the demo put into a cluster that is not ours."""
    remove_province(target)
    target.run("delete", "-k", str(EXAMPLES / "national"), "--ignore-not-found")
    target.helm("uninstall", "camfleet", "--namespace", OPERATOR_NAMESPACE, "--ignore-not-found")
    for manifest in ("cameras.yaml", "vms.yaml"):
        target.run("delete", "-f", str(MANIFESTS / manifest), "--ignore-not-found")
    target.run("delete", "-f", str(ROOT / "crds"), "--ignore-not-found")
    target.run("delete", "namespace", OPERATOR_NAMESPACE, "--ignore-not-found")
