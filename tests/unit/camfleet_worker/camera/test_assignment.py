# SPDX-License-Identifier: Apache-2.0
"""From one shard to the next: what is touched, and what must not be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camfleet_api.camera import Scheme, VideoSource
from camfleet_api.ingest_shard import IngestShardSpec, Policy, ShardCamera
from camfleet_api.policy import StreamRole
from camfleet_api.site import MaintenanceWindow
from camfleet_api.technical_profile import RecordingPolicy, VideoLimits
from camfleet_worker.camera.assignment import assignments_of, change_between

WINDOW = MaintenanceWindow.read(
    {
        "from": "2026-05-01T00:00:00Z",
        "until": "2026-05-01T02:00:00Z",
        "author": "noc",
        "reason": "mast",
    }
)


def policy(
    retention: int = 30,
    per_s: int = 5,
    site_bytes: int | None = None,
    windows: list[MaintenanceWindow] | None = None,
) -> Policy:
    return Policy(
        video=VideoLimits(),
        stream=StreamRole.MAIN,
        recording=RecordingPolicy(retention_days=retention),
        relays=[],
        site_connects_per_second=per_s,
        site_retention_bytes=site_bytes,
        site_maintenance_windows=windows or [],
    )


def camera(
    number: int, host: str = "192.0.2.1", policy: int = 0, generation: int = 1
) -> ShardCamera:
    return ShardCamera(
        name=f"cam{number}",
        uid=f"uid-{number}",
        generation=generation,
        site="hospital",
        host=host,
        onvif_port=80,
        rtsp_port=554,
        scheme=Scheme.HTTP,
        onvif_path="/onvif/device_service",
        source=VideoSource(channel=1),
        policy=policy,
    )


def spec(policies: list[Policy], *cameras: ShardCamera) -> IngestShardSpec:
    return IngestShardSpec(hash="h", policies=policies, cameras=list(cameras))


cameras = st.lists(
    st.builds(
        camera,
        st.integers(0, 9),
        st.sampled_from(["192.0.2.1", "192.0.2.2"]),
        st.integers(0, 1),
        st.integers(1, 2),
    ),
    unique_by=lambda c: c.uid,
)
specs = st.builds(
    lambda listed, retention: spec([policy(), policy(retention)], *listed),
    cameras,
    st.sampled_from([30, 31]),
)


@given(specs, specs)
def test_each_camera_is_in_exactly_one_class(
    before: IngestShardSpec, after: IngestShardSpec
) -> None:
    old, new = assignments_of(before), assignments_of(after)
    change = change_between(old, new)
    classes = [change.added, change.removed, change.changed, change.renewed]
    touched = [assignment.uid for some in classes for assignment in some]
    assert len(touched) == len(set(touched))
    same = {uid for uid in old.keys() & new.keys() if old[uid] == new[uid]}
    assert set(touched) == (old.keys() | new.keys()) - same


@given(specs, specs)
def test_applying_the_change_gives_the_new_shard(
    before: IngestShardSpec, after: IngestShardSpec
) -> None:
    running = assignments_of(before)
    change = change_between(running, assignments_of(after))
    for assignment in change.removed:
        del running[assignment.uid]
    for assignment in (*change.added, *change.changed, *change.renewed):
        running[assignment.uid] = assignment
    assert running == assignments_of(after)


def test_another_index_for_an_equal_policy_touches_nothing() -> None:
    before = assignments_of(spec([policy()], camera(1, policy=0)))
    after = assignments_of(spec([policy(99), policy()], camera(1, policy=1)))
    change = change_between(before, after)
    assert change.changed == change.added == change.removed == ()


@pytest.mark.parametrize(
    "edited",
    [policy(per_s=9), policy(site_bytes=1 << 30), policy(windows=[WINDOW])],
    ids=["connect-budget", "size", "maintenance-window"],
)
def test_a_label_or_what_concerns_the_site_alone_needs_no_new_connection(edited: Policy) -> None:
    before = assignments_of(spec([policy()], camera(1)))
    after = assignments_of(spec([edited], camera(1, generation=2)))
    change = change_between(before, after)
    assert [a.uid for a in change.renewed] == ["uid-1"]
    assert not change.changed


def test_a_changed_policy_touches_the_cameras_that_are_held_to_it() -> None:
    before = assignments_of(spec([policy(), policy()], camera(1, policy=0), camera(2, policy=1)))
    after = assignments_of(spec([policy(), policy(31)], camera(1, policy=0), camera(2, policy=1)))
    assert [a.uid for a in change_between(before, after).changed] == ["uid-2"]
