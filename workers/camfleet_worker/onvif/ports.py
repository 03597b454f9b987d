# SPDX-License-Identifier: Apache-2.0
"""Whether a TCP port answers, to tell a camera with one service off from one that is away."""

from __future__ import annotations

import asyncio

from camfleet_api.conditions import Reason
from camfleet_worker.errors import IngestError
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
