# SPDX-License-Identifier: Apache-2.0
"""Which Secrets a work list needs: the operator grants what the worker reads."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from camfleet_api.ingest_shard import (
    IngestShardSpec,
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
