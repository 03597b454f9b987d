# SPDX-License-Identifier: Apache-2.0
"""Plan is data: what to write and why, in the order it must happen. `reconcile` carries it out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from camfleet_api.names import OPERATOR_MANAGER
from camfleet_operator.resources import Resource


class Phase(IntEnum):
    """Actions of a phase run side by side, phases one after the other."""

    ROOT = 0
    """New Deployments, without a pod yet: their uid owns the rest."""
    RIGHTS = 1
    """ServiceAccounts, Roles, RoleBindings, Leases: a worker's rights come before its work."""
    WORK = 2
    """IngestShards."""
    PODS = 3
    """Deployments that exist: their pods need a ServiceAccount, or the first one is refused."""
    RUNTIME_STATUS = 4
    """Before STATUS: these carry a resourceVersion, which our own next write would make old."""
    STATUS = 5
    REMOVAL = 6


@dataclass(frozen=True, slots=True)
class Apply:
    """Server-side apply of a whole set of fields."""

    phase: Phase
    resource: Resource
    namespace: str
    name: str
    body: Mapping[str, Any]
    because: str
    shard: str = ""
    """When an action of a shard fails, the shard's later phases are left for the next round."""
    manager: str = OPERATOR_MANAGER
    subresource: str = ""
    uid: str = ""
    """The object meant. A status apply with another uid is accepted by the API server, so the
    answer's uid is compared."""
    every_s: float = 0.0
    """Written at most once in this time."""


@dataclass(frozen=True, slots=True)
class Delete:
    """Deletion of exactly the object that was seen."""

    phase: Phase
    resource: Resource
    namespace: str
    name: str
    uid: str
    because: str
    shard: str = ""


Action = Apply | Delete


@dataclass(frozen=True, slots=True)
class NamespaceFigures:
    """What the latest plan of a namespace counted."""

    cameras: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """By status and reason of Ready."""
    shard_cameras: Mapping[str, int] = field(default_factory=dict)
    incidents: int = 0
    """Sites that are unreachable as a whole."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything to do for one namespace now."""

    actions: tuple[Action, ...] = ()
    recheck_s: float | None = None
    """When time alone changes the answer; None if only events do."""
    figures: NamespaceFigures = field(default_factory=NamespaceFigures)
    moves: int = 0
