# SPDX-License-Identifier: Apache-2.0
"""What the API server makes of objects of our kinds: defaults, refusals, columns, documentation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from camfleet_api.generate import custom_resource_definition
from camfleet_api.kind import Kind
from camfleet_api.kinds import KINDS
from camfleet_api.names import API_VERSION, GROUP
from eventually import eventually
from local_cluster import Cluster, ClusterError

EXAMPLES = Path(__file__).parents[2] / "crds" / "examples"
BY_NAME = {kind.name: kind for kind in KINDS}
CAMERA = {"siteRef": "barracks", "host": "192.0.2.1", "zone": "gate"}
SITE = {"displayName": "Barracks", "managedBy": "military", "profileRef": "tp-2021"}
VMS = {"protocol": "rtsp", "urlTemplate": "rtsp://vms.example/{uid}"}
POLICY = {"video": {}, "stream": "main", "recording": {}, "relays": []}


class _TimesAsText(yaml.SafeLoader):
    """YAML as kubectl prints it; unquoted times stay text, as they are in JSON."""

    yaml_implicit_resolvers = {
        first: [pair for pair in pairs if pair[0] != "tag:yaml.org,2002:timestamp"]
        for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def _wire(kind: str, spec: dict[str, Any], name: str = "example") -> str:
    return yaml.safe_dump(
        {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec}
    )


def _tried(cluster: Cluster, namespace: str, text: str) -> dict[str, Any]:
    """What the API server would store of one object."""
    answer = cluster.kubectl(
        "create", "-n", namespace, "--dry-run=server", "-o", "json", "-f", "-", stdin=text
    )
    return dict(json.loads(answer))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_kind_is_established(cluster: Cluster, kind: Kind) -> None:
    crd = json.loads(cluster.kubectl("get", "crd", f"{kind.plural}.{GROUP}", "-o", "json"))
    conditions = {item["type"]: item["status"] for item in crd["status"]["conditions"]}
    assert conditions["Established"] == "True"
    assert conditions["NamesAccepted"] == "True"
    assert "NonStructuralSchema" not in conditions


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        pytest.param("Camera", CAMERA, id="least camera"),
        pytest.param("Camera", CAMERA | {"ports": {"onvif": 8080}}, id="one port of two"),
        pytest.param("Camera", CAMERA | {"source": {"profileToken": "p"}}, id="another source"),
        pytest.param(
            "Camera", CAMERA | {"credentials": {"secret": {"secretName": "s"}}}, id="secret"
        ),
        pytest.param(
            "Camera", CAMERA | {"overrides": {"monitoringSystemRefs": []}}, id="relays nowhere"
        ),
        pytest.param("Site", SITE, id="least site"),
        pytest.param("Site", SITE | {"placement": {"nodeSelector": {"a": "b"}}}, id="placement"),
        pytest.param(
            "Site", SITE | {"placement": {"recordingVolume": {"emptyDir": {}}}}, id="volume"
        ),
        pytest.param("Site", SITE | {"network": {"ports": []}}, id="network"),
        pytest.param("Site", SITE | {"recording": {"retentionSize": "500Gi"}}, id="size"),
        pytest.param("TechnicalProfile", {"version": "1"}, id="least profile"),
        pytest.param(
            "TechnicalProfile", {"version": "1", "video": {"codecs": ["H264"]}}, id="one codec"
        ),
        pytest.param("MonitoringSystem", VMS, id="least monitoring system"),
        pytest.param("IngestShard", {"hash": "h"}, id="empty shard"),
        pytest.param("IngestShard", {"hash": "h", "policies": [POLICY]}, id="shard with policy"),
    ],
)
def test_the_api_server_fills_in_what_the_model_would(
    cluster: Cluster, namespace: str, kind: str, spec: dict[str, Any]
) -> None:
    stored = _tried(cluster, namespace, _wire(kind, spec))["spec"]
    assert stored == BY_NAME[kind].spec.read(spec).to_wire()


def test_every_example_is_stored_as_the_model_reads_it(cluster: Cluster, namespace: str) -> None:
    documents = [
        document
        for path in sorted(EXAMPLES.rglob("*.yaml"))
        for document in yaml.safe_load_all(path.read_text("utf-8"))
        if document["kind"] in BY_NAME
    ]
    assert len(documents) == 25
    for document in documents:
        document["metadata"].pop("namespace", None)
    answer = cluster.kubectl(
        "create", "-n", namespace, "--dry-run=server", "-o", "yaml", "-f", "-",
        stdin=yaml.safe_dump_all(documents),
    )  # fmt: skip
    stored = list(yaml.load_all(answer, Loader=_TimesAsText))
    assert [item["spec"] for item in stored] == [
        BY_NAME[document["kind"]].spec.read(document["spec"]).to_wire() for document in documents
    ]


def test_kustomize_applies_a_province_in_one_go_and_removes_nothing_else(
    cluster: Cluster,
) -> None:
    for folder in ("national", "phu-yen"):
        cluster.kubectl("apply", "-k", str(EXAMPLES / folder))
    cluster.kubectl("apply", "-f", str(EXAMPLES / "secrets"))
    cameras = cluster.kubectl("get", "cameras", "-n", "phu-yen", "-o", "name").split()
    assert len(cameras) == 20
    cluster.kubectl("delete", "-k", str(EXAMPLES / "phu-yen"))
    assert cluster.kubectl("get", "namespace", "phu-yen", "--ignore-not-found") == ""
    shared = cluster.kubectl("get", "tprof,vms", "-o", "name").split()
    assert {
        f"technicalprofile.{GROUP}/tp-2021",
        f"monitoringsystem.{GROUP}/central-vms",
    } <= set(shared)
    cluster.kubectl("delete", "-k", str(EXAMPLES / "national"))


@pytest.mark.parametrize(
    ("kind", "spec", "complaint"),
    [
        pytest.param(
            "Camera", CAMERA | {"hots": "x"}, 'unknown field "spec.hots"', id="unknown field"
        ),
        pytest.param(
            "Camera",
            CAMERA | {"ports": {"http": 80}},
            'unknown field "spec.ports.http"',
            id="unknown field within",
        ),
        pytest.param(
            "Camera",
            CAMERA | {"ports": {"onvif": 0}},
            "spec.ports.onvif in body should be greater than or equal to 1",
            id="port 0",
        ),
        pytest.param(
            "Camera",
            CAMERA | {"ports": {"rtsp": 65536}},
            "spec.ports.rtsp in body should be less than or equal to 65535",
            id="port 65536",
        ),
        pytest.param(
            "Camera",
            CAMERA | {"ports": {"rtsp": "554"}},
            "spec.ports.rtsp in body must be of type integer",
            id="port in quotes",
        ),
        pytest.param("Camera", {"zone": "gate"}, "spec.siteRef: Required value", id="no site"),
        pytest.param(
            "Camera", CAMERA | {"zone": "roof"}, 'Unsupported value: "roof"', id="unknown zone"
        ),
        pytest.param(
            "Camera", CAMERA | {"host": "a" * 254}, "Too long", id="host of 254 characters"
        ),
        pytest.param(
            "Site",
            SITE | {"coverage": [{"zone": "gate", "cameras": n} for n in (1, 2)]},
            "Duplicate value",
            id="a zone twice",
        ),
        pytest.param(
            "Site",
            SITE | {"recording": {"retentionSize": "0Gi"}},
            "spec.recording.retentionSize",
            id="room for no recording",
        ),
        pytest.param(
            "Site",
            SITE
            | {
                "maintenanceWindows": [
                    {
                        "from": "2021-07-01T00:00:00",
                        "until": "2021-07-02T00:00:00Z",
                        "author": "noc",
                        "reason": "mast moved",
                    }
                ]
            },
            "must be of type date-time",
            id="a time without zone",
        ),
    ],
)
def test_a_wrong_object_is_refused_with_the_field_named(
    cluster: Cluster, namespace: str, kind: str, spec: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ClusterError) as refusal:
        _tried(cluster, namespace, _wire(kind, spec))
    assert complaint in str(refusal.value)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_kubectl_explain_describes_every_field_of_the_spec(cluster: Cluster, kind: Kind) -> None:
    (version,) = custom_resource_definition(kind)["spec"]["versions"]
    spec = version["schema"]["openAPIV3Schema"]["properties"]["spec"]

    def explained() -> bool:
        # The API server publishes the schema of a new kind a moment after it is Established.
        text = " ".join(cluster.kubectl("explain", f"{kind.plural}.spec").split())
        return all(" ".join(field["description"].split()) in text for field in fields)

    fields = spec["properties"].values()
    assert eventually(explained, within_s=30)


def test_kubectl_get_shows_what_works_and_why_the_rest_does_not(
    cluster: Cluster, namespace: str
) -> None:
    cluster.kubectl("create", "-n", namespace, "-f", "-", stdin=_wire("Camera", CAMERA, "cam17"))
    cluster.kubectl("create", "-n", namespace, "-f", "-", stdin=_wire("Site", SITE, "barracks"))
    status = {
        "shard": "s1",
        "device": {"model": "DS-2CD"},
        "conditions": [
            {
                "type": "Ready", "status": "False", "reason": "CredentialsRejected",
                "message": "Refused.", "lastTransitionTime": "2021-06-01T00:00:00Z",
            }
        ],
    }  # fmt: skip
    _patch_status(cluster, namespace, "camera", "cam17", status)
    site = {
        "ready": "0/1",
        "conditions": [
            {
                "type": type_, "status": status, "reason": reason,
                "lastTransitionTime": "2021-06-01T00:00:00Z",
            }
            for type_, status, reason in (
                ("CamerasReady", "False", "NoneReady"),
                ("Covered", "False", "CoverageGap"),
                ("Reachable", "True", "Reachable"),
            )
        ],
    }  # fmt: skip
    _patch_status(cluster, namespace, "site", "barracks", site)

    def table(*arguments: str) -> list[list[str]]:
        lines = cluster.kubectl("get", "-n", namespace, *arguments).splitlines()
        return [line.split()[:-1] for line in lines]

    assert table("cam") == [
        ["NAME", "SITE", "READY", "REASON"],
        ["cam17", "barracks", "False", "CredentialsRejected"],
    ]
    assert table("cam", "-o", "wide") == [
        ["NAME", "SITE", "ZONE", "HOST", "READY", "REASON", "SHARD", "MODEL", "MESSAGE"],
        [
            "cam17", "barracks", "gate", "192.0.2.1", "False", "CredentialsRejected", "s1",
            "DS-2CD", "Refused.",
        ],
    ]  # fmt: skip
    assert table("site") == [
        ["NAME", "MANAGED-BY", "CAMERAS", "CAMERASREADY", "REASON", "REACHABLE", "COVERED"],
        ["barracks", "military", "0/1", "False", "NoneReady", "True", "False"],
    ]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_short_names_and_the_category_find_a_kind(cluster: Cluster, kind: Kind) -> None:
    columns = cluster.kubectl("api-resources", "--api-group", GROUP, "-o", "wide").splitlines()
    (row,) = [line for line in columns if line.startswith(f"{kind.plural} ")]
    assert "camfleet" in row.split()[-1]
    for name in kind.short_names:
        assert cluster.kubectl("get", name, "-A") in ("", "No resources found\n") or name in row


def _patch_status(
    cluster: Cluster, namespace: str, kind: str, name: str, status: dict[str, Any]
) -> None:
    cluster.kubectl(
        "patch", kind, name, "-n", namespace, "--subresource=status", "--type=merge",
        "-p", json.dumps({"status": status}),
    )  # fmt: skip
