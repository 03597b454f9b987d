# SPDX-License-Identifier: Apache-2.0
"""One ONVIF device: calls to it, its clock and its services.

The resolver makes one for each resolve. identity.py asks what the device is, media1.py and
media2.py ask for its streams, and device_path.py finds the path of its device service.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from email.utils import parsedate_to_datetime
from typing import Any, Protocol

from camfleet_api.conditions import ConditionType, Reason
from camfleet_worker.base.errors import IngestError, Quotation, Retry
from camfleet_worker.login.credentials import Credentials
from camfleet_worker.onvif import wsdl
from camfleet_worker.onvif.answer_cache import CachedCall
from camfleet_worker.onvif.envelope import Operation, SoapAnswer, SoapCodec
from camfleet_worker.onvif.login import Call, Login
from camfleet_worker.onvif.mended_xml import Mend
from camfleet_worker.onvif.soap_version import SoapVersion
from camfleet_worker.onvif.transport import protocol_error
from camfleet_worker.resolve.addresses import MAX_PATH, hidden, path_and_query
from camfleet_worker.resolve.attempts import AuthScheme
from camfleet_worker.resolve.clock import (
    ClockReading,
    differs,
    offsets_to_sign_with,
    stepped_s,
    utc_epoch,
)
from camfleet_worker.resolve.profiles import Offer
from camfleet_worker.resolve.refusal import Fault, refusal_of
from camfleet_worker.resolve.text import printable

MAX_NUMBER = 65535
"""Limit of status.learned.width and height; enough for every number that we read."""

HALF_A_SECOND = 0.5
"""Cameras send whole seconds, rounded down: on average their clock is this much ahead of that."""


NoteMends = Callable[[str, frozenset[Mend]], None]
"""Called with an operation and what had to be mended in its answer."""


class MediaService(Protocol):
    """The calls that Media1 and Media2 have in common."""

    version: str
    path: str

    async def offer(self) -> Offer:
        """Video sources and media profiles, in the device's order."""

    async def stream_address(self, profile_token: str) -> str:
        """The address of a profile's stream over RTSP, as the device names it."""


class FaultAnswered(IngestError):
    """The device answered an operation with a SOAP fault that is no refusal."""

    def __init__(self, operation: Operation, fault: Fault) -> None:
        words = printable(fault.text) or printable(" ".join(fault.codes))
        super().__init__(
            ConditionType.ELIGIBLE,
            Reason.PROTOCOL_ERROR,
            (
                f"The camera answers {operation.name} with a fault (",
                Quotation(words) if words else "without words",
                ")",
            ),
        )
        self.fault = fault


class NotOnvif(IngestError):
    """What answers at this path is no ONVIF service, but a web page or an error of HTTP."""

    def __init__(self, port: int, answer: SoapAnswer) -> None:
        kind = printable(answer.http.content_type.partition(";")[0], 40)
        server = printable(answer.http.server, 40)
        seen = ", ".join(part for part in (kind, server) if part)
        super().__init__(
            ConditionType.ELIGIBLE,
            Reason.NOT_ONVIF,
            (
                f"Port {port} answers with HTTP {answer.http.status}",
                *((" (", Quotation(seen), ")") if seen else ()),
                " and not by ONVIF",
            ),
            Retry.SLOW,
        )


class OnvifDevice:
    """Makes calls to one device, one at a time: cameras crash when calls overlap."""

    def __init__(
        self,
        login: Login,
        codec: SoapCodec,
        cached_call: CachedCall,
        device_path: str,
        port: int,
        now: Callable[[], float],
        learnt_offset_s: float | None = None,
        note_mends: NoteMends = lambda operation, mends: None,
    ) -> None:
        self._note_mends = note_mends
        self._cached_call = cached_call
        self._login = login
        self._login.other_offset = self._other_offset
        self._learnt_offset_s = learnt_offset_s
        self._reading = ClockReading()
        self._codec = codec
        self.path = path_and_query(device_path)
        """Path of the device service; device_path.py changes it when it finds another."""
        self._port = port
        self._now = now

    async def call(
        self, namespace: str, path: str, name: str, *, dispensable: bool = False, **arguments: Any
    ) -> Any:
        """The result of an operation; raises FaultAnswered or another IngestError.

        A `dispensable` operation spends no login attempt: a refusal is then read as its answer.
        """
        operation = Operation(namespace, name)
        call = Call(path, operation, arguments)
        send = self._login.send_as_proven if dispensable else self._login.send
        answer = await self._cached_call((path, namespace, name), lambda: send(call))
        return await self._read(operation, answer)

    @property
    def soap_version(self) -> str:
        """The version of SOAP at its device service, "" for the one that is asked first."""
        version = self._login.versions.at(self.path)
        return "" if version is SoapVersion.V1_2 else version.value

    async def learn_clock(self) -> None:
        """Ask for the camera's time, with which logins are signed from now on.

        This is the first call to every device: ONVIF Core requires no login for
        GetSystemDateAndTime. A device that requires one may still send a Date header.
        """
        self._reading = await self._clock()
        offsets = offsets_to_sign_with(self._reading, self._learnt_offset_s)
        self._login.offset_s = offsets[0] if offsets else None

    async def clock_offset(self) -> float | None:
        """Camera's clock minus ours in seconds; asked once more where the device reports its time
        only after a login."""
        if self._login.offset_s is not None or self._login.scheme is AuthScheme.NONE:
            return self._login.offset_s
        # A signature that was taken shows that the clocks are the same.
        taken_s = 0.0 if self._login.scheme is AuthScheme.USERNAME_TOKEN else None
        try:
            reading = await self._clock(self._login.send_as_proven)
        except IngestError:  # no stream waits for the camera's time
            return None
        offsets = [] if reading == ClockReading() else offsets_to_sign_with(reading, taken_s)
        return offsets[0] if offsets else None

    async def _other_offset(self, refused_s: float | None) -> float | None:
        """Another offset to sign with after a refused signature: the clock may have stepped or,
        where no signature was ever accepted, its UTC field may hold local time."""
        before, self._reading = self._reading, await self._clock()
        step_s = stepped_s(before, self._reading)
        if step_s:
            return (refused_s or 0.0) + step_s
        if self._login.scheme is AuthScheme.USERNAME_TOKEN:
            return None
        offsets = offsets_to_sign_with(self._reading, self._learnt_offset_s)
        return next((s for s in offsets if differs(s, refused_s or 0.0)), None)

    async def _clock(
        self, send: Callable[[Call], Awaitable[SoapAnswer]] | None = None
    ) -> ClockReading:
        operation = Operation(wsdl.DEVICE, "GetSystemDateAndTime")
        before = self._now()
        answer = await (send or self._login.send_anonymous)(Call(self.path, operation, {}))
        our_time = (before + self._now()) / 2
        if answer.document is None and not _refused(answer):
            raise NotOnvif(self._port, answer)
        result = None
        if answer.document is not None and answer.fault is None:
            result = await self._result(operation, answer)

        def offset(camera_s: float | None) -> float | None:
            return None if camera_s is None else camera_s + HALF_A_SECOND - our_time

        return ClockReading(
            utc_s=offset(_date_time(field(result, "UTCDateTime"))),
            date_s=offset(_http_date(answer)),
            local_s=offset(_date_time(field(result, "LocalDateTime"))),
        )

    async def service_paths(self) -> dict[str, str]:
        """Path of each service by its namespace; old firmware only has GetCapabilities."""
        try:
            services = await self.call(
                wsdl.DEVICE, self.path, "GetServices", IncludeCapability=False
            )
        except FaultAnswered:
            return await self._capability_paths()
        found = {}
        for service in items(services):
            address, namespace = text(service, "XAddr"), text(service, "Namespace")
            if address and namespace:
                found[namespace] = path_and_query(address)
        return found or await self._capability_paths()

    async def _capability_paths(self) -> dict[str, str]:
        capabilities = await self.call(wsdl.DEVICE, self.path, "GetCapabilities", Category=["All"])
        address = text(capabilities, "Media", "XAddr")
        return {wsdl.MEDIA1: path_and_query(address)} if address else {}

    async def _read(self, operation: Operation, answer: SoapAnswer) -> Any:
        if answer.document is None:
            raise NotOnvif(self._port, answer)
        if answer.fault is not None:
            if answer.mends:
                self._note_mends(operation.name, answer.mends)
            raise FaultAnswered(operation, answer.fault)
        return await self._result(operation, answer)

    async def _result(self, operation: Operation, answer: SoapAnswer) -> Any:
        result, mends = await self._codec.read(operation, answer)
        if mends:
            self._note_mends(operation.name, mends)
        return result


def checked_stream_path(address: str, credentials: Credentials | None) -> str:
    """Path and query of a stream's address, as status may hold it; ProtocolError without one."""
    path = hidden(path_and_query(address), credentials)
    if not address.strip() or len(path) > MAX_PATH:
        raise protocol_error("The camera names no usable address for its stream")
    return path


def _refused(answer: SoapAnswer) -> bool:
    return refusal_of(answer.http.status, answer.http.challenges, None) is not None


def _http_date(answer: SoapAnswer) -> float | None:
    """The time in the Date header (RFC 9110 section 6.6.1), exact to a second."""
    try:
        return parsedate_to_datetime(answer.http.date).timestamp()
    except ValueError:
        return None


def _date_time(value: Any) -> float | None:
    """A DateTime of ONVIF's schema in seconds since 1970, read as UTC."""
    return utc_epoch(
        whole(value, "Date", "Year"),
        whole(value, "Date", "Month"),
        whole(value, "Date", "Day"),
        whole(value, "Time", "Hour"),
        whole(value, "Time", "Minute"),
        whole(value, "Time", "Second"),
    )


def field(value: Any, *names: str) -> Any:
    """A nested element of a zeep result, None where an element on the way is missing."""
    for name in names:
        value = getattr(value, name, None)
    return value


def text(value: Any, *names: str) -> str:
    """A nested element as text, "" where it is missing or no text."""
    found = field(value, *names)
    return found if isinstance(found, str) else ""


def whole(value: Any, *names: str) -> int:
    """A nested element as a whole number that status can hold, 0 where it is missing."""
    found = field(value, *names)
    if not isinstance(found, int | float) or not math.isfinite(found):
        return 0
    return min(max(round(found), 0), MAX_NUMBER)


def items(value: Any) -> list[Any]:
    """A repeated element as a list, empty where zeep did not understand it."""
    return value if isinstance(value, list) else []
