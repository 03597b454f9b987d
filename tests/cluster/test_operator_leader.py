# SPDX-License-Identifier: Apache-2.0
"""Two replicas on a real API server: one writes, the other stands ready with a warm store."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

import pytest

from eventually import consistently, eventually
from fleet_objects import camera, enrolment, profile, site, system
from local_cluster import Cluster
from operator_process import (
    OperatorProcess,
    ReportingWorker,
    condition,
    declare,
    names,
    versions,
)


@pytest.fixture
def pair(cluster: Cluster) -> Iterator[tuple[OperatorProcess, OperatorProcess]]:
    """A leader and a standby."""
    declare(cluster, profile(), system())
    with ExitStack() as stack:
        leader = OperatorProcess(cluster, "leader")
        stack.callback(leader.forget)
        leader.until_leading()
        standby = OperatorProcess(cluster, "standby")
        stack.callback(standby.forget)
        standby.until_ready()
        yield leader, standby
        for replica in (standby, leader):
            replica.stop()


def declare_province(cluster: Cluster, namespace: str) -> None:
    declare(cluster, enrolment(namespace), site(namespace), camera(namespace, "cam0"))


def test_a_standby_is_ready_and_writes_nothing(
    cluster: Cluster, namespace: str, pair: tuple[OperatorProcess, OperatorProcess]
) -> None:
    leader, standby = pair
    declare_province(cluster, namespace)
    eventually(lambda: names(cluster, namespace, "ingestshard"), within_s=30)
    assert leader.metric("camfleet_writes_total") > 0
    assert standby.metric("camfleet_writes_total") == 0
    assert standby.metric("camfleet_leader") == 0
    assert standby.probe("/readyz") == 200


def test_a_leader_that_is_stopped_hands_over_at_once_and_its_successor_repeats_no_write(
    cluster: Cluster, namespace: str, pair: tuple[OperatorProcess, OperatorProcess]
) -> None:
    leader, standby = pair
    declare_province(cluster, namespace)
    eventually(
        lambda: condition(cluster, namespace, "cam0", "Ready") == ("Unknown", "Pending"),
        within_s=30,
    )
    eventually(lambda: names(cluster, namespace, "ingestshard"), within_s=30)
    consistently(lambda: leader.probe("/readyz") == 200, during_s=3)  # a Site's last roll-up
    before = versions(cluster, namespace)
    assert leader.stop() == 0
    eventually(lambda: standby.metric("camfleet_leader") == 1, within_s=20)
    eventually(lambda: standby.metric("controller_runtime_reconcile_total") > 0, within_s=20)
    assert versions(cluster, namespace) == before
    assert standby.metric("camfleet_writes_total") == 0
    declare(cluster, camera(namespace, "cam1"))
    eventually(
        lambda: condition(cluster, namespace, "cam1", "Assigned") == ("True", "Assigned"),
        within_s=30,
    )


def losses(cluster: Cluster, namespace: str) -> list[str]:
    """Messages of the Events that tell of recordings deleted early, of the Site with its uid."""
    raw = json.loads(cluster.kubectl("get", "events", "-n", namespace, "-o", "json"))
    uid = cluster.kubectl(
        "get", "site", "barracks", "-n", namespace, "-o", "jsonpath={.metadata.uid}"
    )
    return [
        one["message"]
        for one in raw["items"]
        if one["reason"] == "RecordingsDeletedEarly" and one["involvedObject"].get("uid") == uid
    ]


def test_recordings_that_were_deleted_early_are_told_once_and_not_by_the_next_leader_again(
    cluster: Cluster, namespace: str, pair: tuple[OperatorProcess, OperatorProcess]
) -> None:
    leader, standby = pair
    declare_province(cluster, namespace)
    (shard,) = eventually(lambda: names(cluster, namespace, "ingestshard"), within_s=30)
    eventually(lambda: names(cluster, namespace, "lease"), within_s=30)
    until = datetime.now(UTC) - timedelta(days=7)
    with ReportingWorker(cluster, namespace, shard) as worker:
        worker.acknowledge()
        worker.report_deleted("barracks", until)
        eventually(lambda: losses(cluster, namespace), within_s=30)
        (message,) = losses(cluster, namespace)
        assert f"{until:%Y-%m-%d %H:%M} UTC" in message
        assert leader.stop() == 0
        eventually(lambda: standby.metric("camfleet_leader") == 1, within_s=20)
        worker.report_deleted("barracks", until + timedelta(hours=1))
        consistently(lambda: losses(cluster, namespace) == [message], during_s=10)
        worker.report_deleted("barracks", until + timedelta(days=2))
        eventually(lambda: len(losses(cluster, namespace)) == 2, within_s=30)


def test_a_leader_that_was_frozen_ends_itself_instead_of_writing_on(
    cluster: Cluster, namespace: str, pair: tuple[OperatorProcess, OperatorProcess]
) -> None:
    leader, standby = pair
    leader.signal(signal.SIGSTOP)
    eventually(lambda: standby.metric("camfleet_leader") == 1, within_s=60)
    declare_province(cluster, namespace)
    eventually(
        lambda: condition(cluster, namespace, "cam0", "Assigned") == ("True", "Assigned"),
        within_s=30,
    )
    leader.signal(signal.SIGCONT)
    assert leader.exit_status() == 1
    assert "LeadershipLost" in leader.log()
