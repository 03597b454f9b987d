# SPDX-License-Identifier: Apache-2.0
"""A province declared on a real API server, and what the operator makes of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from eventually import consistently, eventually
from fleet_objects import camera, enrolment, profile, site, system
from local_cluster import Cluster
from operator_process import (
    OperatorProcess,
    ReportingWorker,
    condition,
    declare,
    get,
    names,
    operator,
    versions,
)

Raw = dict[str, Any]

OWNED = ("serviceaccount", "role", "rolebinding", "lease", "ingestshard")


@pytest.fixture(scope="module")
def replica(cluster: Cluster) -> Iterator[OperatorProcess]:
    declare(cluster, profile(), system())
    with operator(cluster) as one:
        yield one
        refused = [line for line in one.log().splitlines() if '"403 ' in line]
        # A namespace that is being deleted takes nothing more, whatever the rights.
        assert [line for line in refused if "being terminated" not in line] == []


@pytest.fixture
def province(cluster: Cluster, namespace: str, replica: OperatorProcess) -> str:
    """A namespace with a site, three cameras and its shard."""
    declare(
        cluster,
        enrolment(namespace),
        site(namespace),
        *(camera(namespace, f"cam{n}") for n in range(3)),
    )
    eventually(lambda: names(cluster, namespace, "ingestshard"), within_s=30)
    return namespace


def shard_of(cluster: Cluster, namespace: str) -> str:
    (shard,) = names(cluster, namespace, "ingestshard")
    return shard


def listed(cluster: Cluster, namespace: str) -> list[str]:
    shard = get(cluster, namespace, "ingestshard", shard_of(cluster, namespace))
    return [one["name"] for one in shard["spec"]["cameras"]]


def child(cluster: Cluster, namespace: str, kind: str, name: str) -> Raw:
    """An owned object, as soon as it is there."""
    return eventually(lambda: get(cluster, namespace, kind, name), within_s=30)


def owners(cluster: Cluster, namespace: str, shard: str) -> set[str]:
    """UIDs of the owners of everything a shard has."""
    objects = (get(cluster, namespace, kind, shard) for kind in OWNED)
    return {one["uid"] for raw in objects for one in raw["metadata"]["ownerReferences"]}


def leftovers(cluster: Cluster, namespace: str) -> list[str]:
    """What is left of a namespace's shards."""
    return [name for kind in OWNED for name in names(cluster, namespace, kind)]


def test_a_declared_province_gets_a_worker_and_every_camera_shows_its_shard(
    cluster: Cluster, province: str
) -> None:
    shard = shard_of(cluster, province)
    owner = get(cluster, province, "deployment", shard)["metadata"]["uid"]
    for kind in OWNED:
        raw = child(cluster, province, kind, shard)
        assert [one["uid"] for one in raw["metadata"]["ownerReferences"]] == [owner], kind
    assert listed(cluster, province) == ["cam0", "cam1", "cam2"]
    eventually(lambda: condition(cluster, province, "cam2", "Ready") == ("Unknown", "Pending"))
    assert condition(cluster, province, "cam2", "Accepted") == ("True", "Accepted")
    assert get(cluster, province, "camera", "cam2")["status"]["shard"] == shard
    eventually(lambda: get(cluster, province, "site", "barracks")["status"]["ready"] == "0/3")


def test_a_new_shard_brings_no_warning(cluster: Cluster, province: str) -> None:
    shard = shard_of(cluster, province)

    def events() -> list[Raw]:
        found = cluster.kubectl("get", "events", "-n", province, "-o", "json")
        return list(json.loads(found)["items"])

    def pod_made() -> bool:
        return any(one["reason"] == "SuccessfulCreate" for one in events())

    eventually(pod_made, within_s=30)
    about_shard = [one for one in events() if one["involvedObject"]["name"].startswith(shard)]
    assert [one["message"] for one in about_shard if one["type"] == "Warning"] == []


def test_the_workers_pod_passes_the_restricted_pod_security_standard(
    cluster: Cluster, province: str
) -> None:
    template = get(cluster, province, "deployment", shard_of(cluster, province))["spec"]["template"]
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "trial", "namespace": province},
        "spec": template["spec"] | {"serviceAccountName": "default"},
    }
    cluster.kubectl("label", "namespace", province, "pod-security.kubernetes.io/enforce=restricted")
    cluster.kubectl("create", "--dry-run=server", "-f", "-", stdin=json.dumps(pod))


REFUSALS: dict[str, tuple[list[str], Raw | None, Raw]] = {
    "NamespaceNotEnrolled": ([], {}, {}),
    "SiteNotFound": (["enrolment"], None, {}),
    "ProfileNotFound": (["enrolment"], {"profileRef": "nowhere"}, {}),
    "MonitoringSystemNotFound": (["enrolment"], {"monitoringSystemRefs": ["nowhere"]}, {}),
    "CredentialsNotDeclared": (["enrolment"], {"credentials": None}, {}),
}


@pytest.mark.parametrize("reason", REFUSALS)
def test_errors_that_only_the_cluster_shows_are_in_accepted_with_the_next_action(
    cluster: Cluster, namespace: str, replica: OperatorProcess, reason: str
) -> None:
    extras, site_spec, camera_spec = REFUSALS[reason]
    objects: list[Any] = [camera(namespace, "cam0", **camera_spec)]
    if site_spec is not None:
        objects.append(site(namespace, **site_spec))
    if extras:
        objects.append(enrolment(namespace))
    declare(cluster, *objects)
    eventually(
        lambda: condition(cluster, namespace, "cam0", "Accepted") == ("False", reason), within_s=30
    )
    assert condition(cluster, namespace, "cam0", "Stalled") == ("True", reason)
    eventually(lambda: condition(cluster, namespace, "cam0", "Ready") == ("False", reason))
    columns = cluster.kubectl("get", "camera", "cam0", "-n", namespace, "-o", "wide")
    assert reason in columns
    assert names(cluster, namespace, "deployment") == []


def test_a_second_camera_for_the_same_source_is_refused(cluster: Cluster, province: str) -> None:
    eventually(lambda: condition(cluster, province, "cam0", "Accepted")[0] == "True")
    declare(cluster, camera(province, "z-copy", host="cam0.cameras.example"))
    eventually(
        lambda: condition(cluster, province, "z-copy", "Accepted") == ("False", "DuplicateSource"),
        within_s=30,
    )
    assert "z-copy" not in listed(cluster, province)


def test_a_spec_that_a_later_schema_refuses_is_reported_as_invalid(
    cluster: Cluster, province: str
) -> None:
    """The API server keeps what it once took; here its rule is lifted for a moment."""
    crd = json.loads(cluster.kubectl("get", "crd", "cameras.camfleet.vnpt.vn", "-o", "json"))
    lifted = json.loads(json.dumps(crd))
    schema = lifted["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    schema["properties"]["spec"]["properties"]["host"].pop("pattern")
    try:
        cluster.kubectl("replace", "-f", "-", stdin=json.dumps(lifted))
        eventually(lambda: _taken(cluster, camera(province, "odd", host="a b")), within_s=30)
    finally:
        lifted["spec"] = crd["spec"]
        lifted["metadata"].pop("resourceVersion")
        cluster.kubectl("replace", "-f", "-", stdin=json.dumps(lifted))
    eventually(
        lambda: condition(cluster, province, "odd", "Accepted") == ("False", "InvalidSpec"),
        within_s=30,
    )
    assert "odd" not in listed(cluster, province)


def _taken(cluster: Cluster, raw: dict[str, Any]) -> bool:
    declare(cluster, raw)
    return True


def test_every_child_deleted_by_hand_comes_back(cluster: Cluster, province: str) -> None:
    shard = shard_of(cluster, province)
    eventually(lambda: all(shard in names(cluster, province, kind) for kind in OWNED), within_s=30)
    for kind in (*OWNED, "deployment"):
        before = get(cluster, province, kind, shard)["metadata"]["uid"]
        cluster.kubectl("delete", kind, shard, "-n", province)
        again = child(cluster, province, kind, shard)
        assert again["metadata"]["uid"] != before, kind
    root = get(cluster, province, "deployment", shard)["metadata"]["uid"]
    eventually(lambda: owners(cluster, province, shard) == {root}, within_s=30)
    assert listed(cluster, province) == ["cam0", "cam1", "cam2"]


def test_all_shards_and_roles_deleted_at_once_come_back_as_they_were(
    cluster: Cluster, province: str
) -> None:
    shard = shard_of(cluster, province)
    with ReportingWorker(cluster, province, shard) as worker:
        worker.acknowledge()
        before = get(cluster, province, "ingestshard", shard)["spec"]
        cluster.kubectl("delete", "ingestshards,roles", "--all", "-n", province)
        eventually(lambda: shard in names(cluster, province, "role"), within_s=30)
        assert eventually(lambda: get(cluster, province, "ingestshard", shard))["spec"] == before


def test_a_slip_in_git_stops_no_running_camera(cluster: Cluster, province: str) -> None:
    shard = shard_of(cluster, province)
    with ReportingWorker(cluster, province, shard) as worker:
        worker.acknowledge()
        worker.report("cam0", "cam1", "cam2")
        before = get(cluster, province, "ingestshard", shard)["spec"]
        cluster.kubectl("delete", "site", "barracks", "-n", province)
        eventually(
            lambda: condition(cluster, province, "cam0", "Accepted") == ("False", "SiteNotFound"),
            within_s=30,
        )
        consistently(
            lambda: get(cluster, province, "ingestshard", shard)["spec"] == before, during_s=2
        )
        assert condition(cluster, province, "cam0", "Assigned") == ("True", "Assigned")
        assert condition(cluster, province, "cam0", "Ready") == ("True", "Ready")
        declare(cluster, site(province))
        eventually(
            lambda: condition(cluster, province, "cam0", "Accepted") == ("True", "Accepted"),
            within_s=30,
        )
        assert condition(cluster, province, "cam0", "Stalled") == ("", "")


def test_a_paused_camera_leaves_its_worker_and_reports_paused(
    cluster: Cluster, province: str
) -> None:
    with ReportingWorker(cluster, province, shard_of(cluster, province)) as worker:
        worker.acknowledge()
        worker.report("cam0", "cam1", "cam2")
        declare(cluster, camera(province, "cam0", paused=True))
        eventually(lambda: listed(cluster, province) == ["cam1", "cam2"], within_s=30)
        assert condition(cluster, province, "cam0", "Ready") == ("True", "Ready")
        worker.acknowledge()
        eventually(
            lambda: condition(cluster, province, "cam0", "Ready") == ("False", "Paused"),
            within_s=30,
        )
        assert condition(cluster, province, "cam0", "Assigned") == ("False", "Paused")


def test_a_silent_worker_is_reported_and_so_is_its_return(cluster: Cluster, province: str) -> None:
    shard = shard_of(cluster, province)
    with ReportingWorker(cluster, province, shard) as worker:
        worker.acknowledge()
        worker.report("cam0")
        eventually(lambda: condition(cluster, province, "cam0", "Ready") == ("True", "Ready"))
    eventually(
        lambda: condition(cluster, province, "cam0", "Ready") == ("Unknown", "WorkerLost"),
        within_s=60,
    )
    assert condition(cluster, province, "cam0", "Streaming") == ("Unknown", "WorkerLost")
    with ReportingWorker(cluster, province, shard) as worker:
        worker.report("cam0")
        consistently(
            lambda: condition(cluster, province, "cam0", "Ready") == ("True", "Ready"), during_s=2
        )


def test_a_cameras_failure_is_an_event(cluster: Cluster, province: str) -> None:
    with ReportingWorker(cluster, province, shard_of(cluster, province)) as worker:
        worker.report("cam0")
        worker.report("cam0", ready=False)
        eventually(
            lambda: "HostUnreachable" in cluster.kubectl("get", "events", "-n", province),
            within_s=30,
        )


def test_the_last_camera_gone_the_worker_goes_too(cluster: Cluster, province: str) -> None:
    with ReportingWorker(cluster, province, shard_of(cluster, province)) as worker:
        worker.acknowledge()
        cluster.kubectl("delete", "cameras", "--all", "-n", province)
        eventually(lambda: listed(cluster, province) == [], within_s=30)
        worker.acknowledge()
        eventually(lambda: names(cluster, province, "deployment") == [], within_s=30)
    eventually(lambda: leftovers(cluster, province) == [], within_s=60)


def test_a_namespace_with_a_running_province_can_be_deleted(
    cluster: Cluster, province: str
) -> None:
    eventually(lambda: condition(cluster, province, "cam0", "Ready") != ("", ""), within_s=30)
    cluster.kubectl("delete", "namespace", province, "--wait=true", "--timeout=60s")
    cluster.kubectl("create", "namespace", province)  # for the fixture that deletes it


def test_nothing_is_written_while_nothing_changes_and_after_a_restart(
    cluster: Cluster, province: str, replica: OperatorProcess
) -> None:
    shard = shard_of(cluster, province)
    with ReportingWorker(cluster, province, shard) as worker:
        worker.acknowledge()
        worker.report("cam0", "cam1", "cam2")
        eventually(
            lambda: get(cluster, province, "site", "barracks")["status"]["ready"] == "3/3",
            within_s=30,
        )
        before = versions(cluster, province)
        rounds = replica.metric("controller_runtime_reconcile_total")
        cluster.kubectl("annotate", "camera", "cam0", "-n", province, "touched=yes")
        eventually(
            lambda: replica.metric("controller_runtime_reconcile_total") > rounds, within_s=30
        )
        after = versions(cluster, province)
        assert {k: v for k, v in after.items() if k != "Camera/cam0"} == {
            k: v for k, v in before.items() if k != "Camera/cam0"
        }
