# SPDX-License-Identifier: Apache-2.0
"""Every name that operator, worker, chart and users must agree on."""

GROUP = "camfleet.vnpt.vn"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
CATEGORY = "camfleet"

# Server-side apply field managers. Two for a Camera's status, never one per shard: a manager
# per shard would leave the last shard's fields behind on every move.
OPERATOR_MANAGER = "camfleet-operator"
"""Owns Accepted and Assigned, the assignment, and every object the operator makes."""
RUNTIME_MANAGER = "camfleet-runtime"
"""Owns every other condition; written by the worker, or by the operator when there is none."""

TENANT_CLUSTER_ROLE = "camfleet-tenant"
"""A RoleBinding to this ClusterRole is how a namespace opts in."""

CREDENTIALS_SECRET_TYPE = f"{GROUP}/credentials"
"""The only type of Secret a worker reads: else whoever may write a Camera could have any
Secret of the namespace sent to a host of theirs."""
AUTHORITIES_KEY = "ca.crt"
"""Key of a MonitoringSystem's Secret: certificates in PEM of authorities to trust."""

MANAGED_BY_LABEL = "app.kubernetes.io/managed-by"
MANAGED_BY = "camfleet-operator"
COMPONENT_LABEL = "app.kubernetes.io/component"
WORKER_COMPONENT = "ingest-worker"
SHARD_LABEL = f"{GROUP}/shard"
PLACEMENT_LABEL = f"{GROUP}/placement"
"""Hash of the placement a shard serves; sites of equal placement share workers."""


MAX_CAMERAS_PER_SHARD = 200
