# SPDX-License-Identifier: Apache-2.0
"""What the store keeps, which version it refuses, and which change may change a plan."""

from __future__ import annotations

from typing import Any

import pytest

from camfleet_operator.observed import observe_camera
from camfleet_operator.resources import CAMERAS, LEASES, NAMESPACES, ROLE_BINDINGS, ROLES
from camfleet_operator.store import Store
from fleet_objects import camera, enrolment

OURS = {"app.kubernetes.io/managed-by": "camfleet-operator"}


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(clock: Clock) -> Store:
    return Store(lease_seconds=40, monotonic=clock)


def stored(raw: dict[str, Any], version: int, uid: str = "u1") -> dict[str, Any]:
    return {**raw, "metadata": {**raw["metadata"], "uid": uid, "resourceVersion": str(version)}}


def cam(version: int, uid: str = "u1", **spec: Any) -> dict[str, Any]:
    return stored(camera("ns", "cam0", **spec), version, uid)


def lease(version: int, renewed: str | None) -> dict[str, Any]:
    raw = {
        "metadata": {"name": "s", "namespace": "ns", "labels": OURS},
        "spec": {"renewTime": renewed} if renewed else {},
    }
    return stored(raw, version)


def test_older_news_never_replaces_newer(store: Store) -> None:
    assert store.put(CAMERAS, cam(5, zone="gate")) is not None
    assert store.put(CAMERAS, cam(4, zone="lobby")) is None
    assert store.put(CAMERAS, cam(5, zone="lobby")) is None
    spec = store.snapshot("ns").cameras["cam0"].spec
    assert spec is not None
    assert spec.zone == "gate"


def test_a_late_answer_does_not_bring_back_what_was_deleted(store: Store) -> None:
    store.put(CAMERAS, cam(5))
    assert store.remove(CAMERAS, cam(7)) is not None
    assert store.put(CAMERAS, cam(6)) is None
    assert store.snapshot("ns").cameras == {}


def test_news_of_the_end_of_an_earlier_object_spares_its_successor(store: Store) -> None:
    store.put(CAMERAS, cam(9, uid="second"))
    assert store.remove(CAMERAS, cam(8, uid="first")) is None
    assert "cam0" in store.snapshot("ns").cameras


def test_a_lease_renewed_in_time_enqueues_nothing_and_a_return_from_silence_does(
    store: Store, clock: Clock
) -> None:
    changes = [store.put(LEASES, lease(1, None)), store.put(LEASES, lease(2, "a"))]
    clock.now = 10
    changes.append(store.put(LEASES, lease(3, "b")))
    clock.now = 60
    changes.append(store.put(LEASES, lease(4, "c")))
    assert [change is not None and change.matters for change in changes] == [
        True,
        True,
        False,
        True,
    ]


def test_silence_is_counted_from_when_we_saw_the_renewal(store: Store, clock: Clock) -> None:
    clock.now = 100
    store.put(LEASES, lease(1, "1999-01-01T00:00:00Z"))
    clock.now = 107
    assert store.snapshot("ns").silence_s == {"s": 7}


def test_of_role_bindings_only_ours_and_those_that_enrol_are_kept(store: Store) -> None:
    other = stored(enrolment("ns", "other"), 1, "a")
    other["roleRef"] = {"kind": "ClusterRole", "name": "view"}
    assert store.put(ROLE_BINDINGS, other) is None
    assert store.put(ROLE_BINDINGS, stored(enrolment("ns"), 2, "b")) is not None
    assert list(store.snapshot("ns").role_bindings) == ["camfleet"]


def test_an_object_that_loses_our_label_is_gone_and_comes_back_with_it(store: Store) -> None:
    role = {"metadata": {"name": "s", "namespace": "ns", "labels": OURS}, "rules": []}
    store.put(ROLES, stored(role, 1))
    bare = stored({"metadata": {"name": "s", "namespace": "ns"}, "rules": []}, 2)
    assert store.put(ROLES, bare) is not None
    assert store.snapshot("ns").roles == {}
    store.put(ROLES, stored(role, 3))
    assert "s" in store.snapshot("ns").roles


def test_a_snapshot_does_not_change_with_the_store(store: Store) -> None:
    store.put(NAMESPACES, stored({"metadata": {"name": "ns"}}, 1))
    store.put(CAMERAS, cam(2))
    snapshot = store.snapshot("ns")
    store.remove(CAMERAS, cam(3))
    assert list(snapshot.cameras) == ["cam0"]
    assert snapshot.exists


def test_one_field_of_a_status_out_of_bounds_loses_that_field_alone() -> None:
    raw = cam(1)
    raw["status"] = {
        "shard": "s" * 100,
        "attempts": {"account": "a", "count": 2, "last": "2026-01-01T00:00:00Z"},
    }
    status = observe_camera(raw).status
    assert status.shard is None
    assert status.attempts is not None
    assert status.attempts.count == 2


def test_an_error_in_a_spec_is_reported_without_its_value() -> None:
    seen = observe_camera(cam(1, host="admin:secret@ host"))
    assert seen.spec is None
    assert "spec.host" in seen.error
    assert "secret" not in seen.error
