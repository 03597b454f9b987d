# SPDX-License-Identifier: Apache-2.0
"""The node of an instance: containerd, kubelet and kube-proxy, with folders, and cgroup of
their own.

Called by `cluster.py`. It writes their configuration, starts them, and clears what they leave:
mounts and files.
"""

import json
import shutil
import subprocess
from pathlib import Path

import yaml

from local_cluster import kubeconfig, processes
from local_cluster.binaries import binary
from local_cluster.certificates import Authority
from local_cluster.errors import ClusterError
from local_cluster.instance import Instance
from local_cluster.processes import Process

PAUSE_IMAGE = "localhost/pause:1"
CNI_PLUGINS = Path("/usr/lib/cni")
# Folders that containerd, CNI plugins and kubelet use under a fixed name, whatever they are told.
# The node sees folders of its instance there: two nodes share nothing, and none leaves traces.
FIXED_FOLDERS = ("/var/log", "/var/lib/cni", "/var/lib/kubelet", "/run/containerd", "/etc/cni")


def containerd_socket(instance: Instance) -> Path:
    return instance.folder / "containerd.sock"


def start_containerd(instance: Instance) -> Process:
    """Start containerd; returns when it answers."""
    _write_network_configuration(instance)
    configuration = instance.folder / "containerd.toml"
    configuration.write_text(_containerd_configuration(instance))
    containerd = processes.start(
        instance,
        "containerd",
        [*_in_private_mounts(instance), "containerd", "--config", configuration],
    )
    processes.wait_until(
        "A containerd that answers",
        lambda: _containerd_answers(instance),
        [containerd],
        instance,
        within_s=30,
    )
    return containerd


def start_kubelet(instance: Instance, authority: Authority, containerd: Process) -> Process:
    """Start the kubelet, which registers the node by itself, where containerd sees its mounts."""
    folder = instance.folder
    login = kubeconfig.write(
        folder / "kubelet.kubeconfig",
        instance,
        authority,
        f"system:node:{instance.node_name}",
        ("system:nodes",),
    )
    certificate, key = authority.issue(
        "kubelet-server", instance.node_name, names=[instance.node_name, str(instance.node_address)]
    )
    (folder / "resolv.conf").write_text("")
    configuration = folder / "kubelet.yaml"
    configuration.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "kubelet.config.k8s.io/v1beta1",
                "kind": "KubeletConfiguration",
                "containerRuntimeEndpoint": f"unix://{containerd_socket(instance)}",
                "tlsCertFile": str(certificate),
                "tlsPrivateKeyFile": str(key),
                "authentication": {
                    "anonymous": {"enabled": False},
                    "x509": {"clientCAFile": str(authority.certificate)},
                },
                "clusterDomain": "cluster.local",
                "clusterDNS": [str(instance.dns_address)],
                # Pods inherit no resolver of this machine: other names do not exist.
                "resolvConf": str(folder / "resolv.conf"),
                "cgroupDriver": "cgroupfs",
                "cgroupRoot": f"/{instance.cgroup}",
                "podLogsDir": str(folder / "pod-logs"),
                "enforceNodeAllocatable": [],
                "failCgroupV1": False,
                "failSwapOn": False,
                "maxPods": 500,
                # Images come from this machine alone: a collected one would be missed.
                # And a full disk is no reason to evict.
                "imageGCHighThresholdPercent": 100,
                "evictionHard": {"memory.available": "100Mi"},
                "nodeStatusReportFrequency": "30s",
            },
            sort_keys=False,
        )
    )
    return processes.start(
        instance,
        "kubelet",
        [
            "nsenter",
            f"--mount=/proc/{containerd.pid}/ns/mnt",
            binary("kubelet"),
            f"--config={configuration}",
            f"--kubeconfig={login}",
            f"--hostname-override={instance.node_name}",
            f"--node-ip={instance.node_address}",
            f"--root-dir={folder}/kubelet",
            f"--cert-dir={folder}/kubelet-pki",
        ],
    )


def start_proxy(instance: Instance, authority: Authority) -> Process:
    """Start kube-proxy. Its nftables tables have fixed names: only the network namespace keeps
    instances apart.
    """
    login = kubeconfig.write(
        instance.folder / "kube-proxy.kubeconfig", instance, authority, "system:kube-proxy"
    )
    configuration = instance.folder / "kube-proxy.yaml"
    configuration.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
                "kind": "KubeProxyConfiguration",
                "mode": "nftables",
                "clusterCIDR": str(instance.pod_cidr),
                "hostnameOverride": instance.node_name,
                "clientConnection": {"kubeconfig": str(login)},
                # System-wide limits of connection tracking belong to the machine, not to us.
                "conntrack": {
                    "maxPerCore": 0,
                    "min": 0,
                    "tcpCloseWaitTimeout": "0s",
                    "tcpEstablishedTimeout": "0s",
                },
                "nftables": {"minSyncPeriod": "100ms"},
            },
            sort_keys=False,
        )
    )
    return processes.start(
        instance, "kube-proxy", [binary("kube-proxy"), f"--config={configuration}"]
    )


def remove_leftovers(instance: Instance) -> None:
    """Delete the instance's folder. Should something be mounted in it, that comes off first:
    deleting through a mount would reach whatever is mounted.
    """
    for mount in _mounts_below(instance.folder):
        subprocess.run(["umount", "--lazy", mount], check=False, capture_output=True)
    left = _mounts_below(instance.folder)
    if left:
        raise ClusterError(
            f"{left[0]} cannot be unmounted. Nothing below {instance.folder} was deleted; "
            "unmount it and try again."
        )
    if instance.folder.exists():
        shutil.rmtree(instance.folder)


def remove_mount_points() -> None:
    """Remove the folders that exist only to be mounted upon. Not while another instance uses them:
    the kernel would take them away from under it.
    """
    for folder in map(Path, FIXED_FOLDERS):
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def _in_private_mounts(instance: Instance) -> list[str]:
    """The beginning of a command that runs with mounts of its own: what it and its children mount,
    nobody else sees, and the kernel unmounts it when the last of them is gone.
    """
    script = "set -e\n"
    for folder in FIXED_FOLDERS:
        own = instance.folder / "private" / folder.lstrip("/")
        own.mkdir(parents=True)
        Path(folder).mkdir(parents=True, exist_ok=True)
        script += f"mount --bind '{own}' {folder}\n"
    return [
        "unshare",
        "--mount",
        "--propagation",
        "private",
        "sh",
        "-c",
        script + 'exec "$@"',
        "sh",
    ]


def _mounts_below(folder: Path) -> list[str]:
    # Blanks in a path are written \040 in /proc/self/mounts (proc(5)).
    paths = [
        line.split()[1].replace("\\040", " ")
        for line in Path("/proc/self/mounts").read_text().splitlines()
    ]
    return sorted(
        (path for path in paths if Path(path).is_relative_to(folder)), key=len, reverse=True
    )


def _containerd_answers(instance: Instance) -> bool:
    socket = containerd_socket(instance)
    command = ["ctr", "--address", str(socket), "--timeout", "2s", "plugins", "ls", "id==cri"]
    if not socket.exists():
        return False
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    return answer.returncode == 0 and " ok" in answer.stdout


def _containerd_configuration(instance: Instance) -> str:
    folder = instance.folder
    return f"""\
version = 2
root = "{folder}/containerd"
state = "{folder}/containerd-run"

[grpc]
address = "{containerd_socket(instance)}"

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{PAUSE_IMAGE}"
# Where raising an out-of-memory score is not allowed, runc fails with "can't get final child's PID
# from pipe" without this.
restrict_oom_score_adj = true
# Otherwise the namespaces of pods lie in a folder that all instances share, and nobody knows whose
# a leftover is.
netns_mounts_under_state_dir = true
disable_tcp_service = true

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{CNI_PLUGINS}"
conf_dir = "{folder}/cni"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
"""


def _write_network_configuration(instance: Instance) -> None:
    folder = instance.folder / "cni"
    folder.mkdir(exist_ok=True)
    # The first /22 of the range: the controller manager gives it to the first node.
    subnet = next(instance.pod_cidr.subnets(new_prefix=22))
    (folder / "10-camfleet.conflist").write_text(
        json.dumps(
            {
                "cniVersion": "0.4.0",
                "name": "pods",
                "plugins": [
                    # A cable per pod, no bridge: replies within the node then pass
                    # kube-proxy's rules without loading br_netfilter into the machine.
                    {
                        "type": "ptp",
                        "ipMasq": False,
                        "ipam": {
                            "type": "host-local",
                            "ranges": [[{"subnet": str(subnet)}]],
                            "routes": [{"dst": "0.0.0.0/0"}],
                            "dataDir": f"{instance.folder}/cni-addresses",
                        },
                    },
                    {"type": "portmap", "capabilities": {"portMappings": True}},
                ],
            },
            indent=1,
        )
    )
