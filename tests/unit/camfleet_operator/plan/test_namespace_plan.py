# SPDX-License-Identifier: Apache-2.0
"""What the plan does with a province, told as a person would see it."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from camfleet_api.camera import CameraStatus
from camfleet_api.conditions import OPERATOR_CONDITIONS, ConditionType
from camfleet_api.policy import Placement
from camfleet_operator.plan.actions import Apply
from camfleet_operator.plan.camera_status import RUNTIME_RUNGS
from camfleet_operator.plan.desired import deployment
from camfleet_operator.settings import Settings, SnapshotViewer
from fleet_objects import camera, enrolment, profile, site

NAMESPACE = "phu-yen"


def with_cameras(province: Any, count: int = 3) -> Any:
    province.declare(site(NAMESPACE), *(camera(NAMESPACE, f"cam{n}") for n in range(count)))
    return province


def running(province: Any, count: int = 3) -> Any:
    with_cameras(province, count).workers_live()
    for name in province.names("Camera"):
        province.report(name, ("Streaming", "True", "Streaming"), ("Ready", "True", "Ready"))
    province.workers_live()
    return province


def only_shard(province: Any) -> str:
    (shard,) = province.names("IngestShard")
    return str(shard)


def test_declaring_a_site_and_cameras_makes_one_shard_with_everything_its_worker_needs(
    province: Any,
) -> None:
    with_cameras(province).done()
    shard = only_shard(province)
    assert province.listed() == {shard: ["cam0", "cam1", "cam2"]}
    for kind in ("Deployment", "ServiceAccount", "Role", "RoleBinding", "Lease"):
        assert shard in province.names(kind)
    assert province.condition("cam0", "Accepted") == ("True", "Accepted")
    assert province.condition("cam0", "Assigned") == ("True", "Assigned")
    assert province.condition("cam0", "Ready") == ("Unknown", "Pending")
    assert province.status("cam0").shard == shard


def test_the_deployment_owns_all_the_rest(province: Any) -> None:
    with_cameras(province).done()
    shard = only_shard(province)
    owner = province.get("Deployment", shard)["metadata"]["uid"]
    for kind in ("ServiceAccount", "Role", "RoleBinding", "Lease", "IngestShard"):
        references = province.get(kind, shard)["metadata"]["ownerReferences"]
        assert [one["uid"] for one in references] == [owner], kind


def test_a_new_shard_has_a_pod_only_when_its_service_account_is_there(province: Any) -> None:
    with_cameras(province).round()
    (shard,) = province.names("Deployment")
    assert province.get("Deployment", shard)["spec"]["replicas"] == 0
    assert province.names("ServiceAccount") == []
    changes = [action.resource.kind for action in province.round().actions]
    assert changes.index("ServiceAccount") < changes.index("Deployment")
    assert province.get("Deployment", shard)["spec"]["replicas"] == 1
    assert province.plan().actions == ()


def test_no_probe_is_sent_before_a_worker_can_answer(province: Any) -> None:
    with_cameras(province).done()
    pod = province.get("Deployment", only_shard(province))["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["startupProbe"]["initialDelaySeconds"] >= 10
    assert "initialDelaySeconds" not in container["readinessProbe"], "the first holds it back"


def test_the_role_names_exactly_what_the_worker_needs(province: Any) -> None:
    running(province)
    shard = only_shard(province)
    rules = {
        (rule["resources"][0], tuple(rule["verbs"])): rule["resourceNames"]
        for rule in province.get("Role", shard)["rules"]
    }
    assert rules == {
        ("ingestshards", ("get", "list", "watch")): [shard],
        ("ingestshards/status", ("patch",)): [shard],
        ("leases", ("get", "update")): [shard],
        ("cameras", ("get",)): ["cam0", "cam1", "cam2"],
        ("cameras/status", ("patch",)): ["cam0", "cam1", "cam2"],
        ("secrets", ("get", "list", "watch")): ["barracks-cameras", "vms-login"],
    }


def test_no_rule_of_any_role_has_an_empty_list_of_names(province: Any) -> None:
    province.declare(
        site(NAMESPACE, credentials={"anonymous": True}, monitoringSystemRefs=[]),
        camera(NAMESPACE, "cam0"),
    )
    province.done()
    rules = province.get("Role", only_shard(province))["rules"]
    assert all(rule["resourceNames"] for rule in rules)
    assert not [rule for rule in rules if rule["resources"] == ["secrets"]]


@pytest.mark.parametrize(
    ("kind", "name", "reason"),
    [
        ("Site", "barracks", "SiteNotFound"),
        ("TechnicalProfile", "tp", "ProfileNotFound"),
        ("MonitoringSystem", "vms", "MonitoringSystemNotFound"),
        ("RoleBinding", "camfleet", "NamespaceNotEnrolled"),
    ],
)
def test_a_reference_that_vanishes_is_reported_and_stops_no_running_camera(
    province: Any, kind: str, name: str, reason: str
) -> None:
    running(province)
    shard = only_shard(province)
    before = copy.deepcopy(province.get("IngestShard", shard)["spec"])
    province.delete(kind, name)
    province.workers_live()
    assert province.get("IngestShard", shard)["spec"] == before
    assert province.condition("cam0", "Accepted") == ("False", reason)
    assert province.condition("cam0", "Stalled") == ("True", reason)
    assert province.condition("cam0", "Assigned") == ("True", "Assigned")
    assert province.condition("cam0", "Ready") == ("True", "Ready")


def test_a_camera_whose_reference_returns_is_accepted_and_no_longer_stalled(province: Any) -> None:
    running(province)
    province.delete("TechnicalProfile", "tp")
    province.workers_live()
    province.declare(profile())
    province.workers_live()
    assert province.condition("cam0", "Accepted") == ("True", "Accepted")
    assert province.condition("cam0", "Stalled") == ("", "")


def test_credentials_that_vanish_from_the_site_stop_no_running_camera(province: Any) -> None:
    running(province)
    province.edit("Site", "barracks", credentials=None)
    province.workers_live()
    assert province.condition("cam0", "Accepted") == ("False", "CredentialsNotDeclared")
    assert province.listed()[only_shard(province)] == ["cam0", "cam1", "cam2"]


def test_a_new_camera_without_its_references_is_not_run_and_reports_why(province: Any) -> None:
    province.declare(camera(NAMESPACE, "cam0"))
    province.done()
    assert province.names("IngestShard") == []
    assert province.condition("cam0", "Accepted") == ("False", "SiteNotFound")
    assert province.condition("cam0", "Assigned") == ("Unknown", "Pending")
    assert province.condition("cam0", "Ready") == ("False", "SiteNotFound")
    (accepted,) = [c for c in province.status("cam0").conditions if c.type == "Accepted"]
    assert accepted.message == (
        "Site 'barracks' does not exist in this namespace. Create the Site or correct spec.siteRef."
    )


def test_a_camera_applied_before_its_site_reports_that_only_after_a_while(province: Any) -> None:
    province.camera_age = timedelta()
    province.declare(camera(NAMESPACE, "cam0"))
    plan = province.plan()
    assert plan.actions == ()
    assert plan.recheck_s == 5.0
    province.now += timedelta(seconds=plan.recheck_s)
    province.done()
    assert province.condition("cam0", "Accepted") == ("False", "SiteNotFound")


def test_an_invalid_spec_of_its_own_stops_a_camera(province: Any) -> None:
    running(province)
    province.edit("Camera", "cam1", host="")
    province.workers_live()
    assert province.condition("cam1", "Accepted") == ("False", "InvalidSpec")
    assert province.listed()[only_shard(province)] == ["cam0", "cam2"]
    assert province.condition("cam1", "Ready") == ("False", "InvalidSpec")


@pytest.mark.parametrize("kind", ["Camera", "Site"])
def test_a_paused_camera_is_removed_from_its_shard_and_reports_paused(
    province: Any, kind: str
) -> None:
    running(province, count=2)
    province.edit(kind, "cam0" if kind == "Camera" else "barracks", paused=True)
    province.workers_live()
    assert province.condition("cam0", "Assigned") == ("False", "Paused")
    assert province.condition("cam0", "Ready") == ("False", "Paused")
    assert province.condition("cam0", "Streaming") == ("Unknown", "Pending")
    assert province.status("cam0").shard is None


def test_a_paused_camera_keeps_its_last_report_until_the_worker_acknowledges(
    province: Any,
) -> None:
    running(province)
    shard = only_shard(province)
    province.edit("Camera", "cam0", paused=True)
    province.done()
    assert province.listed()[shard] == ["cam1", "cam2"]
    assert province.condition("cam0", "Ready") == ("True", "Ready")
    assert province.status("cam0").shard == shard
    assert "cam0" in json.dumps(province.get("Role", shard)["rules"])
    province.worker_lives(shard)
    province.done()
    assert province.condition("cam0", "Ready") == ("False", "Paused")
    assert "cam0" not in json.dumps(province.get("Role", shard)["rules"])


def test_a_camera_changes_workers_only_after_the_first_has_let_go(province: Any) -> None:
    running(province)
    (old,) = province.names("IngestShard")
    province.edit("Site", "barracks", placement={"nodeSelector": {"zone": "b"}})
    province.done()
    assert province.listed() == {old: []}
    assert province.status("cam0").shard == old
    province.worker_lives(old)
    province.workers_live()
    (new,) = province.names("IngestShard")
    assert new != old
    assert province.listed() == {new: ["cam0", "cam1", "cam2"]}
    assert province.names("Deployment") == [new]


def test_a_camera_does_not_wait_for_a_worker_that_is_lost(province: Any) -> None:
    running(province)
    province.pass_time(100)
    province.edit("Site", "barracks", placement={"nodeSelector": {"zone": "b"}})
    province.done()
    (new,) = province.names("IngestShard")
    assert province.listed()[new] == ["cam0", "cam1", "cam2"]


def test_a_silent_worker_is_reported_on_each_of_its_cameras_and_learnt_values_are_kept(
    province: Any,
) -> None:
    running(province)
    raw = copy.deepcopy(province.get("Camera", "cam0"))
    raw["status"]["attempts"] = {"account": "a", "count": 2, "last": province.now.isoformat()}
    raw["status"]["learned"] = {"streamPath": "/live"}
    province.declare(raw)
    province.pass_time(100)
    province.done()
    assert province.condition("cam0", "Ready") == ("Unknown", "WorkerLost")
    assert province.condition("cam0", "Streaming") == ("Unknown", "WorkerLost")
    status = province.status("cam0")
    assert status.attempts is not None
    assert status.attempts.count == 2
    assert status.learned is not None
    assert status.learned.stream_path == "/live"


def test_a_worker_that_never_came_up_is_pending_first_and_lost_after_its_grace(
    province: Any,
) -> None:
    with_cameras(province).done()
    province.pass_time(60)
    province.done()
    assert province.condition("cam0", "Ready") == ("Unknown", "Pending")
    province.pass_time(100)
    province.done()
    assert province.condition("cam0", "Ready") == ("Unknown", "WorkerLost")


def test_a_worker_s_report_is_not_touched_while_its_lease_lives(province: Any) -> None:
    running(province)
    province.report(
        "cam0", ("Reachable", "False", "HostUnreachable"), ("Ready", "False", "HostUnreachable")
    )
    plan = province.plan()
    assert [one.resource.kind for one in plan.actions] == ["Site"]


def test_a_fresh_camera_under_a_living_worker_is_left_to_the_worker(province: Any) -> None:
    running(province)
    province.declare(camera(NAMESPACE, "new"))
    province.workers_live()
    assert province.condition("new", "Assigned") == ("True", "Assigned")
    assert province.condition("new", "Ready") == ("", "")


def test_the_transition_time_stays_while_the_status_stays(province: Any) -> None:
    province.declare(camera(NAMESPACE, "cam0"))
    province.done()
    began = province.status("cam0").conditions[0].last_transition_time
    province.pass_time(50)
    province.declare(site(NAMESPACE, profileRef="another"))
    province.done()
    (accepted,) = [c for c in province.status("cam0").conditions if c.type == "Accepted"]
    assert (accepted.reason, accepted.last_transition_time) == ("ProfileNotFound", began)


def test_conditions_are_written_in_the_order_of_the_ladder(province: Any) -> None:
    province.declare(site(NAMESPACE), camera(NAMESPACE, "cam0"), camera(NAMESPACE, "cam1"))
    province.workers_live()
    true = [(kind, "True", kind) for kind in (*RUNTIME_RUNGS, ConditionType.READY)]
    province.report("cam0", ("Stable", "False", "Flapping"), *reversed(true))
    province.edit("Camera", "cam1", siteRef="nowhere")
    province.pass_time(600)
    written = [
        [ConditionType(one["type"]) for one in action.body["status"]["conditions"]]
        for action in province.plan().actions
        if isinstance(action, Apply) and action.resource.kind == "Camera"
    ]
    assert any(ConditionType.STALLED in types for types in written)
    assert any(ConditionType.STREAMING in types for types in written)
    for types in written:
        assert types == sorted(types, key=list(ConditionType).index)


def test_the_younger_of_two_cameras_for_one_source_is_refused(province: Any) -> None:
    province.declare(site(NAMESPACE), camera(NAMESPACE, "zebra", host="192.0.2.1"))
    province.pass_time(10)
    province.declare(camera(NAMESPACE, "ant", host="192.0.2.1"))
    province.done()
    assert province.condition("zebra", "Accepted") == ("True", "Accepted")
    assert province.condition("ant", "Accepted") == ("False", "DuplicateSource")


def test_a_network_map_holds_for_every_spelling_of_its_host(province: Any) -> None:
    maps = {
        "addresses": [{"host": "nvr1.site", "to": "203.0.113.1"}],
        "ports": [{"host": "nvr1.site", "port": 80, "to": 8080}],
    }
    province.declare(site(NAMESPACE, network=maps), camera(NAMESPACE, "a", host="NVR1.site"))
    province.done()
    (line,) = province.get("IngestShard", only_shard(province))["spec"]["cameras"]
    assert (line["host"], line["onvifPort"]) == ("203.0.113.1", 8080)


def test_two_channels_of_one_device_are_no_duplicates(province: Any) -> None:
    province.declare(
        site(NAMESPACE),
        *(camera(NAMESPACE, f"c{n}", host="192.0.2.1", source={"channel": n}) for n in (1, 2)),
    )
    province.done()
    assert province.condition("c2", "Accepted") == ("True", "Accepted")


def test_duplicates_are_found_after_addresses_and_ports_are_mapped(province: Any) -> None:
    maps = {
        "addresses": [{"host": h, "to": "203.0.113.1"} for h in ("10.0.0.1", "10.0.0.2")],
        "ports": [{"host": "10.0.0.2", "port": 80, "to": 8080}],
    }
    province.declare(
        site(NAMESPACE, network=maps),
        camera(NAMESPACE, "a", host="10.0.0.1"),
        camera(NAMESPACE, "b", host="10.0.0.2"),
        camera(NAMESPACE, "c", host="203.0.113.1"),
    )
    province.done()
    assert province.condition("b", "Accepted") == ("True", "Accepted")
    assert province.condition("c", "Accepted") == ("False", "DuplicateSource")
    lines = {
        one["name"]: (one["host"], one["onvifPort"])
        for one in province.get("IngestShard", only_shard(province))["spec"]["cameras"]
    }
    assert lines == {"a": ("203.0.113.1", 80), "b": ("203.0.113.1", 8080)}


def test_a_namespace_that_is_not_enrolled_gets_statuses_and_nothing_else(province: Any) -> None:
    province.delete("RoleBinding", "camfleet")
    with_cameras(province)
    kinds = {
        (one.resource.kind, getattr(one, "subresource", "")) for one in province.plan().actions
    }
    assert kinds == {("Camera", "status"), ("Site", "status")}


def test_a_binding_to_another_account_does_not_enrol_the_namespace(province: Any) -> None:
    province.delete("RoleBinding", "camfleet")
    binding = enrolment(NAMESPACE)
    binding["subjects"][0]["name"] = "somebody"
    province.declare(binding)
    with_cameras(province).done()
    assert province.condition("cam0", "Accepted") == ("False", "NamespaceNotEnrolled")


def test_a_terminating_namespace_gets_no_write(province: Any) -> None:
    running(province)
    province.declare(
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": NAMESPACE, "deletionTimestamp": province.now.isoformat()},
        }
    )
    province.delete("Camera", "cam0")
    assert province.plan().actions == ()


@pytest.mark.parametrize(
    "kind", ["Deployment", "ServiceAccount", "Role", "RoleBinding", "Lease", "IngestShard"]
)
def test_whatever_is_deleted_by_hand_comes_back_and_no_camera_moves(
    province: Any, kind: str
) -> None:
    running(province)
    shard, before = only_shard(province), province.listed()
    province.delete(kind, shard)
    province.done()
    assert shard in province.names(kind)
    assert province.listed() == before


def test_a_label_or_field_changed_by_hand_is_set_right(province: Any) -> None:
    running(province)
    shard = only_shard(province)
    province.edit("Deployment", shard, replicas=3)
    province.done()
    assert province.get("Deployment", shard)["spec"]["replicas"] == 1


def test_a_role_binding_bent_to_another_role_is_made_anew(province: Any) -> None:
    running(province)
    shard = only_shard(province)
    bent = copy.deepcopy(province.get("RoleBinding", shard))
    bent["roleRef"]["name"] = "other"
    province.declare(bent)
    province.done()
    assert province.get("RoleBinding", shard)["roleRef"]["name"] == shard


def test_the_last_camera_gone_the_worker_lets_go_first_and_then_everything_goes(
    province: Any,
) -> None:
    running(province, count=1)
    shard = only_shard(province)
    province.delete("Camera", "cam0")
    province.done()
    assert province.listed() == {shard: []}
    assert province.names("Deployment") == [shard]
    province.worker_lives(shard)
    province.done()
    for kind in ("Deployment", "ServiceAccount", "Role", "Lease", "IngestShard"):
        assert province.names(kind) == []


def test_objects_without_an_owner_are_removed_with_their_shard(province: Any) -> None:
    running(province, count=1)
    orphan = copy.deepcopy(province.get("Role", only_shard(province)))
    orphan["metadata"].pop("ownerReferences")
    province.declare(orphan)
    province.delete("Camera", "cam0")
    province.workers_live()
    assert province.names("Role") == []


def test_sites_of_equal_placement_share_a_worker_and_others_do_not(province: Any) -> None:
    elsewhere = {"recordingVolume": {"hostPath": {"path": "/srv"}}}
    province.declare(
        site(NAMESPACE, "a"),
        site(NAMESPACE, "b"),
        site(NAMESPACE, "c", placement=elsewhere),
        camera(NAMESPACE, "a1", "a"),
        camera(NAMESPACE, "b1", "b"),
        camera(NAMESPACE, "c1", "c"),
    )
    province.done()
    assert sorted(province.listed().values()) == [["a1", "b1"], ["c1"]]
    volumes = [
        next(v for v in raw["spec"]["template"]["spec"]["volumes"] if v["name"] == "recordings")
        for raw in (province.get("Deployment", name) for name in province.names("Deployment"))
    ]
    assert {
        "name": "recordings",
        "hostPath": {"path": "/srv", "type": "DirectoryOrCreate"},
    } in volumes


@pytest.mark.parametrize(
    ("volume", "most"),
    [
        ({"emptyDir": {"sizeLimit": "10Gi"}}, str(10 * 2**30 * 9 // 10)),
        ({"persistentVolumeClaim": {"claimName": "disk"}}, None),
    ],
    ids=["emptyDir", "claim"],
)
def test_a_worker_knows_what_it_may_fill_before_the_kubelet_evicts_it(
    province: Any, volume: dict[str, Any], most: str | None
) -> None:
    province.declare(site(NAMESPACE, placement={"recordingVolume": volume}))
    province.declare(camera(NAMESPACE, "cam0"))
    province.done()
    (container,) = province.get("Deployment", only_shard(province))["spec"]["template"]["spec"][
        "containers"
    ]
    said = {one["name"]: one.get("value") for one in container["env"]}
    assert said.get("CAMFLEET_RECORDINGS_MAX_BYTES") == most


def test_workers_listen_for_a_viewer_where_it_is_declared_and_change_nowhere_else(
    province: Any,
) -> None:
    viewer = SnapshotViewer("pictures", "camfleet-page:page", frozenset({"dak-lak"}), 9192)
    off: Settings = province.settings
    on = replace(off, worker=replace(off.worker, viewer=viewer))

    def made(namespace: str, chosen: Settings) -> dict[str, Any]:
        return deployment(namespace, "shard", "key", Placement(), chosen, replicas=1)

    assert made(NAMESPACE, on) == made(NAMESPACE, off), "its workers do not restart"
    (container,) = made("dak-lak", on)["spec"]["template"]["spec"]["containers"]
    said = {one["name"]: one.get("value", one.get("valueFrom")) for one in container["env"]}
    (quiet,) = made("dak-lak", off)["spec"]["template"]["spec"]["containers"]
    assert not any("VIEWER" in one["name"] for one in quiet["env"])
    assert said["CAMFLEET_SNAPSHOT_VIEWER_AUDIENCE"] == "pictures"
    assert said["CAMFLEET_SNAPSHOT_VIEWER_ACCOUNT"] == "camfleet-page:page"
    assert said["POD_IP"] == {"fieldRef": {"apiVersion": "v1", "fieldPath": "status.podIP"}}
    assert [port["containerPort"] for port in container["ports"]] == [9090, 9192]
    assert [port["containerPort"] for port in quiet["ports"]] == [9090]


def test_a_viewer_that_is_switched_off_is_taken_from_running_workers(province: Any) -> None:
    off: Settings = province.settings
    viewer = SnapshotViewer("pictures", "camfleet-page:page", frozenset({NAMESPACE}))
    running(province)
    before = copy.deepcopy(province.get("Deployment", only_shard(province))["spec"])
    province.settings = replace(off, worker=replace(off.worker, viewer=viewer))
    province.done()
    assert "VIEWER" in json.dumps(province.get("Deployment", only_shard(province)))
    province.settings = off
    province.done()
    assert province.get("Deployment", only_shard(province))["spec"] == before


@pytest.mark.parametrize(
    ("size", "most"), [("500Gi", 500 << 30), ("2Ti", 2 << 40), (None, None)], ids=str
)
def test_what_the_recordings_of_a_site_may_take_reaches_its_worker(
    province: Any, size: str | None, most: int | None
) -> None:
    recording = {} if size is None else {"retentionSize": size}
    province.declare(site(NAMESPACE, recording=recording), camera(NAMESPACE, "cam0"))
    province.done()
    spec = province.get("IngestShard", only_shard(province))["spec"]
    assert spec["policies"][0].get("siteRetentionBytes") == most


def test_maintenance_windows_of_a_site_reach_its_worker_whole_also_past_ones(
    province: Any,
) -> None:
    windows = [
        {
            "from": f"{year}-05-01T00:00:00Z",
            "until": f"{year}-05-01T02:00:00Z",
            "author": "noc",
            "reason": "mast moved",
        }
        for year in (2020, 2031)
    ]
    province.declare(site(NAMESPACE), camera(NAMESPACE, "cam0"))
    province.done()
    shard = only_shard(province)
    assert province.get("IngestShard", shard)["spec"]["policies"][0]["siteMaintenanceWindows"] == []
    province.edit("Site", "barracks", maintenanceWindows=windows)
    province.done()
    assert (
        province.get("IngestShard", shard)["spec"]["policies"][0]["siteMaintenanceWindows"]
        == windows
    )


def test_the_stream_that_the_profile_names_is_fetched(province: Any) -> None:
    province.edit("TechnicalProfile", "tp", streams={"role": "sub"})
    running(province)
    spec = province.get("IngestShard", only_shard(province))["spec"]
    assert [one["stream"] for one in spec["policies"]] == ["sub"]


def test_a_change_of_the_shard_never_changes_the_pod_template(province: Any) -> None:
    running(province)
    shard = only_shard(province)
    before = copy.deepcopy(province.get("Deployment", shard))
    province.declare(camera(NAMESPACE, "new"))
    province.edit("Camera", "cam0", paused=True)
    province.workers_live()
    assert province.get("Deployment", shard) == before


def test_overrides_of_a_camera_win_over_its_site(province: Any) -> None:
    province.declare(
        site(NAMESPACE),
        camera(
            NAMESPACE,
            "cam0",
            overrides={"monitoringSystemRefs": [], "recording": False},
            credentials={"anonymous": True},
        ),
        camera(NAMESPACE, "cam1"),
    )
    province.done()
    spec = province.get("IngestShard", only_shard(province))["spec"]
    by_name = {one["name"]: one for one in spec["cameras"]}
    own = spec["policies"][by_name["cam0"]["policy"]]
    assert (own["relays"], own["recording"]["enabled"]) == ([], False)
    assert "credentials" not in by_name["cam0"]
    assert spec["policies"][by_name["cam1"]["policy"]]["recording"]["enabled"] is True


def test_what_a_worker_must_know_of_encryption_audio_and_identity_reaches_it(
    province: Any,
) -> None:
    declared = {
        "rtspScheme": "rtsps",
        "certificateFingerprint": "ab" * 32,
        "serialNumber": "SN-1",
    }
    province.edit("TechnicalProfile", "tp", streams={"audio": True, "udpFallback": True})
    province.declare(site(NAMESPACE), camera(NAMESPACE, "cam0", **declared))
    province.done()
    spec = province.get("IngestShard", only_shard(province))["spec"]
    assert spec["cameras"][0].items() >= declared.items()
    assert spec["policies"][0].items() >= {"audio": True, "udpFallback": True}.items()


def test_no_room_left_is_reported(province: Any) -> None:
    province.settings = copy.copy(province.settings)
    object.__setattr__(province.settings, "cameras_per_shard", 1)
    object.__setattr__(province.settings, "shards_per_placement", 2)
    with_cameras(province, 3).done()
    stories = sorted(province.condition(f"cam{n}", "Assigned") for n in range(3))
    assert stories == [("False", "NoCapacity"), ("True", "Assigned"), ("True", "Assigned")]


def test_a_site_counts_its_cameras_and_names_those_that_are_not_ready(province: Any) -> None:
    running(province)
    province.report("cam1", ("Ready", "False", "HostUnreachable"))
    province.workers_live()
    status = province.get("Site", "barracks")["status"]
    assert status["ready"] == "2/3"
    assert status["notReady"] == [{"name": "cam1", "reason": "HostUnreachable"}]
    assert ("CamerasReady", "False", "SomeNotReady") in [
        (c["type"], c["status"], c["reason"]) for c in status["conditions"]
    ]


def test_a_site_without_enough_cameras_in_a_zone_names_the_zone(province: Any) -> None:
    province.declare(site(NAMESPACE, coverage=[{"zone": "gate", "cameras": 2}]))
    province.declare(camera(NAMESPACE, "cam0"))
    province.done()
    (covered,) = [
        c
        for c in province.get("Site", "barracks")["status"]["conditions"]
        if c["type"] == "Covered"
    ]
    assert covered["reason"] == "CoverageGap"
    assert "gate has 1 of 2" in covered["message"]


def test_a_healthy_camera_s_status_of_ours_is_small(province: Any) -> None:
    running(province)
    ours = [c for c in province.status("cam0").conditions if c.type in OPERATOR_CONDITIONS]
    assert all(one.message == "" for one in ours)
    assert len(json.dumps(CameraStatus(conditions=ours).to_wire())) < 600
