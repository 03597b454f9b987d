# SPDX-License-Identifier: Apache-2.0
"""What the API server says of every Camera, as it says it: a watch, kept as a history.

Used by the measurements, whose times are those at which a person watching would have known.
"""

from __future__ import annotations

import json
import subprocess
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from local_cluster import Cluster

RESOURCE = "/apis/camfleet.vnpt.vn/v1alpha1/namespaces/{namespace}/cameras"
_ALL_DAY = "watch=1&timeoutSeconds=86400"


@dataclass
class CameraHistory:
    """One Camera; times are monotonic."""

    created: float
    ready: list[tuple[float, str, str]] = field(default_factory=list)
    """When Ready became (status, reason)."""
    writes: list[float] = field(default_factory=list)
    """Changes of the object after its creation, whoever made them."""
    attempts: int = 0

    @property
    def now(self) -> tuple[str, str]:
        return self.ready[-1][1:] if self.ready else ("", "")

    def ready_since(self, after: float) -> float | None:
        """When it became Ready after a time, for as long as it still is."""
        if self.now[0] != "True" or self.ready[-1][0] < after:
            return None
        return self.ready[-1][0]


class CameraWatch:
    """The Cameras of a namespace from now on."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self.cameras: dict[str, CameraHistory] = {}
        path = RESOURCE.format(namespace=namespace)
        kubectl = [str(cluster.binary("kubectl")), f"--kubeconfig={cluster.kubeconfig}"]
        listed = json.loads(cluster.kubectl("get", "--raw", f"{path}?limit=1"))
        version = listed["metadata"]["resourceVersion"]
        self._process = subprocess.Popen(
            [*kubectl, "get", "--raw", f"{path}?{_ALL_DAY}&resourceVersion={version}"],
            stdout=subprocess.PIPE,
        )
        self._thread = threading.Thread(target=self._follow, name="camera watch", daemon=True)
        self._thread.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def stop(self) -> None:
        """Watch no more."""
        self._process.terminate()
        self._process.wait(10)
        self._thread.join()

    def ready(self) -> set[str]:
        """Cameras that are Ready now."""
        return {name for name, camera in list(self.cameras.items()) if camera.now[0] == "True"}

    def writes_between(self, begin: float, end: float) -> dict[str, int]:
        """Changes of each Camera in a time."""
        return {
            name: sum(begin <= at < end for at in camera.writes)
            for name, camera in list(self.cameras.items())
        }

    def _follow(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            event = json.loads(line)
            if event["type"] in ("ADDED", "MODIFIED"):
                self._note(event["object"], time.monotonic())

    def _note(self, camera: dict[str, Any], now: float) -> None:
        name = camera["metadata"]["name"]
        known = self.cameras.get(name)
        if known is None:
            known = self.cameras[name] = CameraHistory(now)
        else:
            known.writes.append(now)
        status = camera.get("status") or {}
        known.attempts = (status.get("attempts") or {}).get("count", known.attempts)
        for condition in status.get("conditions", ()):
            if condition["type"] == "Ready":
                said = condition["status"], condition["reason"]
                if said != known.now:
                    known.ready.append((now, *said))
