# SPDX-License-Identifier: Apache-2.0
"""A Camera's status under server-side apply: two field managers, atomic conditions, size."""

from __future__ import annotations

import json
from typing import Any

import pytest

from camfleet_api.camera import CameraStatus
from camfleet_api.conditions import LADDER, REASONS, SINKS, ConditionType, Reason
from camfleet_api.names import API_VERSION, GROUP, OPERATOR_MANAGER, RUNTIME_MANAGER, VERSION
from local_cluster import Cluster, ClusterError

SINCE = "2021-06-01T00:00:00Z"
CAMERA = {
    "siteRef": "hoa-vinh-barracks",
    "displayName": "Cổng chính, phía bắc",
    "host": "10.54.12.21",
    "ports": {"onvif": 8001, "rtsp": 9001},
    "zone": "gate",
}
DEVICE = {
    "manufacturer": "Manufacturer Co., Ltd.", "model": "DS-2CD2043G2-I/2.8mm",
    "firmwareVersion": "V5.7.13 build 230710", "serialNumber": "DS-2CD2043G2-I20210601AAWRG123456",
    "hardwareId": "88",
}  # fmt: skip
LEARNED = {
    "clockOffsetSeconds": -15897600, "authScheme": "ws-username-token", "mediaVersion": "1",
    "mediaPath": "/onvif/media_service", "profileToken": "Profile_1",
    "streamPath": "/Streaming/Channels/101?transportmode=unicast",
    "codec": "H264", "width": 1920, "height": 1080, "generation": 3,
}  # fmt: skip
ATTEMPTS = {"account": "a" * 32, "count": 1, "proven": True, "last": SINCE}


def _condition(type_: str, status: str = "True", reason: str = "", message: str = "") -> Any:
    told = {"message": message} if message else {}
    return {
        "type": type_, "status": status, "reason": reason or type_, **told,
        "lastTransitionTime": SINCE, "observedGeneration": 3,
    }  # fmt: skip


class Camera:
    """One Camera on the API server, and how its status is written."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self._cluster = cluster
        self._namespace = namespace
        wire = {
            "apiVersion": API_VERSION, "kind": "Camera", "metadata": {"name": "cam01"},
            "spec": CAMERA,
        }  # fmt: skip
        # As people apply: kubectl keeps a copy of the object in an annotation.
        cluster.kubectl("apply", "-n", namespace, "-f", "-", stdin=json.dumps(wire))

    def apply(self, manager: str, *conditions: Any, force: bool = False, **fields: Any) -> None:
        """Server-side apply of a writer's whole set."""
        wire = {
            "apiVersion": API_VERSION, "kind": "Camera", "metadata": {"name": "cam01"},
            "status": fields | {"conditions": list(conditions)},
        }  # fmt: skip
        self._cluster.kubectl(
            "apply", "-n", self._namespace, "--server-side", "--subresource=status",
            f"--field-manager={manager}", *(["--force-conflicts"] if force else []), "-f", "-",
            stdin=json.dumps(wire),
        )  # fmt: skip

    def raw(self) -> str:
        """The object as the API server sends it, managedFields included."""
        path = f"/apis/{GROUP}/{VERSION}/namespaces/{self._namespace}/cameras/cam01"
        return self._cluster.kubectl("get", "--raw", path)

    def read(self) -> dict[str, Any]:
        return dict(json.loads(self.raw()))

    def conditions(self) -> dict[str, str]:
        """Reason by type."""
        return {item["type"]: item["reason"] for item in self.read()["status"]["conditions"]}


@pytest.fixture
def camera(cluster: Cluster, namespace: str) -> Camera:
    return Camera(cluster, namespace)


def test_two_managers_write_conditions_side_by_side(camera: Camera) -> None:
    camera.apply(OPERATOR_MANAGER, _condition("Accepted"), _condition("Assigned"))
    camera.apply(RUNTIME_MANAGER, _condition("Reachable"), _condition("Ready"))
    camera.apply(OPERATOR_MANAGER, _condition("Accepted"))
    assert camera.conditions() == {
        "Accepted": "Accepted",
        "Reachable": "Reachable",
        "Ready": "Ready",
    }


def test_what_another_manager_holds_is_taken_by_force_only(camera: Camera) -> None:
    camera.apply(RUNTIME_MANAGER, _condition("Ready"))
    with pytest.raises(ClusterError, match="conflict"):
        camera.apply("somebody", _condition("Ready", "False", "Timeout"))
    camera.apply("somebody", _condition("Ready", "False", "Timeout"), force=True)
    assert camera.conditions() == {"Ready": "Timeout"}


def test_a_condition_taken_by_force_can_be_dropped_whole(camera: Camera) -> None:
    """With items that are not atomic the former manager's half of it stays: 422 ever after."""
    camera.apply("former", _condition("Reachable"), _condition("Ready"))
    camera.apply(RUNTIME_MANAGER, _condition("Ready", "False", "NoFrames", "Why."), force=True)
    camera.apply(RUNTIME_MANAGER)
    assert camera.conditions() == {"Reachable": "Reachable"}
    camera.apply("former", _condition("Reachable"), _condition("Ready"))
    assert camera.conditions() == {"Reachable": "Reachable", "Ready": "Ready"}


def test_an_unchanged_apply_costs_no_write(camera: Camera) -> None:
    ready = [_condition(type_) for type_ in (*LADDER, *SINKS, ConditionType.READY)]
    before = []
    for _ in range(2):
        camera.apply(RUNTIME_MANAGER, *ready, device=DEVICE, learned=LEARNED)
        before.append(camera.read()["metadata"]["resourceVersion"])
    assert before[0] == before[1]


def test_the_stored_status_is_what_the_model_reads(camera: Camera) -> None:
    camera.apply(RUNTIME_MANAGER, _condition("Ready"), device=DEVICE, learned=LEARNED)
    status = camera.read()["status"]
    assert CameraStatus.read(status).to_wire() == status


def test_a_healthy_camera_takes_at_most_4_kb(camera: Camera) -> None:
    operator = (ConditionType.ACCEPTED, ConditionType.ASSIGNED)
    runtime = (*LADDER[2:], *SINKS, ConditionType.READY)
    camera.apply(
        OPERATOR_MANAGER, *(_condition(type_) for type_ in operator), observedGeneration=3,
        shard="ingest-5f7d9c4b8d-0",
    )  # fmt: skip
    camera.apply(
        RUNTIME_MANAGER, *(_condition(type_) for type_ in runtime), device=DEVICE,
        learned=LEARNED, attempts=ATTEMPTS,
    )  # fmt: skip
    assert len(camera.raw().encode()) <= 4096


def test_a_failing_camera_takes_at_most_6_kb(camera: Camera) -> None:
    row = REASONS[Reason.CREDENTIALS_REJECTED]
    message = f"{row.meaning} {row.next_action}"
    pending = "Not known yet: an earlier step has not been passed."
    clock = REASONS[Reason.CLOCK_OFF]
    camera.apply(
        OPERATOR_MANAGER, _condition("Accepted"), _condition("Assigned"), observedGeneration=3,
        shard="ingest-5f7d9c4b8d-0",
    )  # fmt: skip
    camera.apply(
        RUNTIME_MANAGER,
        _condition("Reachable"),
        _condition("Authenticated", "False", Reason.CREDENTIALS_REJECTED, message),
        *(
            _condition(type_, "Unknown", Reason.PENDING, pending)
            for type_ in (ConditionType.ELIGIBLE, ConditionType.STREAMING, *SINKS)
        ),
        _condition("Ready", "False", Reason.CREDENTIALS_REJECTED, message),
        _condition(
            "TimeSynchronized", "False", Reason.CLOCK_OFF, f"{clock.meaning} {clock.next_action}"
        ),
        device=DEVICE,
        learned=LEARNED,
        attempts=ATTEMPTS,
    )
    assert len(camera.raw().encode()) <= 6144
