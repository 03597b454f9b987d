# SPDX-License-Identifier: Apache-2.0
"""etcd, API server, controller manager and scheduler of one instance.

Called by `cluster.py`. Everything listens inside of the instance's network namespace, so the
standard ports are free for every instance.
"""

import ssl
import urllib.error
import urllib.request

from local_cluster import kubeconfig, processes
from local_cluster.binaries import binary
from local_cluster.certificates import Authority, write_signing_key
from local_cluster.instance import Instance
from local_cluster.processes import Process
from local_cluster.progress import step

ETCD = "http://127.0.0.1:2379"


def start_api_server(instance: Instance, authority: Authority) -> Process:
    """Start etcd and the API server; returns when the API server says it is ready."""
    with step("API server"):
        etcd = processes.start(
            instance,
            "etcd",
            [
                binary("etcd"),
                f"--data-dir={instance.folder}/etcd",
                f"--listen-client-urls={ETCD}",
                f"--advertise-client-urls={ETCD}",
                "--listen-peer-urls=http://127.0.0.1:2380",
                "--log-level=warn",
                # The data of a test cluster need not survive a power cut, and a small disk has few
                # fsyncs to give.
                "--unsafe-no-fsync",
            ],
        )
        api_server = processes.start(instance, "kube-apiserver", _api_server(instance, authority))
        processes.wait_until(
            "A ready API server",
            lambda: is_ready(instance),
            [etcd, api_server],
            instance,
            within_s=120,
        )
    return api_server


def start_controllers(instance: Instance, authority: Authority, *, scheduler: bool) -> None:
    """Start the controller manager (namespaces, garbage collection, service accounts,
    certificates) and, for pods, the scheduler.
    """
    folder = instance.folder
    manager = kubeconfig.write(
        folder / "controller-manager.kubeconfig",
        instance,
        authority,
        "system:kube-controller-manager",
    )
    processes.start(
        instance,
        "kube-controller-manager",
        [
            binary("kube-controller-manager"),
            f"--kubeconfig={manager}",
            # Each controller logs in for itself; at the default of 20 requests a second that alone
            # takes five seconds.
            "--use-service-account-credentials",
            "--kube-api-qps=300",
            "--kube-api-burst=600",
            "--leader-elect=false",
            f"--root-ca-file={authority.certificate}",
            f"--service-account-private-key-file={folder}/pki/service-accounts.key",
            f"--cluster-signing-cert-file={authority.certificate}",
            f"--cluster-signing-key-file={authority.key}",
            "--allocate-node-cidrs",
            f"--cluster-cidr={instance.pod_cidr}",
            "--node-cidr-mask-size=22",
            f"--service-cluster-ip-range={instance.service_cidr}",
            "--bind-address=127.0.0.1",
        ],
    )
    if scheduler:
        scheduling = kubeconfig.write(
            folder / "scheduler.kubeconfig", instance, authority, "system:kube-scheduler"
        )
        processes.start(
            instance,
            "kube-scheduler",
            [
                binary("kube-scheduler"),
                f"--kubeconfig={scheduling}",
                "--leader-elect=false",
                "--bind-address=127.0.0.1",
            ],
        )


def is_ready(instance: Instance) -> bool:
    """Whether the API server answers /readyz, asked from outside as every client does."""
    authority = instance.folder / "pki" / "ca.crt"
    if not authority.exists():
        return False
    # No proxy of the caller's shell may come between: this address exists on this machine only.
    direct = urllib.request.build_opener(
        urllib.request.ProxyHandler({}),
        urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=str(authority))),
    )
    try:
        with direct.open(f"{instance.server}/readyz", timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _api_server(instance: Instance, authority: Authority) -> list[str]:
    names = [
        str(instance.node_address),
        "127.0.0.1",
        str(instance.api_service_address),
        instance.node_name,
        "localhost",
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
    ]
    certificate, key = authority.issue("api-server", "kube-apiserver", names=names)
    kubelet_certificate, kubelet_key = authority.issue(
        "api-server-to-kubelet", "kube-apiserver", groups=["system:masters"]
    )
    accounts = instance.folder / "pki" / "service-accounts.key"
    write_signing_key(accounts)
    return [
        str(binary("kube-apiserver")),
        f"--etcd-servers={ETCD}",
        f"--advertise-address={instance.node_address}",
        f"--service-cluster-ip-range={instance.service_cidr}",
        "--authorization-mode=Node,RBAC",
        "--allow-privileged",
        f"--client-ca-file={authority.certificate}",
        f"--tls-cert-file={certificate}",
        f"--tls-private-key-file={key}",
        f"--kubelet-certificate-authority={authority.certificate}",
        f"--kubelet-client-certificate={kubelet_certificate}",
        f"--kubelet-client-key={kubelet_key}",
        # By default `kubectl logs` would look the node's name up in DNS.
        "--kubelet-preferred-address-types=InternalIP",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-signing-key-file={accounts}",
        f"--service-account-key-file={accounts}",
        # Node restriction is off by default, and a real cluster has it; Pod Security is on by
        # default.
        "--enable-admission-plugins=NodeRestriction",
    ]
