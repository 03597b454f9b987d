# SPDX-License-Identifier: Apache-2.0
"""The API server's address and our account: service account in a pod, kubeconfig elsewhere."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import Self

from kubernetes.aio import client, config

REQUEST_TIMEOUT_S = 10.0


class Connection:
    """Two clients of the API server: one for requests, one for watches.

    A watch holds its connection for minutes. The client's pool has 100 connections and the next
    request waits without end when it is full, so watches have a pool of their own, unbounded.
    """

    def __init__(self, requests: client.ApiClient, watches: client.ApiClient) -> None:
        self.requests = requests
        self.watches = watches

    @classmethod
    async def open(cls, kubeconfig: Path | None) -> Self:
        """Read the configuration; no request is made yet."""
        return cls(
            client.ApiClient(await _configuration(kubeconfig, pool=20)),
            client.ApiClient(await _configuration(kubeconfig, pool=0)),
        )

    async def close(self) -> None:
        """Close every connection, watches included."""
        await self.watches.close()
        await self.requests.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()


async def _configuration(kubeconfig: Path | None, pool: int) -> client.Configuration:
    configuration = client.Configuration()
    configuration.connection_pool_maxsize = pool  # aiohttp: 0 is no limit
    if "KUBERNETES_SERVICE_HOST" in os.environ:
        config.load_incluster_config(client_configuration=configuration)
    else:
        await config.load_kube_config(
            config_file=str(kubeconfig) if kubeconfig else None,
            client_configuration=configuration,
        )
    return configuration
