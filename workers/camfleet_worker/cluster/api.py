# SPDX-License-Identifier: Apache-2.0
"""Every request that a worker makes, in our words. The reporter, the app and the tests call it.

All of them go to objects whose names stand in the worker's Role; each has a deadline; each
failure is a ClusterError.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from functools import partial
from typing import Any, cast

from kubernetes.aio import client

from camfleet_api.camera import CAMERA
from camfleet_api.ingest_shard import INGEST_SHARD
from camfleet_api.names import API_VERSION, GROUP, RUNTIME_MANAGER, VERSION
from camfleet_worker.cluster.connection import REQUEST_TIMEOUT_S, Connection
from camfleet_worker.cluster.errors import ClusterError, Trouble, cluster_errors
from camfleet_worker.cluster.object_watch import KubernetesObject, ObjectWatch
from camfleet_worker.cluster.secrets import list_secrets

APPLY = "application/apply-patch+yaml"


class Cluster:
    """The worker's view of the API server: one namespace, a handful of names."""

    def __init__(self, connection: Connection, namespace: str) -> None:
        self.namespace = namespace
        self._custom = client.CustomObjectsApi(connection.requests)
        self._leases = client.CoordinationV1Api(connection.requests)
        self._watched_custom = client.CustomObjectsApi(connection.watches)
        self._watches = connection.watches

    def shard(self, name: str) -> AsyncIterator[KubernetesObject | None]:
        """The IngestShard at every change; None while there is none."""
        call = partial(
            self._watched_custom.list_namespaced_custom_object_without_preload_content,
            GROUP,
            VERSION,
            self.namespace,
            INGEST_SHARD.plural,
        )
        return ObjectWatch(call, name, f"ingestshard {name}").objects()

    def secret(self, name: str) -> AsyncIterator[KubernetesObject | None]:
        """A Secret at every change; None while there is none."""
        call = partial(list_secrets, self._watches, self.namespace)
        return ObjectWatch(call, name, f"secret {name}").objects()

    async def camera(self, name: str) -> KubernetesObject | None:
        """The Camera, or None when there is none."""
        try:
            with cluster_errors(f"get camera {name}"):
                found = await self._custom.get_namespaced_custom_object(
                    GROUP,
                    VERSION,
                    self.namespace,
                    CAMERA.plural,
                    name,
                    _request_timeout=REQUEST_TIMEOUT_S,
                )
        except ClusterError as error:
            if error.trouble is Trouble.NOT_FOUND:
                return None
            raise
        return cast(KubernetesObject, found)

    async def apply_camera_status(self, name: str, status: dict[str, Any]) -> KubernetesObject:
        """Server-side apply of a Camera's status as camfleet-runtime, taking fields over."""
        return await self._apply_status(CAMERA.name, CAMERA.plural, name, status)

    async def apply_shard_status(self, name: str, status: dict[str, Any]) -> KubernetesObject:
        """Server-side apply of the shard's status: the acknowledgement."""
        return await self._apply_status(INGEST_SHARD.name, INGEST_SHARD.plural, name, status)

    async def _apply_status(
        self, kind: str, plural: str, name: str, status: dict[str, Any]
    ) -> KubernetesObject:
        body = {
            "apiVersion": API_VERSION,
            "kind": kind,
            "metadata": {"name": name, "namespace": self.namespace},
            "status": status,
        }
        with cluster_errors(f"apply status of {kind} {name}"):
            answer = await self._custom.patch_namespaced_custom_object_status(
                GROUP,
                VERSION,
                self.namespace,
                plural,
                name,
                body,
                field_manager=RUNTIME_MANAGER,
                force=True,
                _content_type=APPLY,
                _request_timeout=REQUEST_TIMEOUT_S,
            )
        return cast(KubernetesObject, answer)

    async def renew_lease(self, name: str, holder: str, now: datetime) -> datetime | None:
        """Write that `holder` lives; when it was renewed before, if ever.

        The operator has made the Lease and watches it.

        Read before every write: a conflict then means that somebody wrote within milliseconds,
        and the next renewal is soon enough.
        """
        with cluster_errors(f"renew lease {name}"):
            lease = await self._leases.read_namespaced_lease(
                name, self.namespace, _request_timeout=REQUEST_TIMEOUT_S
            )
            if lease.spec is None:
                lease.spec = client.V1LeaseSpec()
            if lease.spec.holder_identity != holder:
                lease.spec.acquire_time = _micro_time(now)
                lease.spec.lease_transitions = (lease.spec.lease_transitions or 0) + 1
                lease.spec.holder_identity = holder
            before: datetime | None = lease.spec.renew_time
            lease.spec.renew_time = _micro_time(now)
            await self._leases.replace_namespaced_lease(
                name, self.namespace, lease, _request_timeout=REQUEST_TIMEOUT_S
            )
        return before


def _micro_time(moment: datetime) -> datetime:
    """A moment that the client writes with six digits of fraction.

    metav1.MicroTime takes nothing less (HTTP 400), and the client's isoformat leaves a fraction of
    zero out.
    """
    return moment if moment.microsecond else moment.replace(microsecond=1)
