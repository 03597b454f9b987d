"""A real Kubernetes on one Debian machine, for tests and the demo; no Docker, no registry. See DESIGN.md."""

from local_cluster.cluster import Cluster
from local_cluster.errors import ClusterError

__all__ = ["Cluster", "ClusterError"]
