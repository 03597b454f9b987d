# SPDX-License-Identifier: Apache-2.0
"""Which Secrets a work list needs: the operator grants what the worker reads; and what a worker
says of its shard."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from camfleet_api.ingest_shard import (
    DeletedEarly,
    IngestShardSpec,
    IngestShardStatus,
    Policy,
    ShardCamera,
    secrets_of_camera,
    secrets_of_shard,
)
from shard_entries import relay_with, secret_ref, shard_camera, shard_policy

SECRET = st.none() | st.sampled_from(["site-a", "site-b", "national", "ministry"])


def _policy(*secrets: str | None) -> Policy:
    return shard_policy(*(relay_with(secret) for secret in secrets))


def _camera(secret: str | None, policy: int = 0) -> ShardCamera:
    return shard_camera(credentials=secret_ref(secret), policy=policy)


def test_a_camera_needs_its_own_secret_and_those_of_its_monitoring_systems() -> None:
    policy = _policy("national", None)
    assert secrets_of_camera(_camera("site-a"), policy) == {"site-a", "national"}
    assert secrets_of_camera(_camera(None), policy) == {"national"}


@given(
    policies=st.lists(st.lists(SECRET, max_size=2), min_size=1, max_size=4),
    cameras=st.lists(SECRET, min_size=4, max_size=12),
)
def test_a_shard_needs_what_its_cameras_need_together(
    policies: list[list[str | None]], cameras: list[str | None]
) -> None:
    spec = IngestShardSpec(
        hash="h",
        policies=[_policy(*secrets) for secrets in policies],
        cameras=[_camera(secret, n % len(policies)) for n, secret in enumerate(cameras)],
    )
    each = (secrets_of_camera(camera, spec.policies[camera.policy]) for camera in spec.cameras)
    assert secrets_of_shard(spec) == frozenset().union(*each)


def test_a_status_that_lost_no_recordings_names_no_field_for_them() -> None:
    """An older CRD would refuse the field, and the acknowledgement with it."""
    assert IngestShardStatus(observed_hash="h1").to_wire() == {"observedHash": "h1"}


def test_a_status_reads_back_what_it_said_in_whole_seconds_of_utc() -> None:
    until = datetime(2026, 11, 20, 14, 3, 5, tzinfo=UTC)
    lost = DeletedEarly(site="hotel", until=until, retention_days=30)
    wire = IngestShardStatus(observed_hash="h1", deleted_early=[lost]).to_wire()
    assert wire["deletedEarly"] == [
        {"site": "hotel", "until": "2026-11-20T14:03:05Z", "retentionDays": 30}
    ]
    assert IngestShardStatus.read(wire).deleted_early == [lost]
