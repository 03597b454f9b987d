# SPDX-License-Identifier: Apache-2.0
"""Checks whether a TCP port answers, and whether by TLS: this separates a service that is off from
a device that is away, and https behind a declared http port from a port without a service."""

from __future__ import annotations

import asyncio
import ssl

from camfleet_api.conditions import Reason
from camfleet_worker.base.errors import IngestError
from camfleet_worker.onvif.transport import connect_error, unreachable


async def port_trouble(host: str, port: int, within_s: float) -> IngestError | None:
    """Connect and close: None when the port is open, else why it cannot be reached."""
    try:
        async with asyncio.timeout(within_s):
            _, writer = await asyncio.open_connection(host, port)
    except TimeoutError:
        return unreachable(Reason.HOST_UNREACHABLE, f"Nothing answers at port {port}")
    except OSError as error:
        return connect_error(error, host, port)
    writer.close()
    return None


async def speaks_tls(host: str, port: int, tls: ssl.SSLContext, within_s: float) -> bool:
    """Whether a TLS handshake succeeds; nothing is sent after it."""
    try:
        async with asyncio.timeout(within_s):
            _, writer = await asyncio.open_connection(host, port, ssl=tls)
    except OSError:  # TimeoutError and SSLError are
        return False
    writer.close()
    return True
