# SPDX-License-Identifier: Apache-2.0
"""Finds the device service when it is not at the declared path.

The resolver calls it at the start of each resolve; a device at its declared path costs nothing.
Only paths are tried and taken from answers: host and port are always the declared ones.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from camfleet_worker.base.errors import IngestError
from camfleet_worker.onvif.device import OnvifDevice
from camfleet_worker.onvif.discovery import ProbeMatch
from camfleet_worker.onvif.media1 import may_be_missing
from camfleet_worker.resolve.addresses import path_and_query

KNOWN_PATHS = ("/onvif/device_service", "/onvif/services", "/onvif/device", "/onvif/service")
"""The path in ONVIF Core and those of makers (quirk 15). A web page costs a request for each."""

MAX_HINTS = 4


@dataclass(frozen=True, slots=True)
class Found:
    """The result of the search: what the device answered first."""

    services: dict[str, str]
    """Path of each service by its namespace."""
    endpoint_hint: str = ""
    """Endpoint reference from a probe, where one was sent."""


Probe = Callable[[], Awaitable[tuple[ProbeMatch, ...]]]


async def find_device(device: OnvifDevice, declared: str, learned: str, probe: Probe) -> Found:
    """Try the learnt path, then the declared one, then those of makers.

    While makers' paths are tried a probe runs; the paths in its answers are tried last. Raises the
    failure at the first path when no path has a device.
    """
    paths = list(dict.fromkeys(path_and_query(path) for path in (learned or declared, declared)))
    failure = None
    for path in paths:
        try:
            return await _at(device, path)
        except IngestError as error:
            failure = failure or _misplaced(error)
    assert failure is not None  # `paths` is not empty
    probing = asyncio.ensure_future(probe())
    try:
        for path in KNOWN_PATHS:
            if path not in paths:
                paths.append(path)
                found = await _perhaps_at(device, path)
                if found is not None:
                    return found
        for match in await probing:
            for path in match.paths[:MAX_HINTS]:
                if path not in paths and len(paths) < len(KNOWN_PATHS) + 2 + MAX_HINTS:
                    paths.append(path)
                    found = await _perhaps_at(device, path, match.endpoint_reference)
                    if found is not None:
                        return found
    finally:
        probing.cancel()
    raise failure


async def _perhaps_at(device: OnvifDevice, path: str, endpoint_hint: str = "") -> Found | None:
    try:
        return await _at(device, path, endpoint_hint)
    except IngestError as error:
        _misplaced(error)
        return None


async def _at(device: OnvifDevice, path: str, endpoint_hint: str = "") -> Found:
    device.path = path
    await device.learn_clock()
    return Found(await device.service_paths(), endpoint_hint)


def _misplaced(error: IngestError) -> IngestError:
    """Return an error that means that a path has no service; raise any other one."""
    if not may_be_missing(error):
        raise error
    return error
