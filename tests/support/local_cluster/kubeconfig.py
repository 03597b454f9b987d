# SPDX-License-Identifier: Apache-2.0
"""Writes kubeconfig files with everything embedded, so that one file is all a user or a component
needs.
"""

import base64
import os
from pathlib import Path

import yaml

from local_cluster.certificates import Authority
from local_cluster.instance import Instance


def write(
    path: Path, instance: Instance, authority: Authority, user: str, groups: tuple[str, ...] = ()
) -> Path:
    """A kubeconfig that logs in as `user`. The context bears the instance's name; readable by its
    owner alone.
    """
    certificate, key = authority.issue(path.name, user, groups=groups)
    name = f"camfleet-{instance.name}"
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "clusters": [
            {
                "name": name,
                "cluster": {
                    "server": instance.server,
                    "certificate-authority-data": _base64(authority.certificate),
                },
            }
        ],
        "users": [
            {
                "name": name,
                "user": {
                    "client-certificate-data": _base64(certificate),
                    "client-key-data": _base64(key),
                },
            }
        ],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
    }
    # Appears complete or not at all: others wait for this file.
    fresh = path.with_name(f".{path.name}.new")
    fresh.touch(mode=0o600)
    fresh.write_text(yaml.safe_dump(content, sort_keys=False))
    os.replace(fresh, path)
    return path


def _base64(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
