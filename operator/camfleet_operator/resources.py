# SPDX-License-Identifier: Apache-2.0
"""The kinds that the operator watches and writes, with their API paths. Pure data."""

from __future__ import annotations

from dataclasses import dataclass

from camfleet_api.camera import CAMERA
from camfleet_api.ingest_shard import INGEST_SHARD
from camfleet_api.kind import Kind
from camfleet_api.monitoring_system import MONITORING_SYSTEM
from camfleet_api.names import GROUP, MANAGED_BY, MANAGED_BY_LABEL, VERSION
from camfleet_api.site import SITE
from camfleet_api.technical_profile import TECHNICAL_PROFILE

OURS = f"{MANAGED_BY_LABEL}={MANAGED_BY}"


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind as the API server serves it."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True
    selector: str = ""
    """Label selector of our watch and list, so that objects of others are not read."""

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def root(self) -> str:
        """Path of the API group and version."""
        return f"/apis/{self.api_version}" if self.group else f"/api/{self.version}"

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """Path of a collection, an object or a subresource."""
        steps = [self.root]
        if namespace:
            steps += ["namespaces", namespace]
        steps += [step for step in (self.plural, name, subresource) if step]
        return "/".join(steps)


def _ours(kind: Kind) -> Resource:
    return Resource(GROUP, VERSION, kind.plural, kind.name, kind.namespaced)


CAMERAS = _ours(CAMERA)
SITES = _ours(SITE)
PROFILES = _ours(TECHNICAL_PROFILE)
SYSTEMS = _ours(MONITORING_SYSTEM)
SHARDS = _ours(INGEST_SHARD)
DEPLOYMENTS = Resource("apps", "v1", "deployments", "Deployment", selector=OURS)
SERVICE_ACCOUNTS = Resource("", "v1", "serviceaccounts", "ServiceAccount", selector=OURS)
ROLES = Resource("rbac.authorization.k8s.io", "v1", "roles", "Role", selector=OURS)
# Without a selector: a province's own RoleBinding, by which it opts in, bears no label of ours.
ROLE_BINDINGS = Resource("rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding")
LEASES = Resource("coordination.k8s.io", "v1", "leases", "Lease", selector=OURS)
NAMESPACES = Resource("", "v1", "namespaces", "Namespace", namespaced=False)
EVENTS = Resource("", "v1", "events", "Event")

CUSTOM = (CAMERAS, SITES, PROFILES, SYSTEMS, SHARDS)
WATCHED = (
    *CUSTOM,
    DEPLOYMENTS,
    SERVICE_ACCOUNTS,
    ROLES,
    ROLE_BINDINGS,
    LEASES,
    NAMESPACES,
)
