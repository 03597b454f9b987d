# SPDX-License-Identifier: Apache-2.0
"""Whether a TCP port answers, and whether by TLS: to tell services that are off from a camera that
is away, and https behind an http address from a port with nothing behind it."""

from __future__ import annotations

import asyncio
import ssl

from camfleet_api.conditions import Reason
from camfleet_worker.base.errors import IngestError
from camfleet_worker.onvif.transport import connect_error, unreachable


async def port_trouble(host: str, port: int, within_s: float) -> IngestError | None:
    """Connect and hang up: None when the port is open, else what is the matter with it."""
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
    """Shake hands by TLS, say nothing and hang up."""
    try:
        async with asyncio.timeout(within_s):
            _, writer = await asyncio.open_connection(host, port, ssl=tls)
    except OSError:  # TimeoutError and SSLError are
        return False
    writer.close()
    return True
