# SPDX-License-Identifier: Apache-2.0
"""Kubernetes, etcd, Helm and CoreDNS, built from their published Go modules and kept in the cache.

Called by `cluster.py` before anything starts, and by `local_cluster build`. It trusts go.sum for
what it builds, downloads nothing but Go modules, and never uses a binary that happens to lie on
the PATH.
"""

import hashlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from local_cluster.errors import ClusterError
from local_cluster.places import cache, locked
from local_cluster.progress import say, step

MODULES = Path(__file__).parent / "binaries"
KUBERNETES_VERSION = "v1.37.2"


@dataclass(frozen=True)
class Binary:
    """One program: the module folder that pins it, the package to build, flags for the linker."""

    name: str
    module: str
    package: str
    link_flags: str = "-s -w"

    @property
    def path(self) -> Path:
        """Keyed by what pins it, so that a new version is a new file and an old checkout keeps
        working.
        """
        return cache() / "bin" / _module_hash(self.module) / self.name


def _kubernetes(name: str) -> Binary:
    # Without these the API server calls itself v0.0.0 and clients guess its abilities wrongly.
    version = "k8s.io/component-base/version"
    major, minor, _ = KUBERNETES_VERSION.removeprefix("v").split(".")
    values = {"gitVersion": KUBERNETES_VERSION, "gitMajor": major, "gitMinor": minor}
    flags = " ".join(["-s -w", *(f"-X {version}.{key}={value}" for key, value in values.items())])
    return Binary(name, "kubernetes", f"k8s.io/kubernetes/cmd/{name}", flags)


# In the order of use: what an API server needs first.
BINARIES = {
    binary.name: binary
    for binary in (
        Binary("etcd", "kubernetes", "go.etcd.io/etcd/server/v3"),
        _kubernetes("kube-apiserver"),
        _kubernetes("kubectl"),
        _kubernetes("kube-controller-manager"),
        _kubernetes("kube-scheduler"),
        _kubernetes("kubelet"),
        _kubernetes("kube-proxy"),
        Binary("coredns", "coredns", "."),
        Binary("helm", "helm", "helm.sh/helm/v4/cmd/helm"),
    )
}


def binary(name: str) -> Path:
    """The path of a built program."""
    path = BINARIES[name].path
    if not path.exists():
        build()
    return path


def build() -> None:
    """Build what the cache lacks. Two callers at once: the second waits and finds everything
    there.
    """
    if not _missing():
        return
    with locked(cache() / "bin" / "build.lock"):
        missing = _missing()
        for count, one in enumerate(missing, start=1):
            with step(f"building {one.name} ({count} of {len(missing)})"):
                _build(one)


def _missing() -> list[Binary]:
    return [one for one in BINARIES.values() if not one.path.exists()]


def _build(one: Binary) -> None:
    go = shutil.which("go")
    if go is None:
        raise ClusterError(
            "The program `go` is not on the PATH. "
            "Install Go 1.26 or newer (https://go.dev/dl) and try again."
        )
    unfinished = one.path.with_name(f".{one.name}.unfinished")
    unfinished.parent.mkdir(parents=True, exist_ok=True)
    # Statically linked, so that coredns and kubectl could run in an image FROM scratch; -trimpath
    # keeps this machine's paths out.
    command = [
        go,
        "build",
        "-trimpath",
        "-buildvcs=false",
        "-mod=readonly",
        "-ldflags",
        one.link_flags,
        "-o",
        str(unfinished),
        one.package,
    ]
    result = subprocess.run(
        command,
        cwd=MODULES / one.module,
        env={**os.environ, "CGO_ENABLED": "0", "GOFLAGS": ""},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if result.returncode:
        for line in result.stdout.splitlines()[-20:]:
            say(line)
        raise ClusterError(
            f"Building {one.name} failed; the compiler's words are above. "
            "A full disk or no way to the Go module proxy are the usual causes."
        )
    unfinished.rename(one.path)


def _module_hash(module: str) -> str:
    digest = hashlib.sha256()
    for name in ("go.mod", "go.sum", "main.go"):
        path = MODULES / module / name
        if path.exists():
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
