# SPDX-License-Identifier: Apache-2.0
"""What runs, found by device and by Secret."""

from __future__ import annotations

from collections.abc import Iterable

from camfleet_worker.camera.assignment import Assignment
from camfleet_worker.camera.assignment_index import AssignmentIndex
from shard_entries import relay_with, secret_ref, shard_camera, shard_policy


def assignment(name: str, port: int = 80, secret: str = "site") -> Assignment:
    camera = shard_camera(name, onvif_port=port, credentials=secret_ref(secret))
    return Assignment(camera, shard_policy(relay_with("national")))


GATE, LOBBY = assignment("gate"), assignment("lobby", secret="other")
BEHIND_NAT = assignment("behind-nat", port=8080)


def index_of(*assignments: Assignment) -> AssignmentIndex:
    index = AssignmentIndex()
    index.hold({one.uid: one for one in assignments})
    return index


def names(found: Iterable[Assignment]) -> set[str]:
    return {assignment.uid for assignment in found}


def test_channels_of_a_recorder_share_host_and_port() -> None:
    index = index_of(GATE, LOBBY, BEHIND_NAT)
    assert names(index.at_device(GATE.device)) == {"gate", "lobby"}
    assert names(index.at_device(BEHIND_NAT.device)) == {"behind-nat"}


def test_cameras_are_found_by_their_own_secret_and_by_that_of_their_vms() -> None:
    index = index_of(GATE, LOBBY)
    assert names(index.with_secret("site")) == {"gate"}
    assert names(index.with_secret("national")) == {"gate", "lobby"}
    assert index.with_secret("unknown") == []


def test_a_camera_that_left_the_shard_is_not_found() -> None:
    index = index_of(GATE, LOBBY)
    index.hold({LOBBY.uid: LOBBY})
    assert names(index.at_device(GATE.device)) == {"lobby"}
    assert index.with_secret("site") == []
