# SPDX-License-Identifier: Apache-2.0
"""Raw objects of a small fleet, as a person would declare them, for operator tests."""

from __future__ import annotations

from typing import Any

from camfleet_api.names import API_VERSION, TENANT_CLUSTER_ROLE

Raw = dict[str, Any]

OPERATOR_NAMESPACE = "camfleet-system"
OPERATOR_ACCOUNT = "camfleet-operator"


def profile(name: str = "tp", **spec: Any) -> Raw:
    """A TechnicalProfile."""
    return _object("TechnicalProfile", "", name, {"version": "1"} | spec)


def system(name: str = "vms", **spec: Any) -> Raw:
    """A MonitoringSystem with a login."""
    return _object(
        "MonitoringSystem",
        "",
        name,
        {
            "protocol": "rtsp",
            "urlTemplate": "rtsp://vms.example/{uid}",
            "credentials": {"secretName": f"{name}-login"},
        }
        | spec,
    )


def site(namespace: str, name: str = "barracks", **spec: Any) -> Raw:
    """A Site that relays to `vms` under profile `tp`."""
    return _object(
        "Site",
        namespace,
        name,
        {
            "displayName": name,
            "managedBy": "military",
            "profileRef": "tp",
            "monitoringSystemRefs": ["vms"],
            "credentials": {"secret": {"secretName": f"{name}-cameras"}},
        }
        | spec,
    )


def camera(namespace: str, name: str, site: str = "barracks", **spec: Any) -> Raw:
    """A Camera whose host is made of its name, so that two names are two devices."""
    host = f"{name}.cameras.example"
    return _object(
        "Camera", namespace, name, {"siteRef": site, "host": host, "zone": "gate"} | spec
    )


def enrolment(namespace: str, name: str = "camfleet") -> Raw:
    """The RoleBinding by which a namespace opts in."""
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": name, "namespace": namespace},
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": TENANT_CLUSTER_ROLE,
        },
        "subjects": [
            {
                "kind": "ServiceAccount",
                "name": OPERATOR_ACCOUNT,
                "namespace": OPERATOR_NAMESPACE,
            }
        ],
    }


def _object(kind: str, namespace: str, name: str, spec: Raw) -> Raw:
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec}
