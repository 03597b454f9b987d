# SPDX-License-Identifier: Apache-2.0
"""Makes all writes to the API server: server-side apply and guarded deletes, within a budget.

Called by `reconcile` and `event_recorder`. Each write takes a token, has a deadline, waits after
429, and is refused here when this process may no longer be the leader. Only a throttled write is
tried again: after any other failure the namespace is planned again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any

from camfleet_base.token_bucket import TokenBucket
from camfleet_operator.cluster.api import APPLY, Api
from camfleet_operator.errors import Conflict, NotFound, NotLeading, Throttled
from camfleet_operator.metrics import FOREIGN_UID, THROTTLE_SECONDS, WRITES
from camfleet_operator.plan.actions import Apply, Delete
from camfleet_operator.resources import EVENTS

log = logging.getLogger(__name__)

ATTEMPTS = 5
"""A write that is throttled more often goes back to the queue, whose backoff is longer."""


class Writer:
    """Writes for the leader."""

    def __init__(
        self,
        api: Api,
        bucket: TokenBucket,
        may_write: Callable[[], bool],
        timeout_s: float,
    ) -> None:
        self._api = api
        self._bucket = bucket
        self._may_write = may_write
        self._timeout_s = timeout_s

    async def apply(self, action: Apply) -> Mapping[str, Any] | None:
        """Apply, and return the object as it is now; None if it is gone or replaced by another.

        Raises ApiError; Conflict only where the action has a resourceVersion.
        """
        path = action.resource.path(action.namespace, action.name, action.subresource)
        query = {"fieldManager": action.manager, "force": "true"}
        try:
            answer = await self._write("PATCH", path, query, action.body, APPLY)
        except NotFound:
            if action.subresource:
                return None  # A status needs its object, whose deletion the watch will report.
            raise
        WRITES.labels(action.resource.kind, action.manager).inc()
        if action.uid and answer["metadata"]["uid"] != action.uid:
            # Deleted and created again while we planned: the status was meant for the other one.
            FOREIGN_UID.labels(action.resource.kind).inc()
            log.warning(
                "status went to a newer object of the same name; it is planned again",
                extra={"kind": action.resource.kind, "object": action.name},
            )
            return None
        # The answer to an apply omits what a list shows; kind and version are not needed.
        return answer

    async def delete(self, action: Delete) -> None:
        """Delete the object with the seen uid; another one of the same name is left alone."""
        body = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": {"uid": action.uid},
            "propagationPolicy": "Background",
        }
        path = action.resource.path(action.namespace, action.name)
        try:
            await self._write("DELETE", path, {}, body, "application/json")
        except (NotFound, Conflict):
            return
        WRITES.labels(action.resource.kind, "delete").inc()

    async def post_event(self, namespace: str, body: Mapping[str, Any]) -> None:
        """Create a Kubernetes Event."""
        await self._write("POST", EVENTS.path(namespace), {}, body, "application/json")
        WRITES.labels(EVENTS.kind, "create").inc()

    async def _write(
        self, method: str, path: str, query: Mapping[str, str], body: Any, content_type: str
    ) -> dict[str, Any]:
        attempt = 0
        while True:
            attempt += 1
            THROTTLE_SECONDS.inc(await self._bucket.take())
            if not self._may_write():
                raise NotLeading(f"{method} {path}")
            try:
                return await self._api.request(
                    method,
                    path,
                    query=query,
                    body=body,
                    content_type=content_type,
                    timeout_s=self._timeout_s,
                )
            except Throttled as error:
                now = asyncio.get_running_loop().time()
                self._bucket.close_until(now + error.retry_after_s)
                if attempt >= ATTEMPTS:
                    raise
