# SPDX-License-Identifier: Apache-2.0
"""A pod of the web page that may see snapshots: it asks workers as the chart's README says."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import yaml

from demo.kubernetes import Target

AUDIENCES = ("camfleet-snapshots", "somebody-else")
_TOKENS = "/var/run/token"
_ASK = """
import http.client, json, pathlib, sys
address, path, token = sys.argv[1:]
login = {"Authorization": "Bearer " + token} if token else {}
if token.startswith("/"):
    login["Authorization"] = "Bearer " + pathlib.Path(token).read_text()
connection = http.client.HTTPConnection(address, timeout=10)
try:
    connection.request("GET", path, headers=login)
    answer = connection.getresponse()
    print(json.dumps([answer.status, answer.getheader("Content-Type"), answer.read(3).hex()]))
except ConnectionRefusedError:
    print(json.dumps([0, "refused", ""]))
"""


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, 0 where the connection was refused; media type; the first three octets."""

    status: int
    content_type: str
    begin: str


class WebPage:
    """A running pod with two tokens of its ServiceAccount, one for each audience."""

    def __init__(self, target: Target, namespace: str) -> None:
        self._target, self._namespace = target, namespace

    def start(self, image: str) -> None:
        """Run it; any image with Python will do."""
        for account in ("page", "other"):
            self._target.run("create", "serviceaccount", account, "-n", self._namespace)
        pod = yaml.safe_dump(_pod(image))
        self._target.run("apply", "-n", self._namespace, "-f", "-", stdin=pod)
        ready = ("wait", "pod/page", "--for=condition=Ready", "--timeout=60s")
        self._target.run(*ready, "-n", self._namespace)

    def own_token(self, audience: str) -> str:
        """Where its token for an audience lies in the pod."""
        return f"{_TOKENS}/{audience}"

    def token_of_another_account(self) -> str:
        """For the right audience."""
        wish = ("create", "token", "other", f"--audience={AUDIENCES[0]}")
        return self._target.run(*wish, "-n", self._namespace).strip()

    def ask(self, address: str, path: str, token: str = "") -> Answer:
        """GET from the pod's network, with a token or a file of the pod that holds one."""
        command = ("python3", "-c", _ASK, address, path, token)
        said = self._target.run("exec", "page", "-n", self._namespace, "--", *command)
        return Answer(*json.loads(said))


def _pod(image: str) -> dict[str, Any]:
    tokens = [
        {"serviceAccountToken": {"audience": name, "expirationSeconds": 3600, "path": name}}
        for name in AUDIENCES
    ]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "page", "labels": {"app": "page"}},
        "spec": {
            "serviceAccountName": "page",
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 0,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 65532,
                "fsGroup": 65532,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": "page",
                    "image": image,
                    "imagePullPolicy": "IfNotPresent",
                    "command": ["sleep", "infinity"],
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "capabilities": {"drop": ["ALL"]},
                    },
                    "volumeMounts": [{"name": "token", "mountPath": _TOKENS}],
                }
            ],
            "volumes": [{"name": "token", "projected": {"sources": tokens}}],
        },
    }
