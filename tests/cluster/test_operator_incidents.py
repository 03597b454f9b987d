# SPDX-License-Identifier: Apache-2.0
"""A site that falls, and a recorder in two workers' hands, on a real API server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from eventually import eventually
from fleet_objects import camera, enrolment, profile, site, system
from local_cluster import Cluster, ClusterError
from operator_process import OperatorProcess, ReportingWorker, declare, get, names, operator

CAMERAS = [f"cam{number}" for number in range(5)]


@pytest.fixture(scope="module")
def replica(cluster: Cluster) -> Iterator[OperatorProcess]:
    declare(cluster, profile(), system())
    with operator(cluster) as one:
        yield one


def reachable(cluster: Cluster, namespace: str) -> tuple[str, str]:
    raw = get(cluster, namespace, "site", "barracks")
    for one in (raw.get("status") or {}).get("conditions", ()):
        if one["type"] == "Reachable":
            return one["status"], one["reason"]
    return "", ""


def events(cluster: Cluster, namespace: str) -> list[tuple[str, str]]:
    raw = json.loads(cluster.kubectl("get", "events", "-n", namespace, "-o", "json"))
    ours = [one for one in raw["items"] if one["source"].get("component") == "camfleet-operator"]
    return [(one["involvedObject"]["kind"], one["reason"]) for one in ours]


def test_a_site_that_falls_and_returns_is_two_events_and_a_condition(
    cluster: Cluster, namespace: str, replica: OperatorProcess
) -> None:
    declare(
        cluster,
        enrolment(namespace),
        site(namespace),
        *(camera(namespace, name) for name in CAMERAS),
    )
    (shard,) = eventually(lambda: names(cluster, namespace, "ingestshard"), within_s=30)
    eventually(lambda: get(cluster, namespace, "lease", shard), within_s=30)
    with ReportingWorker(cluster, namespace, shard) as worker:
        worker.acknowledge()
        worker.report(*CAMERAS)
        eventually(lambda: reachable(cluster, namespace) == ("True", "Reachable"), within_s=30)
        eventually(lambda: events(cluster, namespace), within_s=30)
        before = len(events(cluster, namespace))
        worker.report(*CAMERAS, ready=False)
        eventually(
            lambda: reachable(cluster, namespace) == ("False", "SiteUnreachable"), within_s=30
        )
        eventually(lambda: len(events(cluster, namespace)) > before, within_s=30)
        worker.report(*CAMERAS)
        eventually(lambda: reachable(cluster, namespace) == ("True", "Reachable"), within_s=30)
        eventually(lambda: ("Site", "Reachable") in events(cluster, namespace), within_s=30)
        told = events(cluster, namespace)
    assert told.count(("Site", "SiteUnreachable")) == 1
    assert ("Camera", "HostUnreachable") not in told
    assert "REACHABLE" in cluster.kubectl("get", "sites", "-n", namespace)


def may(cluster: Cluster, namespace: str, shard: str, verb: str, what: str) -> bool:
    """Whether the worker of a shard may do something, by the API server's own word."""
    account = f"--as=system:serviceaccount:{namespace}:{shard}"
    try:
        return "yes" in cluster.kubectl("auth", "can-i", verb, what, "-n", namespace, account)
    except ClusterError:
        return False  # kubectl ends with status 1 when the answer is no.


def test_a_recorder_in_two_shards_is_tried_by_one_worker_and_read_by_the_other(
    cluster: Cluster, namespace: str, replica: OperatorProcess
) -> None:
    login: dict[str, Any] = {"credentials": {"secret": {"secretName": "recorder"}}}
    elsewhere = {"placement": {"nodeSelector": {"zone": "b"}}}
    declare(
        cluster,
        enrolment(namespace),
        site(namespace, **login),
        site(namespace, "annex", **login, **elsewhere),
        camera(namespace, "gate", host="192.0.2.1", source={"channel": 1}),
        camera(namespace, "yard", "annex", host="192.0.2.1", source={"channel": 2}),
    )
    eventually(lambda: len(names(cluster, namespace, "ingestshard")) == 2, within_s=30)
    lines = {
        one["name"]: one | {"shard": shard}
        for shard in names(cluster, namespace, "ingestshard")
        for one in get(cluster, namespace, "ingestshard", shard)["spec"]["cameras"]
    }
    assert "loginAfter" not in lines["gate"]
    assert lines["yard"]["loginAfter"] == "gate"
    waits, leads = lines["yard"]["shard"], lines["gate"]["shard"]
    eventually(lambda: may(cluster, namespace, waits, "get", "cameras/gate"), within_s=30)
    assert not may(cluster, namespace, waits, "patch", "cameras/gate")
    assert not may(cluster, namespace, waits, "list", "cameras")
    assert not may(cluster, namespace, leads, "get", "cameras/yard")
