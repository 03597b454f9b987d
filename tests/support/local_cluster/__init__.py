# SPDX-License-Identifier: Apache-2.0
"""A real Kubernetes on one Debian machine, for tests and the demo; no Docker, no registry. See
DESIGN.md.
"""

from local_cluster.cluster import Cluster
from local_cluster.errors import ClusterError
from local_cluster.image_build import build_image
from local_cluster.image_store import Image

__all__ = ["Cluster", "ClusterError", "Image", "build_image"]
