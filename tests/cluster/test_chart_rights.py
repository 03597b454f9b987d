# SPDX-License-Identifier: Apache-2.0
"""The rights the chart grants: exactly those that are used, and enough to live by.

`USED` says for each right what it is used for. Watches and what workers are granted come from the
operator's own code, so a kind that is watched tomorrow fails here until the chart grants it.
"""

from __future__ import annotations

import json
import re
import subprocess
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from camfleet_api.names import GROUP
from camfleet_operator.plan.desired import Granted, role
from camfleet_operator.resources import (
    CAMERAS,
    DEPLOYMENTS,
    EVENTS,
    LEASES,
    ROLE_BINDINGS,
    ROLES,
    SERVICE_ACCOUNTS,
    SHARDS,
    SITES,
    WATCHED,
)
from eventually import eventually
from fleet_objects import (
    OPERATOR_ACCOUNT,
    OPERATOR_NAMESPACE,
    camera,
    enrolment,
    profile,
    site,
    system,
)
from local_cluster import Cluster, binaries
from operator_process import OperatorProcess, condition, declare, get, names

CHART = Path(__file__).parents[2] / "charts" / "camfleet"
USER = f"system:serviceaccount:{OPERATOR_NAMESPACE}:{OPERATOR_ACCOUNT}"
MADE = (DEPLOYMENTS, SERVICE_ACCOUNTS, ROLES, ROLE_BINDINGS, LEASES, SHARDS)


@dataclass(frozen=True, order=True)
class Right:
    """One verb on one resource; `role` is the one of the chart's roles that grants it."""

    role: str
    group: str
    resource: str
    verb: str


def _used() -> Iterator[tuple[Right, str]]:
    for kind in WATCHED:
        for verb, why in (("list", "fill and mend the store"), ("watch", "hear of changes")):
            yield Right("ClusterRole/camfleet-operator", kind.group, kind.plural, verb), why
    for kind in (CAMERAS, SITES):
        right = Right("ClusterRole/camfleet-operator", kind.group, f"{kind.plural}/status", "patch")
        yield right, "conditions, also where a namespace has not opted in"
    for kind in MADE:
        for verb, why in (
            ("patch", "server-side apply"),
            ("create", "server-side apply of what is not there yet"),
            ("delete", "a shard that is no longer needed, or what is left over from one"),
        ):
            yield Right("ClusterRole/camfleet-tenant", kind.group, kind.plural, verb), why
    yield (
        Right("ClusterRole/camfleet-tenant", EVENTS.group, EVENTS.plural, "create"),
        "Events on transitions",
    )
    everything = Granted(*(frozenset({name}) for name in ("camera", "other", "secret")))
    for rule in role("ns", "shard", "uid", everything)["rules"]:
        for resource in rule["resources"]:
            for verb in rule["verbs"]:
                (group,) = rule["apiGroups"]
                right = Right("ClusterRole/camfleet-tenant", group, resource, verb)
                yield right, "granted to workers; nobody may grant what he lacks"
    for verb in ("get", "create", "update"):
        yield Right("Role/camfleet-operator", LEASES.group, LEASES.plural, verb), "election"


USED = dict(_used())
FOR_PEOPLE = ("ClusterRole/camfleet-view", "ClusterRole/camfleet-edit")


def _granted(*values: str) -> dict[Right, Any]:
    """Every right of the chart's roles but those for people, with its resourceNames."""
    helm = [str(binaries.binary("helm")), "template", "camfleet", str(CHART)]
    text = subprocess.run(
        [*helm, "--namespace", OPERATOR_NAMESPACE, *values],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    granted = {}
    for one in yaml.safe_load_all(text):
        name = f"{one['kind']}/{one['metadata']['name']}" if one else ""
        for rule in one.get("rules", ()) if name not in FOR_PEOPLE else ():
            for group in rule["apiGroups"]:
                for resource in rule["resources"]:
                    for verb in rule["verbs"]:
                        granted[Right(name, group, resource, verb)] = rule.get("resourceNames")
    return granted


def test_granted_rights_are_exactly_the_used_ones() -> None:
    assert sorted(_granted()) == sorted(USED)


def test_a_viewer_of_snapshots_costs_one_right_and_the_operator_none() -> None:
    """Workers review tokens (`camfleet_worker.cluster.token_reviews`); the operator does not."""
    declared = _granted("--values", str(CHART / "ci/full-values.yaml"))
    review = Right(
        "ClusterRole/camfleet-snapshot-reviewer",
        "authentication.k8s.io",
        "tokenreviews",
        "create",
    )
    assert declared.keys() - _granted().keys() == {review}


def test_the_election_is_limited_to_its_own_lease() -> None:
    granted = _granted()
    for verb in ("get", "update"):
        right = Right("Role/camfleet-operator", LEASES.group, LEASES.plural, verb)
        assert granted[right] == ["camfleet-operator"]


@pytest.fixture(scope="module")
def installed(cluster: Cluster) -> Iterator[Cluster]:
    """The chart, installed by Helm. No node runs its pods; the tests start the operator."""
    cluster.kubectl("create", "namespace", OPERATOR_NAMESPACE)
    try:
        restricted = "pod-security.kubernetes.io/enforce=restricted"
        cluster.kubectl("label", "namespace", OPERATOR_NAMESPACE, restricted)
        # The kinds are there already, put by the fixture of every cluster test.
        cluster.helm(
            "install", "camfleet", str(CHART), "--namespace", OPERATOR_NAMESPACE,
            "--set", "crds.install=false", "--wait=hookOnly",
        )  # fmt: skip
        yield cluster
        cluster.helm("uninstall", "camfleet", "--namespace", OPERATOR_NAMESPACE, "--wait=hookOnly")
    finally:
        cluster.kubectl("delete", "namespace", OPERATOR_NAMESPACE, "--wait=true")


@pytest.fixture
def province(installed: Cluster, namespace: str) -> str:
    """A namespace that has opted in."""
    declare(installed, enrolment(namespace))
    return namespace


def _allowed(cluster: Cluster, user: str, asked: list[dict[str, str]]) -> list[bool]:
    """What the API server's own authorizer says, one answer for each question."""
    reviews = [
        {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {"user": user, "resourceAttributes": attributes},
        }
        for attributes in asked
    ]
    listing = {"apiVersion": "v1", "kind": "List", "items": reviews}
    # kubectl prints the answers one after the other, with nothing between.
    answer = cluster.kubectl(
        "create", "-f", "-", "-o", "jsonpath={.status.allowed}", stdin=json.dumps(listing)
    )
    return [word == "true" for word in re.findall(r"true|false", answer)]


def _question(right: Right, namespace: str, name: str = "") -> dict[str, str]:
    resource, _, subresource = right.resource.partition("/")
    return {
        "group": right.group, "resource": resource, "subresource": subresource,
        "verb": right.verb, "namespace": namespace, "name": name,
    }  # fmt: skip


def test_the_api_server_grants_each_right_where_it_is_needed(
    installed: Cluster, province: str
) -> None:
    where = {
        "ClusterRole/camfleet-operator": ("", ""),
        "ClusterRole/camfleet-tenant": (province, ""),
        "Role/camfleet-operator": (OPERATOR_NAMESPACE, "camfleet-operator"),
    }
    rights = list(USED)
    answers = eventually(
        lambda: _allowed(installed, USER, [_question(one, *where[one.role]) for one in rights])
    )
    assert [right for right, yes in zip(rights, answers, strict=True) if not yes] == []


def test_a_viewer_that_is_switched_off_leaves_nothing_behind(
    installed: Cluster, namespace: str
) -> None:
    viewer = {
        "enabled": True,
        "namespaces": [namespace],
        "serviceAccount": {"namespace": "camfleet-page", "name": "page"},
        "podLabels": {"app": "page"},
    }

    def made() -> list[str]:
        kinds = "clusterroles,clusterrolebindings,networkpolicies"
        found = installed.kubectl("get", kinds, "-n", namespace, "-o", "name").split()
        return sorted(one.partition(".")[0] for one in found if "camfleet-snapshot" in one)

    def upgrade(**values: Any) -> None:
        installed.helm(
            "upgrade", "camfleet", str(CHART), "--namespace", OPERATOR_NAMESPACE,
            "--set", "crds.install=false", "--set-json", f"snapshotViewer={json.dumps(values)}",
            "--reset-values", "--wait=hookOnly",
        )  # fmt: skip

    assert made() == []
    upgrade(**viewer)
    assert made() == ["clusterrole", "clusterrolebinding", "networkpolicy"]
    upgrade(**viewer | {"enabled": False})
    assert made() == []


def test_nothing_of_a_tenant_is_allowed_in_a_namespace_that_is_not_enrolled(
    installed: Cluster, namespace: str
) -> None:
    everywhere = {
        (right.group, right.resource, right.verb)
        for right in USED
        if right.role == "ClusterRole/camfleet-operator"
    }
    rights = [
        right
        for right in USED
        if right.role == "ClusterRole/camfleet-tenant"
        and (right.group, right.resource, right.verb) not in everywhere
    ]
    assert Right("ClusterRole/camfleet-tenant", "", "secrets", "get") in rights
    for place in (namespace, "", "kube-system"):
        answers = _allowed(installed, USER, [_question(right, place) for right in rights])
        assert [right for right, yes in zip(rights, answers, strict=True) if yes] == []


@pytest.mark.parametrize(
    ("bound", "resource", "verb", "expected"),
    [
        ("view", "cameras", "list", True),
        ("view", "cameras", "patch", False),
        ("edit", "cameras", "create", True),
        ("edit", "sites", "delete", True),
        ("edit", "cameras/status", "patch", False),
        ("edit", "ingestshards", "patch", False),
        ("admin", "ingestshards", "get", True),
    ],
)
def test_people_get_rights_on_cameras_with_those_on_their_namespace(
    installed: Cluster, namespace: str, bound: str, resource: str, verb: str, expected: bool
) -> None:
    installed.kubectl(
        "create", "rolebinding", "person", "-n", namespace, f"--clusterrole={bound}",
        "--user=person",
    )  # fmt: skip
    right = Right("", GROUP, resource, verb)
    listing = Right("", GROUP, "sites", "list")
    questions = [_question(right, namespace), _question(listing, namespace)]

    def answers() -> list[bool]:
        found = _allowed(installed, "person", questions)
        # Aggregation takes the controller manager a moment; reading comes with every role.
        return found if found[1] else []

    assert eventually(answers, within_s=30)[0] is expected


def test_the_installed_pods_pass_the_restricted_standard(installed: Cluster) -> None:
    deployment = get(installed, OPERATOR_NAMESPACE, "deployment", "camfleet-operator")
    pod = {"apiVersion": "v1", "kind": "Pod"} | deployment["spec"]["template"]
    pod["metadata"]["name"] = "tried"
    installed.kubectl(
        "create", "-n", OPERATOR_NAMESPACE, "--dry-run=server", "-f", "-", stdin=json.dumps(pod)
    )


@pytest.fixture
def operator_with_its_own_rights(installed: Cluster, tmp_path: Path) -> Iterator[OperatorProcess]:
    """The operator, logged in as the chart's ServiceAccount and nothing else."""
    token = installed.kubectl("create", "token", OPERATOR_ACCOUNT, "-n", OPERATOR_NAMESPACE)
    access = yaml.safe_load(installed.kubeconfig.read_text("utf-8"))
    for user in access["users"]:
        user["user"] = {"token": token.strip()}
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(access), "utf-8")
    replica = OperatorProcess(installed, KUBECONFIG=str(kubeconfig))
    try:
        yield replica.until_leading()
        assert replica.stop() == 0
    finally:
        replica.forget()


def _refused(replica: OperatorProcess) -> list[str]:
    """Requests of the operator that were answered with 403."""
    url = f"http://127.0.0.1:{replica.port}/metrics"
    with urllib.request.urlopen(url, timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    return [line for line in lines if 'code="403"' in line and "_total" in line]


def test_the_operator_does_all_its_work_with_these_rights(
    installed: Cluster,
    namespace: str,
    operator_with_its_own_rights: OperatorProcess,
) -> None:
    replica = operator_with_its_own_rights
    cameras = [camera(namespace, f"cam{n}") for n in range(2)]
    declare(installed, profile(), system(), site(namespace), *cameras)
    refusal = ("False", "NamespaceNotEnrolled")
    eventually(lambda: condition(installed, namespace, "cam0", "Accepted") == refusal, within_s=30)

    declare(installed, enrolment(namespace))

    def made(kind: str) -> list[str]:
        return names(installed, namespace, kind)

    everything = [kind.plural for kind in MADE]
    eventually(lambda: all(made(kind) for kind in everything), within_s=30)
    (shard,) = made("ingestshards")
    for kind in ("role", "ingestshard", "lease", "serviceaccount", "rolebinding"):
        before = get(installed, namespace, kind, shard)["metadata"]["uid"]
        installed.kubectl("delete", kind, shard, "-n", namespace)

        def healed(kind: str = kind, before: str = before) -> bool:
            return bool(get(installed, namespace, kind, shard)["metadata"]["uid"] != before)

        eventually(healed, within_s=30)

    installed.kubectl("delete", "cameras", "--all", "-n", namespace)
    eventually(lambda: not made("deployments"), within_s=60)
    installed.kubectl("delete", "tprof/tp", "vms/vms")
    assert _refused(replica) == []
    assert "orbidden" not in replica.log()
