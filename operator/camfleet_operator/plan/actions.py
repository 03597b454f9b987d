# SPDX-License-Identifier: Apache-2.0
"""A plan as data: the writes in their order. `reconcile` carries it out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from camfleet_api.names import OPERATOR_MANAGER
from camfleet_operator.resources import Resource


class Phase(IntEnum):
    """Actions of one phase run in parallel, phases one after the other."""

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
    """The shard; when an action of it fails, its later phases wait for the next plan."""
    manager: str = OPERATOR_MANAGER
    subresource: str = ""
    uid: str = ""
    """The uid of the object. The API server accepts a status apply with another uid, so the uid in
    the answer is compared."""
    every_s: float = 0.0
    """The object is written at most once in this time."""


@dataclass(frozen=True, slots=True)
class Delete:
    """Deletion of the object with the seen uid."""

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
    """The counts of the latest plan of a namespace."""

    cameras: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """How many cameras, by status and reason of Ready."""
    shard_cameras: Mapping[str, int] = field(default_factory=dict)
    incidents: int = 0
    """Sites that are unreachable as a whole."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything to do for one namespace now."""

    actions: tuple[Action, ...] = ()
    recheck_s: float | None = None
    """The seconds after which time alone changes the plan; None if only events do."""
    figures: NamespaceFigures = field(default_factory=NamespaceFigures)
    moves: int = 0
