# SPDX-License-Identifier: Apache-2.0
"""Service DNS of an instance: CoreDNS on the node, behind a `kube-dns` Service as everywhere.

Called by `cluster.py`. A process instead of a pod: no image to load and nothing to schedule before
names resolve. It answers for the cluster and for nothing else: no query is ever forwarded.
"""

from typing import Any

from local_cluster import kubeconfig, processes
from local_cluster.binaries import binary
from local_cluster.certificates import Authority
from local_cluster.instance import Instance
from local_cluster.processes import Process

USER = "system:coredns"


def start(instance: Instance, authority: Authority) -> Process:
    login = kubeconfig.write(instance.folder / "coredns.kubeconfig", instance, authority, USER)
    corefile = instance.folder / "Corefile"
    corefile.write_text(f"""\
.:53 {{
    bind {instance.node_address}
    errors
    ready {instance.node_address}:8181
    cache 5
    loadbalance
    kubernetes cluster.local in-addr.arpa {{
        kubeconfig {login}
        ttl 5
    }}
}}
""")
    return processes.start(instance, "coredns", [binary("coredns"), "-conf", corefile])


def objects(instance: Instance) -> list[dict[str, Any]]:
    """The Service, where it leads, and what CoreDNS may read."""
    meta = {
        "name": "kube-dns",
        "namespace": "kube-system",
        "labels": {"k8s-app": "kube-dns", "kubernetes.io/name": "CoreDNS"},
    }
    ports = [
        {"name": "dns", "port": 53, "protocol": "UDP"},
        {"name": "dns-tcp", "port": 53, "protocol": "TCP"},
    ]
    return [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": meta,
            "spec": {"clusterIP": str(instance.dns_address), "ports": ports},
        },
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "addressType": "IPv4",
            "ports": ports,
            "metadata": {**meta, "labels": {"kubernetes.io/service-name": "kube-dns"}},
            "endpoints": [
                {"addresses": [str(instance.node_address)], "conditions": {"ready": True}}
            ],
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {"name": USER},
            "rules": [
                {
                    "apiGroups": [""],
                    "resources": ["services", "namespaces", "pods", "nodes"],
                    "verbs": ["get", "list", "watch"],
                },
                {
                    "apiGroups": ["discovery.k8s.io"],
                    "resources": ["endpointslices"],
                    "verbs": ["list", "watch"],
                },
            ],
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": USER},
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "ClusterRole",
                "name": USER,
            },
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": USER}],
        },
    ]
