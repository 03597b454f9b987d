# SPDX-License-Identifier: Apache-2.0
"""Sends requests to the API server; they take and return dictionaries, or raise our errors.

Called by `apply`, `election` and `listing`. The client's typed models are not used: they parse
again what we have models for, and cost CPU. Every request carries a deadline.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlencode

import aiohttp
from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.config import load_incluster_config, load_kube_config

from camfleet_operator.errors import (
    ApiError,
    ApiUnavailable,
    Conflict,
    Forbidden,
    NotFound,
    Throttled,
)
from camfleet_operator.metrics import API_REQUESTS, API_SECONDS

APPLY = "application/apply-patch+yaml"  # JSON is YAML; Kubernetes "Server-Side Apply"
DEFAULT_RETRY_AFTER_S = 1.0


class Api(Protocol):
    """The requests of the operator to the API server."""

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = "application/json",
        timeout_s: float,
    ) -> dict[str, Any]:
        """The answer's body. Raises ApiError."""


@dataclass(frozen=True, slots=True)
class Access:
    """How the API server is reached: by a kubeconfig, else by the pod's own account."""

    configuration: Configuration

    @classmethod
    async def load(cls, kubeconfig: str) -> Access:
        """Read the access configuration; `kubeconfig` is a path, empty for the pod's own account.
        The in-cluster token is read again every minute."""
        configuration = Configuration()
        if kubeconfig:
            await load_kube_config(config_file=kubeconfig, client_configuration=configuration)
        else:
            load_incluster_config(client_configuration=configuration)
        return cls(configuration)

    @property
    def server(self) -> str:
        return str(self.configuration.host)

    def ssl_context(self) -> ssl.SSLContext:
        """A separate TLS context, for clients in another event loop."""
        context = ssl.create_default_context(
            cafile=self.configuration.ssl_ca_cert, cadata=self.configuration.ca_cert_data
        )
        if self.configuration.cert_file:
            context.load_cert_chain(self.configuration.cert_file, self.configuration.key_file)
        return context

    async def authorization(self) -> dict[str, str]:
        """The headers that authenticate a request made now."""
        token = await self.configuration.get_api_key_with_prefix("BearerToken")
        return {"Authorization": token} if token else {}


class KubernetesApi:
    """`Api` by `kubernetes.aio`."""

    def __init__(self, access: Access, client: ApiClient) -> None:
        self._access = access
        self._client = client

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = "application/json",
        timeout_s: float,
    ) -> dict[str, Any]:
        url = self._access.server + path + (f"?{urlencode(query)}" if query else "")
        began = time.monotonic()
        status = 0
        try:
            headers = {"Content-Type": content_type, "Accept": "application/json"}
            headers |= await self._access.authorization()
            # The client's own deadline stops at the headers; a body may hang too.
            async with asyncio.timeout(timeout_s):
                response = await self._client.rest_client.request(
                    method, url, headers=headers, body=body, _request_timeout=timeout_s
                )
                status = response.status
                data = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ApiUnavailable(0, type(error).__name__, f"{method} {path}") from error
        finally:
            resource = _resource(path)
            API_REQUESTS.labels(method, resource, str(status)).inc()
            API_SECONDS.labels(method, resource).observe(time.monotonic() - began)
        if 200 <= status < 300:
            answer = json.loads(data)
            return answer if isinstance(answer, dict) else {}
        raise _error(status, data, response.headers, f"{method} {path}")


@asynccontextmanager
async def open_api(access: Access, connections: int = 32) -> AsyncIterator[KubernetesApi]:
    """A client for the current event loop. Watches have connections of their own (kopf's)."""
    access.configuration.connection_pool_maxsize = connections
    access.configuration.retries = None
    async with ApiClient(configuration=access.configuration) as client:
        yield KubernetesApi(access, client)


def _resource(path: str) -> str:
    """The plural (and subresource) of a path, a label of few values."""
    steps = path.split("/")[3 if path.startswith("/api/") else 4 :]
    if steps[:1] == ["namespaces"] and len(steps) > 2:
        steps = steps[2:]
    return "/".join(steps[::2])


def _error(status: int, data: bytes, headers: Mapping[str, str], what: str) -> ApiError:
    reason, message = _explanation(data)
    message = f"{what}: {message}"
    if status == 429:
        return Throttled(message, _retry_after_s(headers))
    if status >= 500:
        return ApiUnavailable(status, reason, message)
    leaf: dict[int, type[ApiError]] = {403: Forbidden, 404: NotFound, 409: Conflict}
    return leaf.get(status, ApiError)(status, reason, message)


def _explanation(data: bytes) -> tuple[str, str]:
    """Reason and message of a Kubernetes Status, shortened."""
    try:
        status = json.loads(data)
    except ValueError:
        return "Unknown", "answer is no JSON"
    return str(status.get("reason", "Unknown")), str(status.get("message", ""))[:500]


def _retry_after_s(headers: Mapping[str, str]) -> float:
    try:
        return max(0.0, float(headers.get("Retry-After", DEFAULT_RETRY_AFTER_S)))
    except ValueError:
        return DEFAULT_RETRY_AFTER_S
