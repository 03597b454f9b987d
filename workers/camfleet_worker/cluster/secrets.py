# SPDX-License-Identifier: Apache-2.0
"""Listing and watching Secrets without the client's class for the core API.

That class has a method for each verb of each core kind with three variants each, and loading it
costs a worker 24 MB, mostly docstrings (measured: 65 MB before, 90 after); of its hundreds of
methods a worker needs one. The request is still the client's: address, TLS, token and its renewal.
"""

from __future__ import annotations

from typing import Any

from kubernetes.aio.client import ApiClient


async def list_secrets(
    api: ApiClient,
    namespace: str,
    *,
    field_selector: str,
    resource_version: str | None = None,
    watch: bool = False,
    allow_watch_bookmarks: bool = False,
    timeout_seconds: int | None = None,
    _request_timeout: float | None = None,
) -> Any:
    """GET /api/v1/namespaces/{namespace}/secrets; the HTTP response, its body not yet read.

    The options are those of a list or watch request (Kubernetes API concepts, "Efficient detection
    of changes"), named as the client names them.
    """
    options = {
        "allowWatchBookmarks": "true" if allow_watch_bookmarks else None,
        "fieldSelector": field_selector,
        "resourceVersion": resource_version,
        "timeoutSeconds": timeout_seconds,
        "watch": "true" if watch else None,
    }
    request = await api.param_serialize(
        method="GET",
        resource_path="/api/v1/namespaces/{namespace}/secrets",
        path_params={"namespace": namespace},
        query_params=[(name, value) for name, value in options.items() if value is not None],
        header_params={"Accept": "application/json"},
        auth_settings=["BearerToken"],
    )
    answer = await api.call_api(*request, _request_timeout=_request_timeout, _preload_content=False)
    return answer.response
