# SPDX-License-Identifier: Apache-2.0
"""The running sample province, and namespaces of their own for tests that break things."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import yaml

from demo import steps
from demo.kubernetes import Target, get_json


@dataclass(frozen=True, slots=True)
class Province:
    """The sample province, running."""

    target: Target

    def cameras(self) -> dict[str, dict[str, Any]]:
        return steps.cameras(self.target)

    def not_as_expected(self) -> list[str]:
        """Cameras whose Ready is not what the demo promises."""
        return [
            name
            for name, camera in self.cameras().items()
            if steps.condition(camera, "Ready").get("status")
            != ("True" if name in steps.GOOD else "False")
        ]


class Facility:
    """A namespace of its own with one site, for tests that break things."""

    def __init__(self, target: Target, namespace: str) -> None:
        self.target = target
        self.namespace = namespace

    def apply(self, *documents: dict[str, Any]) -> None:
        self.target.run(
            "apply", "-n", self.namespace, "-f", "-", stdin=yaml.safe_dump_all(documents)
        )

    def camera(self, name: str) -> dict[str, Any]:
        return dict(get_json(self.target, "camera", name, "-n", self.namespace))

    def ready(self, name: str) -> tuple[str | None, str | None]:
        """Status and reason of Ready."""
        ready = steps.condition(self.camera(name), "Ready")
        return ready.get("status"), ready.get("reason")

    def delete(self) -> None:
        self.target.run(
            "delete", "namespace", self.namespace, "--ignore-not-found", "--timeout=90s"
        )


def camera_document(name: str, number: int, **spec: Any) -> dict[str, Any]:
    """A Camera that points at the n-th simulated camera."""
    return {
        "apiVersion": "camfleet.vnpt.vn/v1alpha1",
        "kind": "Camera",
        "metadata": {"name": name},
        "spec": {
            "siteRef": "annex",
            "host": "cameras.demo-devices.svc.cluster.local",
            "ports": {"onvif": 8000 + number, "rtsp": 9000 + number},
            "zone": "gate",
        }
        | spec,
    }


def site_document(**spec: Any) -> dict[str, Any]:
    """The site of a facility, without recording to a volume that outlives it."""
    return {
        "apiVersion": "camfleet.vnpt.vn/v1alpha1",
        "kind": "Site",
        "metadata": {"name": "annex"},
        "spec": {
            "displayName": "Annex",
            "managedBy": "civil",
            "profileRef": "tp-2021",
            "monitoringSystemRefs": ["central-vms"],
            "credentials": {"secret": {"secretName": "annex-cameras"}},
        }
        | spec,
    }


def enrolment(target: Target) -> list[dict[str, Any]]:
    """RoleBinding and Secrets, copied from the sample province."""
    binding = next(
        item
        for item in get_json(target, "rolebindings", "-n", steps.PROVINCE)["items"]
        if item["roleRef"]["name"] == "camfleet-tenant"
    )
    camera = steps.cameras(target)["cam01"]
    site = get_json(target, "site", camera["spec"]["siteRef"], "-n", steps.PROVINCE)
    credentials = camera["spec"].get("credentials") or site["spec"]["credentials"]
    reference = credentials["secret"]
    data = get_json(target, "secret", reference["secretName"], "-n", steps.PROVINCE)["data"]
    vms = get_json(target, "secret", "central-vms", "-n", steps.PROVINCE)["data"]
    keys = {
        "username": data[reference.get("usernameKey", "username")],
        "password": data[reference.get("passwordKey", "password")],
    }
    return [
        {
            "apiVersion": binding["apiVersion"],
            "kind": "RoleBinding",
            "metadata": {"name": binding["metadata"]["name"]},
            "roleRef": binding["roleRef"],
            "subjects": binding["subjects"],
        },
        secret_document("annex-cameras", keys),
        secret_document("central-vms", vms),
    ]


def secret_document(name: str, data: dict[str, str]) -> dict[str, Any]:
    """A Secret of the type that workers read; values already in base64."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "camfleet.vnpt.vn/credentials",
        "metadata": {"name": name},
        "data": data,
    }
