# SPDX-License-Identifier: Apache-2.0
"""The web port of a camera: authentication, the device service (ONVIF Core §8), and the way to
media1,
media2 and events.

Called with each HTTP request. Which operations need no login follows ONVIF Core's access classes
(§5.9.4.3, PRE_AUTH). Credentials sent along with a PRE_AUTH operation are not looked at.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Protocol
from xml.sax.saxutils import escape

from camera_simulator.authentication import Doorkeeper
from camera_simulator.clips import Clip
from camera_simulator.counters import Counters, Verdict
from camera_simulator.http_server import Request, Response
from camera_simulator.onvif import events, media1, media2, soap
from camera_simulator.onvif.place import (
    EVENTS_PATH,
    MEDIA2_PATH,
    MEDIA_PATH,
    SNAPSHOT_PATH,
    Place,
)
from camera_simulator.onvif.profiles import NoSuchProfile, profiles
from camera_simulator.settings import CameraSettings

DEFAULT_PATH = "/onvif/device_service"
_OF_THE_DEFAULT_PATH = ("GetSystemDateAndTime", "GetServices")
"""What some firmware answers there although its device service stands elsewhere."""

_PRE_AUTH = {
    "GetSystemDateAndTime",
    "GetCapabilities",
    "GetServices",
    "GetServiceCapabilities",
    "GetHostname",
    "GetEndpointReference",
    "GetWsdlUrl",
}


class OnvifState(Protocol):
    """What the device needs to know of its camera."""

    @property
    def effective(self) -> CameraSettings: ...
    @property
    def counters(self) -> Counters: ...
    @property
    def doorkeeper(self) -> Doorkeeper: ...
    @property
    def onvif_port(self) -> int: ...
    @property
    def rtsp_port(self) -> int: ...
    @property
    def clips(self) -> dict[str, Clip]: ...
    def camera_now(self) -> datetime: ...
    def place(self, local_host: str = "") -> Place: ...
    def monotonic_s(self) -> float: ...


def answer(request: Request, camera: OnvifState) -> Response:
    """One HTTP request at the web port."""
    settings = camera.effective
    if settings.web == "page":
        return Response(200, _WEB_PAGE, "text/html")
    if settings.web == "not-found":
        return Response(404, b"<html><body>404 Not Found</body></html>", "text/html")
    if request.path == SNAPSHOT_PATH and request.method == "GET":
        camera.counters.onvif_requests["GET snapshot"] += 1
        return _snapshot(request, camera)
    if not _served(request.path, settings):
        return _nothing_here(request.path, settings)
    misunderstood = _not_in_its_version(request, settings)
    if misunderstood is not None:
        return misunderstood
    old = settings.soap_version != "1.2"
    try:
        call = soap.read_call(soap.from_1_1(request.body) if old else request.body)
    except soap.NotSoap as error:
        return _fault(400, "Sender", ("WellFormed",), str(error))
    camera.counters.onvif_requests[call.operation] += 1
    moved = request.path == DEFAULT_PATH != settings.device_path
    if moved and call.operation not in _OF_THE_DEFAULT_PATH:
        return _nothing_here(request.path, settings)
    response = _refusal(request, call, camera) or _dispatch(request, call, camera)
    written = _as_shaped(_as_written(response, settings), call, settings)
    return _dated(_in_its_version(written, settings), camera)


def _not_in_its_version(request: Request, settings: CameraSettings) -> Response | None:
    """What a device that reads SOAP 1.1 alone answers to anything else."""
    if settings.soap_version in ("1.2", "1.1-answers"):
        return None
    headers = request.headers
    kind, action = headers.get("content-type", ""), headers.get("soapaction")
    if soap.is_in_1_1(kind, action, request.body):
        return None
    if settings.soap_version == "1.1-fault":
        body = soap.fault("VersionMismatch", (), "SOAP version mismatch or invalid SOAP message")
        return Response(500, soap.to_1_1(body), soap.CONTENT_TYPE11)
    status = int(settings.soap_version.removeprefix("1.1-"))
    return Response(status, b"<html><body>Error</body></html>", "text/html")


def _in_its_version(response: Response, settings: CameraSettings) -> Response:
    """The answer in the version of SOAP that the camera writes; a fault has status 500 (§6.2)."""
    if settings.soap_version == "1.2" or response.content_type != soap.CONTENT_TYPE:
        return response
    kind = soap.CONTENT_TYPE if settings.soap_version == "1.1-answers" else soap.CONTENT_TYPE11
    status = 500 if response.status == 400 else response.status
    body = soap.to_1_1(response.body)
    return dataclasses.replace(response, status=status, body=body, content_type=kind)


def _as_shaped(response: Response, call: soap.Call, settings: CameraSettings) -> Response:
    """The answer with its elements where the camera puts them."""
    body = response.body
    if settings.soap_shape == "service-namespace":
        prefix = {soap.MEDIA: b"trt:", soap.MEDIA2: b"tr2:"}.get(call.namespace, b"tds:")
        body = body.replace(b"<tt:", b"<" + prefix).replace(b"</tt:", b"</" + prefix)
    elif settings.soap_shape == "uri-without-wrapper":
        body = body.replace(b"<trt:MediaUri>", b"").replace(b"</trt:MediaUri>", b"")
    elif settings.soap_shape == "wrapped-uri":
        body = body.replace(b"<tr2:Uri>", b"<tr2:MediaUri><tr2:Uri>")
        body = body.replace(b"</tr2:Uri>", b"</tr2:Uri></tr2:MediaUri>")
    return dataclasses.replace(response, body=body)


_IN_NAMES = (b"</tt:Name>", b"</tds:Manufacturer>", b"</tds:Model>")
_WRITTEN = {
    "bare-ampersand": ((b"</tt:Uri>",), b"?user=a&stream=0"),
    "other-encoding": (_IN_NAMES, "\u6444\u50cf\u673a".encode("gbk")),
    "control-character": (_IN_NAMES, b"\x0b\x1b"),
    "undeclared-prefix": ((b"</tds:Service>", b"</trt:Profiles>"), b"<rlk:Extra rlk:a='1'/>"),
}
"""Before which ends of elements stands what should not."""


def _as_written(response: Response, settings: CameraSettings) -> Response:
    """The answer with what is wrong in its text."""
    if settings.soap_text == "right":
        return response
    ends, wrong = _WRITTEN[settings.soap_text]
    body = response.body
    for end in ends:
        body = body.replace(end, wrong + end)
    return dataclasses.replace(response, body=body)


def _dated(response: Response, camera: OnvifState) -> Response:
    """With the Date header of a web server that has the camera's clock."""
    settings = camera.effective
    if settings.date_header == "absent":
        return response
    hours = settings.zone_hours if settings.date_header == "local" else 0
    date = format_datetime(camera.camera_now() + timedelta(hours=hours), usegmt=True)
    return dataclasses.replace(response, headers=(*response.headers, ("Date", date)))


def _served(path: str, settings: CameraSettings) -> bool:
    """Whether some service stands at the path."""
    served = {settings.device_path, EVENTS_PATH}
    if settings.default_path == "services-only":
        served.add(DEFAULT_PATH)
    if settings.media1:
        served.add(MEDIA_PATH)
    if settings.media2 not in ("absent", "not-found"):
        served.add(MEDIA2_PATH)
    return path in served


def _nothing_here(path: str, settings: CameraSettings) -> Response:
    if path == DEFAULT_PATH and settings.default_path == "bad-request":
        return Response(400, b"Bad Request", "text/plain")
    return Response(404, b"<html><body>404 Not Found</body></html>", "text/html")


def _dispatch(request: Request, call: soap.Call, camera: OnvifState) -> Response:
    settings = camera.effective
    place = camera.place(request.local_host)
    if call.namespace in (soap.MEDIA, soap.MEDIA2):
        try:
            listed = camera.counters.onvif_requests["GetProfiles"]
            known = profiles(camera.clips, settings, listed)
            service = media1 if call.namespace == soap.MEDIA else media2
            body = service.answer(call, settings, place, known)
        except NoSuchProfile:
            return _fault(400, "Sender", ("InvalidArgVal", "NoProfile"), "No such profile")
    elif call.namespace in (soap.EVENTS, soap.NOTIFICATION):
        body = events.answer(call, settings, place, camera.counters)
    else:
        if settings.hardware == "refused" and call.operation in _HARDWARE:
            return _fault(400, "Sender", ("NotAuthorized",), "Sender not authorized")
        operation = _device_operation(call, settings)
        body = operation(call, camera, place) if operation else None
    if body is None:
        return _fault(
            500, "Receiver", ("ActionNotSupported",), f"{call.operation} is not implemented"
        )
    return Response(200, soap.envelope(body), soap.CONTENT_TYPE)


def _refusal(request: Request, call: soap.Call, camera: OnvifState) -> Response | None:
    """None when the caller may go on; else what a camera answers to it."""
    settings = camera.effective
    open_to_all = call.operation in _PRE_AUTH and not (
        settings.date_needs_login and call.operation == "GetSystemDateAndTime"
    )
    if open_to_all or settings.password is None or not settings.onvif_schemes:
        return None
    if settings.media_schemes and call.namespace in (soap.MEDIA, soap.MEDIA2):
        settings = dataclasses.replace(settings, onvif_schemes=settings.media_schemes)
    settings = _with_onvif_users(settings)
    if call.token is not None and "wsse" in settings.onvif_schemes:
        verdict = camera.doorkeeper.judge_token(
            call.token, settings, camera.camera_now(), camera.monotonic_s()
        )
        if verdict is Verdict.ACCEPTED:
            return None
        # Cameras do not say whether it was the password or the clock (ONVIF Core §5.9.4.2:
        # NotAuthorized).
        return _fault(400, "Sender", ("NotAuthorized",), _told(settings, camera, True))
    return _http_refusal(request, camera, settings)


def _with_onvif_users(settings: CameraSettings) -> CameraSettings:
    """Some makers keep users of their own for ONVIF, and have none when they leave the factory."""
    return dataclasses.replace(settings, username=settings.onvif_username or settings.username)


def _told(settings: CameraSettings, camera: OnvifState, tried: bool) -> str:
    """What a talkative camera writes under a refusal."""
    words = "Sender not authorized"
    if not settings.tells_attempts or not tried:
        return words
    if camera.doorkeeper.locked(settings.username, camera.monotonic_s()):
        return f"{words}. The account is locked."
    left = camera.doorkeeper.attempts_left(settings, settings.username)
    return f"{words}. You still have {left} attempts."


def _http_refusal(
    request: Request, camera: OnvifState, settings: CameraSettings
) -> Response | None:
    """HTTP Digest and Basic; without any the answer is the challenge, or a fault where none is
    offered."""
    header = request.headers.get("authorization")
    verdict = None
    if header is not None:
        verdict = camera.doorkeeper.judge_authorization(
            header,
            settings,
            "onvif",
            request.method,
            request.target,
            camera.monotonic_s(),
        )
        if verdict is Verdict.ACCEPTED:
            return None
    challenges = camera.doorkeeper.challenges(
        settings, "onvif", stale=verdict is Verdict.STALE_NONCE, uri=request.target
    )
    words = _told(settings, camera, verdict is not None)
    body = soap.fault("Sender", ("NotAuthorized",), words)
    if not challenges:
        return Response(400, body, soap.CONTENT_TYPE)
    return Response(
        401, body, soap.CONTENT_TYPE, tuple(("WWW-Authenticate", value) for value in challenges)
    )


def _snapshot(request: Request, camera: OnvifState) -> Response:
    if camera.effective.password is not None and camera.effective.onvif_schemes:
        settings = _with_onvif_users(camera.effective)
        refusal = _http_refusal(request, camera, settings)
        if refusal is not None:
            return refusal
    return Response(200, camera.clips["main"].snapshot, "image/jpeg")


def _fault(status: int, code: str, subcodes: tuple[str, ...], reason: str) -> Response:
    return Response(status, soap.fault(code, subcodes, reason), soap.CONTENT_TYPE)


def _get_system_date_and_time(call: soap.Call, camera: OnvifState, place: Place) -> str:
    told = camera.effective.clock_told
    now = camera.camera_now()
    if told in ("local-as-utc", "local-alone"):
        now += timedelta(hours=camera.effective.zone_hours)
    date = (
        f"<tt:Year>{now.year}</tt:Year><tt:Month>{now.month}</tt:Month><tt:Day>{now.day}</tt:Day>"
    )
    time = (
        f"<tt:Hour>{now.hour}</tt:Hour><tt:Minute>{now.minute}</tt:Minute>"
        f"<tt:Second>{now.second}</tt:Second>"
    )
    field = "LocalDateTime" if told == "local-alone" else "UTCDateTime"
    both = "" if told == "empty" else f"<tt:Time>{time}</tt:Time><tt:Date>{date}</tt:Date>"
    return (
        "<tds:GetSystemDateAndTimeResponse><tds:SystemDateAndTime>"
        "<tt:DateTimeType>Manual</tt:DateTimeType>"
        "<tt:DaylightSavings>false</tt:DaylightSavings><tt:TimeZone><tt:TZ>UTC0</tt:TZ></tt:TimeZone>"
        f"<tt:{field}>{both}</tt:{field}>"
        "</tds:SystemDateAndTime></tds:GetSystemDateAndTimeResponse>"
    )


def _get_capabilities(call: soap.Call, camera: OnvifState, place: Place) -> str:
    wanted = call.text("Category") or "All"
    device = (
        f"<tt:Device><tt:XAddr>{place.device_xaddr}</tt:XAddr>"
        "<tt:Network><tt:IPFilter>false</tt:IPFilter><tt:ZeroConfiguration>false</tt:ZeroConfiguration>"
        "<tt:IPVersion6>false</tt:IPVersion6><tt:DynDNS>false</tt:DynDNS></tt:Network>"
        "</tt:Device>"
    )
    media = (
        f"<tt:Media><tt:XAddr>{place.web(MEDIA_PATH)}</tt:XAddr><tt:StreamingCapabilities>"
        "<tt:RTPMulticast>false</tt:RTPMulticast><tt:RTP_TCP>true</tt:RTP_TCP>"
        "<tt:RTP_RTSP_TCP>true</tt:RTP_RTSP_TCP></tt:StreamingCapabilities></tt:Media>"
    )
    media = media if camera.effective.media1 else ""
    parts = {"All": device + media, "Device": device, "Media": media}
    inner = parts.get(wanted, "")
    return (
        f"<tds:GetCapabilitiesResponse><tds:Capabilities>{inner}</tds:Capabilities>"
        "</tds:GetCapabilitiesResponse>"
    )


def _get_services(call: soap.Call, camera: OnvifState, place: Place) -> str:
    def service(namespace: str, xaddr: str) -> str:
        return (
            f"<tds:Service><tds:Namespace>{namespace}</tds:Namespace><tds:XAddr>{xaddr}</tds:XAddr>"
            "<tds:Version><tt:Major>2</tt:Major><tt:Minor>6</tt:Minor></tds:Version></tds:Service>"
        )

    settings = camera.effective
    listed = service(soap.DEVICE, place.device_xaddr)
    if settings.media1:
        listed += service(soap.MEDIA, place.web(MEDIA_PATH))
    if settings.media2 != "absent":
        listed += service(soap.MEDIA2, place.web(MEDIA2_PATH))
    if settings.events != "absent":
        listed += service(soap.EVENTS, place.web(EVENTS_PATH))
    return f"<tds:GetServicesResponse>{listed}</tds:GetServicesResponse>"


def _get_device_information(call: soap.Call, camera: OnvifState, place: Place) -> str:
    s = camera.effective
    return (
        f"<tds:GetDeviceInformationResponse><tds:Manufacturer>{escape(s.manufacturer)}</tds:Manufacturer>"
        f"<tds:Model>{escape(s.model)}</tds:Model><tds:FirmwareVersion>{escape(s.firmware)}</tds:FirmwareVersion>"
        f"<tds:SerialNumber>{escape(s.serial_number)}</tds:SerialNumber><tds:HardwareId>1.0</tds:HardwareId>"
        "</tds:GetDeviceInformationResponse>"
    )


def _get_scopes(call: soap.Call, camera: OnvifState, place: Place) -> str:
    s = camera.effective
    items = (
        "onvif://www.onvif.org/Profile/Streaming",
        "onvif://www.onvif.org/type/video_encoder",
        f"onvif://www.onvif.org/hardware/{s.model}",
        f"onvif://www.onvif.org/name/{s.name}",
    )
    scopes = "".join(
        f"<tds:Scopes><tt:ScopeDef>Fixed</tt:ScopeDef><tt:ScopeItem>{escape(item)}</tt:ScopeItem></tds:Scopes>"
        for item in items
    )
    return f"<tds:GetScopesResponse>{scopes}</tds:GetScopesResponse>"


def _get_network_interfaces(call: soap.Call, camera: OnvifState, place: Place) -> str:
    return (
        '<tds:GetNetworkInterfacesResponse><tds:NetworkInterfaces token="eth0">'
        "<tt:Enabled>true</tt:Enabled>"
        f"<tt:Info><tt:Name>eth0</tt:Name><tt:HwAddress>{escape(camera.effective.mac_address)}</tt:HwAddress>"
        "<tt:MTU>1500</tt:MTU></tt:Info><tt:IPv4><tt:Enabled>true</tt:Enabled><tt:Config>"
        f"<tt:Manual><tt:Address>{escape(place.host)}</tt:Address><tt:PrefixLength>24</tt:PrefixLength></tt:Manual>"
        "<tt:DHCP>false</tt:DHCP></tt:Config></tt:IPv4></tds:NetworkInterfaces></tds:GetNetworkInterfacesResponse>"
    )


def _get_hostname(call: soap.Call, camera: OnvifState, place: Place) -> str:
    return (
        "<tds:GetHostnameResponse><tds:HostnameInformation><tt:FromDHCP>false</tt:FromDHCP>"
        f"<tt:Name>{escape(camera.effective.name)}</tt:Name></tds:HostnameInformation></tds:GetHostnameResponse>"
    )


def _get_endpoint_reference(call: soap.Call, camera: OnvifState, place: Place) -> str:
    guid = camera.effective.endpoint
    return (
        f"<tds:GetEndpointReferenceResponse><tds:GUID>{guid}</tds:GUID>"
        "</tds:GetEndpointReferenceResponse>"
    )


def _get_service_capabilities(call: soap.Call, camera: OnvifState, place: Place) -> str:
    schemes = camera.effective.onvif_schemes
    token, digest = str("wsse" in schemes).lower(), str("digest" in schemes).lower()
    return (
        "<tds:GetServiceCapabilitiesResponse><tds:Capabilities><tds:Network/>"
        f'<tds:Security UsernameToken="{token}" HttpDigest="{digest}"/>'
        "<tds:System/></tds:Capabilities></tds:GetServiceCapabilitiesResponse>"
    )


_DEVICE_OPERATIONS: dict[str, Callable[[soap.Call, OnvifState, Place], str]] = {
    "GetSystemDateAndTime": _get_system_date_and_time,
    "GetCapabilities": _get_capabilities,
    "GetServices": _get_services,
    "GetServiceCapabilities": _get_service_capabilities,
    "GetDeviceInformation": _get_device_information,
    "GetScopes": _get_scopes,
    "GetNetworkInterfaces": _get_network_interfaces,
    "GetHostname": _get_hostname,
    "GetEndpointReference": _get_endpoint_reference,
}

_HARDWARE = ("GetEndpointReference", "GetNetworkInterfaces")


def _device_operation(
    call: soap.Call, settings: CameraSettings
) -> Callable[[soap.Call, OnvifState, Place], str] | None:
    if call.namespace != soap.DEVICE:
        return None
    if settings.clock_told == "not-implemented" and call.operation == "GetSystemDateAndTime":
        return None
    if settings.hardware == "missing" and call.operation in _HARDWARE:
        return None
    return _DEVICE_OPERATIONS.get(call.operation)


_WEB_PAGE = (
    b"<!DOCTYPE html><html><head><title>DVR login</title></head>"
    b"<body><form><input name=user><input name=pass type=password></form></body></html>"
)
