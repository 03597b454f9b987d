# SPDX-License-Identifier: Apache-2.0
"""The objects of one shard, from Deployment to IngestShard. Pure.

The Deployment is the root and owns the rest: the garbage collector goes by uid, and a Deployment
owned by its shard would be deleted with it. All six have the shard's name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from camfleet_api.ingest_shard import IngestShardSpec, secrets_of_shard
from camfleet_api.names import (
    API_VERSION,
    COMPONENT_LABEL,
    GROUP,
    MANAGED_BY,
    MANAGED_BY_LABEL,
    PLACEMENT_LABEL,
    SHARD_LABEL,
    WORKER_COMPONENT,
)
from camfleet_api.policy import Placement, RecordingVolume, quantity_bytes
from camfleet_operator.plan.compare import fingerprint
from camfleet_operator.resources import (
    DEPLOYMENTS,
    LEASES,
    ROLE_BINDINGS,
    ROLES,
    SERVICE_ACCOUNTS,
    SHARDS,
    Resource,
)
from camfleet_operator.settings import Settings, SnapshotViewer

Manifest = dict[str, Any]

FINGERPRINT = f"{GROUP}/fingerprint"
"""Annotation: a hash of all that we applied, so that a field which we no longer apply is
noticed."""

METRICS_PORT = 9090
SNAPSHOTS_PORT_NAME = "snapshots"
"""The port name by which the chart's NetworkPolicy selects the second listener."""
STARTS_WITHIN_S = 10
"""When the first probe is sent. A worker listens 3 s after its start, on two cores with three times
their load."""
UID = 65532
"""The conventional non-root user of images without a user database."""


def deployment(
    namespace: str, shard: str, key: str, placement: Placement, settings: Settings, replicas: int
) -> Manifest:
    """The root. Its pod template has no hash of the configuration: workers follow their
    IngestShard, and no change of it may restart 200 streams. `replicas` is 0 until the pod's
    ServiceAccount exists, then 1."""
    labels = {SHARD_LABEL: shard, COMPONENT_LABEL: WORKER_COMPONENT}
    body = _object(DEPLOYMENTS, namespace, shard, {PLACEMENT_LABEL: key, **labels})
    body["spec"] = {
        "replicas": replicas,
        # A surge pod would open second sessions with cameras, which allow few.
        "strategy": {"type": "Recreate"},
        "selector": {"matchLabels": labels},
        "template": {
            "metadata": {"labels": {**body["metadata"]["labels"]}},
            "spec": _pod(namespace, shard, placement, settings),
        },
    }
    return _fingerprinted(body)


def service_account(namespace: str, shard: str, owner: str) -> Manifest:
    """The worker's identity."""
    return _fingerprinted(_owned(_object(SERVICE_ACCOUNTS, namespace, shard), shard, owner))


def lease(namespace: str, shard: str, owner: str, seconds: int) -> Manifest:
    """The worker's Lease, made here because the right to create cannot be limited by name."""
    body = _owned(_object(LEASES, namespace, shard), shard, owner)
    body["spec"] = {"leaseDurationSeconds": seconds}
    return _fingerprinted(body)


def role_binding(namespace: str, shard: str, owner: str) -> Manifest:
    """Gives the worker its Role."""
    body = _owned(_object(ROLE_BINDINGS, namespace, shard), shard, owner)
    body["roleRef"] = {"apiGroup": ROLES.group, "kind": "Role", "name": shard}
    body["subjects"] = [{"kind": "ServiceAccount", "name": shard, "namespace": namespace}]
    return _fingerprinted(body)


@dataclass(frozen=True, slots=True)
class Granted:
    """The objects that a worker's Role names."""

    cameras: frozenset[str]
    """Cameras of the worker, whose status it writes."""
    others: frozenset[str]
    """Cameras of other workers, for whose login it waits; it may only read them."""
    secrets: frozenset[str]

    def with_all_of(self, role_body: Mapping[str, Any]) -> Granted:
        """These objects and all that a Role grants already."""
        return Granted(
            self.cameras | names_in(role_body, "cameras/status"),
            self.others | names_in(role_body, "cameras"),
            self.secrets | names_in(role_body, "secrets"),
        )


def granted_for(spec: IngestShardSpec) -> Granted:
    """The objects that a work list needs, and no others."""
    return Granted(
        frozenset(one.name for one in spec.cameras),
        frozenset(one.login_after for one in spec.cameras if one.login_after),
        secrets_of_shard(spec),
    )


def role(namespace: str, shard: str, owner: str, granted: Granted) -> Manifest:
    """The worker's rights, every rule by resourceNames: a stolen token reaches one shard only."""
    reported, read = sorted(granted.cameras), sorted(granted.cameras | granted.others)
    rules = [
        _rule(GROUP, "ingestshards", ("get", "list", "watch"), [shard]),
        _rule(GROUP, "ingestshards/status", ("patch",), [shard]),
        _rule(LEASES.group, "leases", ("get", "update"), [shard]),
    ]
    # A rule with an empty list of names would allow every name.
    if read:
        rules.append(_rule(GROUP, "cameras", ("get",), read))
    if reported:
        rules.append(_rule(GROUP, "cameras/status", ("patch",), reported))
    if granted.secrets:
        rules.append(_rule("", "secrets", ("get", "list", "watch"), sorted(granted.secrets)))
    body = _owned(_object(ROLES, namespace, shard), shard, owner)
    body["rules"] = rules
    return _fingerprinted(body)


def ingest_shard(namespace: str, shard: str, owner: str, spec: IngestShardSpec) -> Manifest:
    """The work list."""
    body = _owned(_object(SHARDS, namespace, shard), shard, owner)
    body["spec"] = spec.to_wire()
    return body


def names_in(role_body: Mapping[str, Any], resource: str) -> set[str]:
    """The resourceNames that a Role grants for a resource."""
    return {
        name
        for rule in role_body.get("rules") or ()
        if resource in (rule.get("resources") or ())
        for name in rule.get("resourceNames") or ()
    }


def _object(
    resource: Resource, namespace: str, shard: str, labels: Mapping[str, str] | None = None
) -> Manifest:
    return {
        "apiVersion": API_VERSION if resource.group == GROUP else resource.api_version,
        "kind": resource.kind,
        "metadata": {
            "name": shard,
            "namespace": namespace,
            "labels": {
                MANAGED_BY_LABEL: MANAGED_BY,
                COMPONENT_LABEL: WORKER_COMPONENT,
                SHARD_LABEL: shard,
                **(labels or {}),
            },
        },
    }


def _owned(body: Manifest, shard: str, owner: str) -> Manifest:
    body["metadata"]["ownerReferences"] = [
        {
            "apiVersion": DEPLOYMENTS.api_version,
            "kind": DEPLOYMENTS.kind,
            "name": shard,
            "uid": owner,
        }
    ]
    return body


def _fingerprinted(body: Manifest) -> Manifest:
    mark = {FINGERPRINT: fingerprint(body)}
    return {**body, "metadata": {**body["metadata"], "annotations": mark}}


def _rule(group: str, resource: str, verbs: tuple[str, ...], names: list[str]) -> Manifest:
    return {
        "apiGroups": [group],
        "resources": [resource],
        "verbs": list(verbs),
        "resourceNames": names,
    }


def _pod(namespace: str, shard: str, placement: Placement, settings: Settings) -> Manifest:
    worker = settings.worker
    pod: Manifest = {
        "serviceAccountName": shard,
        # TEARDOWN of 200 sessions, closing of files and a last report fit in 10 s.
        "terminationGracePeriodSeconds": 15,
        # Service addresses in the environment are not used and grow with the namespace.
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": UID,
            "runAsGroup": UID,
            # The kubelet gives a claim's files to this group. It does not change a hostPath, so
            # the folder on the node must be writable for the group.
            "fsGroup": worker.fs_group,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(namespace, shard, placement, settings)],
        "volumes": [
            {"name": "recordings", **_volume(placement.recording_volume)},
            {"name": "state", "emptyDir": {"medium": "Memory", "sizeLimit": "16Mi"}},
            {"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}},
        ],
    }
    optional = {
        "nodeSelector": dict(placement.node_selector),
        "tolerations": [dict(one) for one in worker.tolerations],
        "imagePullSecrets": [{"name": name} for name in worker.image_pull_secrets],
        "priorityClassName": worker.priority_class_name,
    }
    return pod | {key: value for key, value in optional.items() if value}


def _container(namespace: str, shard: str, placement: Placement, settings: Settings) -> Manifest:
    worker = settings.worker
    viewer_env, viewer_ports = _second_listener(namespace, worker.viewer)
    env: list[Manifest] = [
        {"name": "CAMFLEET_SHARD", "value": shard},
        {"name": "CAMFLEET_NAMESPACE", "valueFrom": _field("metadata.namespace")},
        {"name": "POD_NAME", "valueFrom": _field("metadata.name")},
        {"name": "CAMFLEET_RECORDINGS", "value": "/recordings"},
        {"name": "CAMFLEET_STATE", "value": "/state"},
        {"name": "CAMFLEET_LEASE_SECONDS", "value": str(worker.lease_seconds)},
        *_most_recorded(placement.recording_volume),
        *viewer_env,
    ]
    return {
        "name": "worker",
        "image": worker.image,
        "imagePullPolicy": worker.image_pull_policy,
        "command": ["camfleet-worker"],
        "env": env + [{"name": key, "value": value} for key, value in sorted(worker.env.items())],
        "ports": [_port("metrics", METRICS_PORT), *viewer_ports],
        "startupProbe": _startup_probe(),
        "livenessProbe": _probe("/healthz", period_s=10, failures=6),
        "readinessProbe": _probe("/readyz", period_s=5, failures=3),
        "resources": dict(worker.resources),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "recordings", "mountPath": "/recordings"},
            {"name": "state", "mountPath": "/state"},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - the pod's own emptyDir
        ],
    }


def _second_listener(
    namespace: str, viewer: SnapshotViewer | None
) -> tuple[list[Manifest], list[Manifest]]:
    """Environment and ports by which workers serve snapshots to a viewer. They are empty in a
    namespace that is not declared for it, so that its workers do not restart."""
    if viewer is None or namespace not in viewer.namespaces:
        return [], []
    env: list[Manifest] = [
        {"name": "CAMFLEET_SNAPSHOT_VIEWER_AUDIENCE", "value": viewer.audience},
        {"name": "CAMFLEET_SNAPSHOT_VIEWER_ACCOUNT", "value": viewer.account},
        {"name": "CAMFLEET_SNAPSHOT_VIEWER_PORT", "value": str(viewer.port)},
        {"name": "POD_IP", "valueFrom": _field("status.podIP")},
    ]
    return env, [_port(SNAPSHOTS_PORT_NAME, viewer.port)]


def _port(name: str, number: int) -> Manifest:
    return {"name": name, "containerPort": number, "protocol": "TCP"}


def _most_recorded(volume: RecordingVolume) -> list[Manifest]:
    """How much of an emptyDir the worker may fill before it deletes its oldest recordings.

    The kubelet evicts a pod whose emptyDir exceeds its sizeLimit, with all its recordings. A tenth
    is left for writes between two checks of the volume.
    """
    if volume.empty_dir is None:
        return []
    most = quantity_bytes(volume.empty_dir.size_limit) * 9 // 10
    return [{"name": "CAMFLEET_RECORDINGS_MAX_BYTES", "value": str(most)}]


def _field(path: str) -> Manifest:
    # apiVersion is a default, but server-side apply compares what is stored.
    return {"fieldRef": {"apiVersion": "v1", "fieldPath": path}}


def _startup_probe() -> Manifest:
    """No other probe runs before this one succeeds. It is first sent when a worker listens even on
    a busy node, because each refused probe would be a Warning about a healthy pod."""
    return _probe("/healthz", period_s=2, failures=60) | {"initialDelaySeconds": STARTS_WITHIN_S}


def _probe(path: str, period_s: int, failures: int) -> Manifest:
    return {
        "httpGet": {"path": path, "port": "metrics"},
        "periodSeconds": period_s,
        "timeoutSeconds": 5,
        "failureThreshold": failures,
    }


def _volume(volume: RecordingVolume) -> Manifest:
    if volume.persistent_volume_claim is not None:
        return {"persistentVolumeClaim": {"claimName": volume.persistent_volume_claim.claim_name}}
    if volume.host_path is not None:
        return {"hostPath": {"path": volume.host_path.path, "type": "DirectoryOrCreate"}}
    limit = volume.empty_dir.size_limit if volume.empty_dir else "10Gi"
    return {"emptyDir": {"sizeLimit": limit}}
