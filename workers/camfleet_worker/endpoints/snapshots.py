# SPDX-License-Identifier: Apache-2.0
"""GET /snapshot/<camera>: the last decoded picture of a camera, as JPEG.

The app serves it on the pod's loopback address: a client comes through `kubectl port-forward`, and
so by the cluster's own rights. Where a viewer is declared, a second listener serves it too, behind
`snapshot_gate`. It makes no picture and keeps none. Last-Modified is when the picture was taken: a
camera that is down keeps its last one.
"""

from __future__ import annotations

from collections.abc import Collection
from http import HTTPStatus
from typing import Protocol

from camfleet_worker.camera.assignment import Assignment
from camfleet_worker.camera.sink_set import SinkSet
from camfleet_worker.endpoints.http_server import Answer
from camfleet_worker.endpoints.probes import Page

JPEG = "image/jpeg"
PREFIX = "/snapshot/"


class Watched(Protocol):
    """A camera that runs."""

    assignment: Assignment

    @property
    def sinks(self) -> SinkSet:
        """Where its last picture lies."""


class Cameras(Protocol):
    """All cameras of the worker."""

    @property
    def supervisors(self) -> Collection[Watched]:
        """Those that run now."""


def snapshot_page(cameras: Cameras, path: str) -> Page | None:
    """The page at a path; None where there is no such camera, or no picture of it yet."""
    name = path.removeprefix(PREFIX)
    if name == path:
        return None
    named = (one for one in cameras.supervisors if one.assignment.camera.name == name)
    camera = next(named, None)
    snapshot = camera.sinks.snapshot if camera is not None else None
    if snapshot is None:
        return None
    return lambda: Answer(HTTPStatus.OK, snapshot.jpeg, JPEG, snapshot.taken_at)
