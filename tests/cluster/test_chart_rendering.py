# SPDX-License-Identifier: Apache-2.0
"""What Helm makes of the chart, for three sets of values. Needs the helm binary and no cluster."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from camfleet_api.kinds import KINDS
from camfleet_api.names import (
    COMPONENT_LABEL,
    GROUP,
    MANAGED_BY,
    MANAGED_BY_LABEL,
    TENANT_CLUSTER_ROLE,
    WORKER_COMPONENT,
)
from camfleet_api.policy import Placement
from camfleet_operator import settings as operator_settings
from camfleet_operator.plan.desired import deployment
from camfleet_operator.settings import SnapshotViewer, settings_from_env
from camfleet_worker.settings import Settings, ViewerSettings
from local_cluster import binaries

Object = dict[str, Any]

CHART = Path(__file__).parents[2] / "charts" / "camfleet"
NAMESPACE = "camfleet-system"
SETS: dict[str, tuple[str, ...]] = {
    "default": (),
    "minimal": ("--values", str(CHART / "ci/minimal-values.yaml")),
    "full": ("--values", str(CHART / "ci/full-values.yaml")),
}
EVERY_SET = pytest.mark.parametrize("values", SETS)
ALWAYS = [
    "ServiceAccount/camfleet-operator",
    "ClusterRole/camfleet-operator",
    "ClusterRole/camfleet-tenant",
    "ClusterRoleBinding/camfleet-operator",
    "Role/camfleet-operator",
    "RoleBinding/camfleet-operator",
    "Deployment/camfleet-operator",
]
PEOPLE = ["ClusterRole/camfleet-view", "ClusterRole/camfleet-edit"]
GUARDS = ["PodDisruptionBudget/camfleet-operator", "NetworkPolicy/camfleet-operator"]
DEFINITIONS = [f"CustomResourceDefinition/{kind.plural}.{GROUP}" for kind in KINDS]


def _helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(binaries.binary("helm")), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _rendered(values: str) -> list[Object]:
    result = _helm("template", "camfleet", str(CHART), "--namespace", NAMESPACE, *SETS[values])
    assert result.returncode == 0, result.stderr
    return [one for one in yaml.safe_load_all(result.stdout) if one]


def _named(objects: list[Object], kind: str, name: str = "camfleet-operator") -> Object:
    (found,) = (one for one in objects if one["kind"] == kind and one["metadata"]["name"] == name)
    return found


def _container(objects: list[Object]) -> Object:
    (container,) = _named(objects, "Deployment")["spec"]["template"]["spec"]["containers"]
    return dict(container)


@EVERY_SET
def test_the_chart_passes_helm_lint(values: str) -> None:
    result = _helm("lint", "--strict", str(CHART), *SETS[values])
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ("default", [*ALWAYS, *PEOPLE, *GUARDS, *DEFINITIONS]),
        ("minimal", ALWAYS),
        (
            "full",
            [
                *(name.replace("Account/camfleet-", "Account/fleet-") for name in ALWAYS),
                *PEOPLE,
                *GUARDS,
                *DEFINITIONS,
                "ClusterRole/camfleet-snapshot-reviewer",
                "ClusterRoleBinding/camfleet-snapshot-reviewer",
                "NetworkPolicy/camfleet-snapshots",
                "NetworkPolicy/camfleet-snapshots",
                "PodMonitor/camfleet-operator",
                "PodMonitor/camfleet-workers",
            ],
        ),
    ],
)
def test_a_set_of_values_renders_exactly_these_objects(values: str, expected: list[str]) -> None:
    found = [f"{one['kind']}/{one['metadata']['name']}" for one in _rendered(values)]
    assert sorted(found) == sorted(expected)


@EVERY_SET
def test_pods_are_restricted_and_cannot_write_to_their_root(values: str) -> None:
    """Kubernetes: Pod Security Standards, "Restricted"; and a root file system nobody writes."""
    templates = [one["spec"]["template"] for one in _rendered(values) if _has_pods(one)]
    assert templates
    for template in templates:
        pod = template["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] > 0
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
        assert all(volume.keys() <= {"name", "emptyDir"} for volume in pod["volumes"])
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert container["resources"]["requests"].keys() == {"cpu", "memory"}
            assert "memory" in container["resources"]["limits"]
            assert not any("hostPort" in port for port in container["ports"])


def _has_pods(one: Object) -> bool:
    return "template" in (one.get("spec") or {})


@EVERY_SET
def test_no_right_is_held_by_wildcard_and_none_on_secrets_outside_of_a_tenant(values: str) -> None:
    for one in _rendered(values):
        for rule in one.get("rules", ()):
            name = one["metadata"]["name"]
            assert "*" not in rule["apiGroups"] + rule["resources"] + rule["verbs"], name
            assert not {"impersonate", "escalate", "bind"} & set(rule["verbs"]), name
            if "secrets" in rule["resources"]:
                assert name == TENANT_CLUSTER_ROLE
    bound = [
        one["roleRef"]["name"]
        for one in _rendered(values)
        if one["kind"] in ("ClusterRoleBinding", "RoleBinding")
    ]
    assert TENANT_CLUSTER_ROLE not in bound, "only a province binds it"


@EVERY_SET
def test_a_probe_asks_where_the_operator_answers(values: str) -> None:
    container = _container(_rendered(values))
    (port,) = container["ports"]
    assert port["containerPort"] == settings_from_env(_env(container)).http_port
    probes = {name: container[f"{name}Probe"]["httpGet"] for name in ("liveness", "readiness")}
    assert probes == {
        "liveness": {"path": "/healthz", "port": port["name"]},
        "readiness": {"path": "/readyz", "port": port["name"]},
    }


class _Noting(dict[str, str]):
    """An environment that notes what is read from it."""

    def __init__(self, env: Mapping[str, str]) -> None:
        super().__init__(env)
        self.read: set[str] = set()

    def get(self, key: str, default: Any = None) -> Any:
        self.read.add(key)
        return super().get(key, default)


def _env(container: Object) -> _Noting:
    fields = {"metadata.name": "camfleet-operator-0", "metadata.namespace": NAMESPACE}
    return _Noting(
        {
            item["name"]: item["value"]
            if "value" in item
            else fields[item["valueFrom"]["fieldRef"]["fieldPath"]]
            for item in container["env"]
        }
    )


@EVERY_SET
def test_the_operator_understands_every_variable_the_chart_sets(values: str) -> None:
    env = _env(_container(_rendered(values)))
    settings_from_env(env)
    assert env.keys() <= env.read


def test_every_value_reaches_the_operator() -> None:
    settings = settings_from_env(_env(_container(_rendered("full"))))
    worker = settings.worker
    assert settings.namespace == NAMESPACE
    assert settings.identity == "camfleet-operator-0"
    assert settings.service_account == "fleet-operator"
    assert settings.log_level == "DEBUG"
    assert settings.writes_per_second == 250
    assert settings.cameras_per_shard == 100
    assert settings.shards_per_placement == 20
    assert worker.image == "registry.example.com/camfleet:1.2.3"
    assert worker.image_pull_policy == "Always"
    assert worker.image_pull_secrets == ("registry", "mirror")
    assert worker.resources["limits"] == {"memory": "2Gi"}
    assert worker.env == {"CAMFLEET_LOG_LEVEL": "DEBUG"}
    assert worker.tolerations[0]["tolerationSeconds"] == 60
    assert worker.priority_class_name == "streams"
    assert worker.fs_group == 2000000
    assert worker.lease_seconds == 60
    assert worker.start_grace_seconds == 90
    assert worker.viewer == SnapshotViewer(
        "pictures.example.com", "camfleet-page:page", frozenset({"phu-yen", "dak-lak"}), 9191
    )


def test_every_value_reaches_the_operators_pods() -> None:
    objects = _rendered("full")
    spec = _named(objects, "Deployment")["spec"]
    pod = spec["template"]["spec"]
    assert spec["replicas"] == 3
    assert spec["template"]["metadata"]["annotations"]["example.com/team"] == "video"
    assert pod["serviceAccountName"] == "fleet-operator"
    assert pod["imagePullSecrets"] == [{"name": "registry"}, {"name": "mirror"}]
    assert pod["nodeSelector"] == {"kubernetes.io/os": "linux"}
    assert pod["tolerations"][0]["key"] == "control-plane"
    assert pod["priorityClassName"] == "system-cluster-critical"
    assert pod["containers"][0]["image"] == "registry.example.com/camfleet:1.2.3"
    assert pod["containers"][0]["resources"]["limits"] == {"cpu": "2", "memory": "600Mi"}
    account = _named(objects, "ServiceAccount", "fleet-operator")
    assert account["metadata"]["annotations"] == {"example.com/role": "fleet"}
    for binding in ("ClusterRoleBinding", "RoleBinding"):
        assert _named(objects, binding)["subjects"][0]["name"] == "fleet-operator"
    egress = _named(objects, "NetworkPolicy")["spec"]["egress"]
    assert egress[1]["ports"] == [{"port": 8443, "protocol": "TCP"}]


def _worker_pod(settings: operator_settings.Settings) -> Object:
    """The template of a worker's pod in a province."""
    body = deployment("phu-yen", "shard", "key", Placement(), settings, replicas=1)
    return dict(body["spec"]["template"])


def test_the_worker_monitor_finds_workers_and_their_port() -> None:
    objects = _rendered("full")
    settings = settings_from_env(_env(_container(objects)))
    pod = _worker_pod(settings)
    monitor = _named(objects, "PodMonitor", "camfleet-workers")["spec"]
    assert monitor["selector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
    (endpoint,) = monitor["podMetricsEndpoints"]
    assert endpoint["interval"] == "15s"
    assert endpoint["port"] in [port["name"] for port in pod["spec"]["containers"][0]["ports"]]


# The second listener for snapshots.

VIEWER_POD = {"app": "page", "pod-template-hash": "abc"}


def _policies() -> dict[str, Object]:
    """The NetworkPolicies of provinces, by namespace."""
    return {
        one["metadata"]["namespace"]: one["spec"]
        for one in _rendered("full")
        if one["kind"] == "NetworkPolicy" and one["metadata"]["namespace"] != NAMESPACE
    }


def _admitted(policy: Object, port: str, namespace: str, labels: Mapping[str, str]) -> bool:
    """What a NetworkPolicy says of a pod that connects to a named TCP port (Kubernetes API
    reference, NetworkPolicyIngressRule: ports and peers are both needed, none of a kind is all)."""

    def is_meant(peer: Object) -> bool:
        places = set(peer["namespaceSelector"]["matchLabels"].items())
        pods = set(peer.get("podSelector", {}).get("matchLabels", {}).items())
        return places <= {("kubernetes.io/metadata.name", namespace)} and pods <= {*labels.items()}

    return any(
        {"port": port, "protocol": "TCP"} in rule["ports"]
        and ("from" not in rule or any(is_meant(peer) for peer in rule["from"]))
        for rule in policy["ingress"]
    )


def test_the_viewers_pods_alone_reach_the_second_listener_of_each_declared_province() -> None:
    policies = _policies()
    assert policies.keys() == {"phu-yen", "dak-lak"}
    for policy in policies.values():
        assert policy["policyTypes"] == ["Ingress"]
        assert _admitted(policy, "snapshots", "camfleet-page", VIEWER_POD)
        assert not _admitted(policy, "snapshots", "camfleet-page", {"app": "other"})
        assert not _admitted(policy, "snapshots", "phu-yen", VIEWER_POD)
        assert not _admitted(policy, "snapshots", "monitoring", {})


def test_what_reached_workers_before_reaches_them_beside_a_viewer() -> None:
    for policy in _policies().values():
        assert _admitted(policy, "metrics", "monitoring", {"app": "prometheus"})
        assert not _admitted(policy, "metrics", "elsewhere", {}), "metricsFrom says who"
        assert {"ports": [{"protocol": "UDP"}]} in policy["ingress"], "RTP over UDP"


def test_the_policy_finds_workers_and_their_ports() -> None:
    settings = settings_from_env(_env(_container(_rendered("full"))))
    pod = _worker_pod(settings)
    policy = _policies()["phu-yen"]
    assert policy["podSelector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
    named = {port["name"] for port in pod["spec"]["containers"][0]["ports"]}
    asked = {port.get("port") for rule in policy["ingress"] for port in rule["ports"]}
    assert asked - {None} == named


def _viewer_objects(**changes: Any) -> list[Object]:
    """What the chart makes for a viewer, declared as in the full values but for some."""
    values = yaml.safe_load((CHART / "ci/full-values.yaml").read_text("utf-8"))["snapshotViewer"]
    result = _helm(
        "template", "camfleet", str(CHART), "--show-only", "templates/snapshot-viewer.yaml",
        "--set-json", f"snapshotViewer={json.dumps(values | changes)}",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return list(yaml.safe_load_all(result.stdout))


def test_metrics_are_open_unless_clients_are_named() -> None:
    made = _viewer_objects(metricsFrom=[])
    policies = [one["spec"] for one in made if one["kind"] == "NetworkPolicy"]
    assert all(_admitted(one, "metrics", "anywhere", {}) for one in policies)
    assert not any(_admitted(one, "snapshots", "anywhere", {}) for one in policies)


def test_a_namespace_whose_name_is_a_number_stays_a_name() -> None:
    (policy,) = (
        one for one in _viewer_objects(namespaces=["2021"]) if one["kind"] == "NetworkPolicy"
    )
    assert policy["metadata"]["namespace"] == "2021"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ("default", None),
        (
            "full",
            ViewerSettings(
                "pictures.example.com", "system:serviceaccount:camfleet-page:page", "10.1.2.3", 9191
            ),
        ),
    ],
)
def test_a_viewer_reaches_workers_through_the_operator(
    values: str, expected: ViewerSettings | None
) -> None:
    settings = settings_from_env(_env(_container(_rendered(values))))
    (container,) = _worker_pod(settings)["spec"]["containers"]
    told = {one["name"]: one.get("value", "10.1.2.3") for one in container["env"]}
    assert Settings.of(told).viewer == expected


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"namespaces": []}, "minItems"),
        ({"serviceAccount": {"namespace": "camfleet-page", "name": ""}}, "does not match pattern"),
        ({"serviceAccount": {"namespace": "a:b", "name": "page"}}, "does not match pattern"),
        ({"podLabels": {}}, "minProperties"),
        ({"audience": ""}, "minLength"),
        ({"port": 9090}, "'not' failed"),
    ],
)
def test_a_viewer_that_is_switched_on_is_declared_whole(change: Object, complaint: str) -> None:
    values = yaml.safe_load((CHART / "ci/full-values.yaml").read_text("utf-8"))["snapshotViewer"]
    changed = json.dumps(values | change)
    result = _helm("template", "camfleet", str(CHART), "--set-json", f"snapshotViewer={changed}")
    assert result.returncode != 0
    assert complaint in result.stderr


def test_one_replica_has_no_budget_that_would_block_every_drain() -> None:
    result = _helm("template", "camfleet", str(CHART), "--set", "replicas=1")
    assert "PodDisruptionBudget" not in result.stdout


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ("replica=2", "additional properties 'replica' not allowed"),
        ("operator.loglevel=DEBUG", "additional properties 'loglevel' not allowed"),
        ("replicas=0", "minimum: got 0, want 1"),
        ("operator.logLevel=LOUD", "value must be one of"),
        ("worker.camerasPerShard=201", "maximum: got 201, want 200"),
        ("worker.resources.limit.memory=1Gi", "additional properties 'limit' not allowed"),
        ("networkPolicy.apiServerPorts={0}", "minimum: got 0, want 1"),
        ("image.pullPolicy=Sometimes", "value must be one of"),
    ],
)
def test_a_wrong_value_is_refused_and_named(value: str, complaint: str) -> None:
    result = _helm("template", "camfleet", str(CHART), "--set", value)
    assert result.returncode != 0
    assert complaint in result.stderr


def test_values_and_their_schema_name_the_same_things() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text("utf-8"))
    values = yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))
    assert set(_described(schema)) - {"global"} == set(_leaves(values, schema))


def _described(schema: Object, path: str = "") -> Iterator[str]:
    for name, child in schema["properties"].items():
        if "properties" in child:
            yield from _described(child, f"{path}{name}.")
        else:
            yield f"{path}{name}"


def _leaves(values: Object, schema: Object, path: str = "") -> Iterator[str]:
    for name, value in values.items():
        child = schema["properties"].get(name, {})
        if "properties" in child:
            yield from _leaves(value, child, f"{path}{name}.")
        else:
            yield f"{path}{name}"


def test_the_notes_say_what_to_do_next_and_how_to_stop_workers() -> None:
    result = _helm("install", "camfleet", str(CHART), "--namespace", NAMESPACE, "--dry-run=client")
    assert result.returncode == 0, result.stderr
    notes = result.stdout.partition("NOTES:")[2]
    assert f"--clusterrole={TENANT_CLUSTER_ROLE}" in notes
    assert f"--serviceaccount={NAMESPACE}:camfleet-operator" in notes
    assert "kubectl apply -k crds/examples/national" in notes
    labels = f"{MANAGED_BY_LABEL}={MANAGED_BY},{COMPONENT_LABEL}={WORKER_COMPONENT}"
    assert f"kubectl delete deployments -A -l {labels}" in notes
    for kind in KINDS:
        assert f"{kind.plural}.{GROUP}" in notes
