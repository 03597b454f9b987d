# SPDX-License-Identifier: Apache-2.0
"""Chooses the media service that is asked for the stream: Media2 first, Media1 otherwise.

Called by the resolver. Media1 has no name for H.265, and devices hide it there or call it H.264.
The Media2 of early firmware is announced but faults, is missing or is empty (quirks 16, 17).
"""

from __future__ import annotations

from dataclasses import dataclass

from camfleet_api.conditions import REASONS, ConditionType, Effect, Reason
from camfleet_worker.base.errors import IngestError, Retry
from camfleet_worker.onvif import wsdl
from camfleet_worker.onvif.device import FaultAnswered, MediaService, OnvifDevice
from camfleet_worker.onvif.media1 import Media1
from camfleet_worker.onvif.media2 import Media2
from camfleet_worker.resolve.profiles import Choice, OtherCodecsOnly, pick_stream
from camfleet_worker.resolve.request import ResolveRequest


@dataclass(frozen=True, slots=True)
class OfferedStream:
    """The stream that was picked, the service that offers it, and its address there."""

    media: MediaService
    choice: Choice
    address: str


async def offered_stream(
    device: OnvifDevice, paths: dict[str, str], request: ResolveRequest
) -> OfferedStream:
    """The stream for the request; IngestError when no media service of the device has it."""
    services = _services(device, paths)
    failures = []
    for service in services:
        try:
            return await _ask(service, request)
        except IngestError as error:
            if not _of_the_service(error):
                raise
            failures.append(error)
    raise _most_telling(failures)


async def _ask(media: MediaService, request: ResolveRequest) -> OfferedStream:
    choice = await _choice(media, request)
    try:
        return OfferedStream(media, choice, await media.stream_address(choice.profile.token))
    except FaultAnswered:
        # Profiles that were listed for somebody else may have other tokens by now.
        again = await _choice(media, request)
        if again.profile.token == choice.profile.token:
            raise
    return OfferedStream(media, again, await media.stream_address(again.profile.token))


async def _choice(media: MediaService, request: ResolveRequest) -> Choice:
    offer = await media.offer()
    return pick_stream(offer, request.source, request.limits, request.role, request.learned)


def _services(device: OnvifDevice, paths: dict[str, str]) -> list[MediaService]:
    media1 = Media1(device, paths[wsdl.MEDIA1]) if wsdl.MEDIA1 in paths else None
    services: list[MediaService] = []
    if wsdl.MEDIA2 in paths:
        services.append(Media2(device, paths[wsdl.MEDIA2], media1))
    if media1 is not None:
        services.append(media1)
    if not services:
        raise IngestError(
            ConditionType.ELIGIBLE,
            Reason.NO_ALLOWED_STREAM,
            "The device names no media service",
            Retry.SLOW,
        )
    return services


def _of_the_service(error: IngestError) -> bool:
    """Whether the other media service may have the stream.

    It may not where a service has streams of other codecs only: Media1 would call them H.264.
    """
    return error.condition is ConditionType.ELIGIBLE and not isinstance(error, OtherCodecsOnly)


def _most_telling(failures: list[IngestError]) -> IngestError:
    """The failure that names what the camera lacks, else that of a service."""
    telling = (one for one in failures if REASONS[one.reason].has(Effect.NAMES_WHAT_LACKS))
    return next(telling, failures[-1])
