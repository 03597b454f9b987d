# SPDX-License-Identifier: Apache-2.0
"""The cases of cameras: every fault of the simulator, some of them together, and other servers in a
camera's place."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any

from camera_simulator.condition_messages.case import Case
from camera_simulator.faults import FAULTS, Fault
from camfleet_api.camera import RtspScheme
from camfleet_api.conditions import ConditionType
from hostile_peer import Answer
from worker_parts import PASSWORD

WRONG_PASSWORD = "never-was-right"

_RTSPS = {"rtsp_scheme": RtspScheme.RTSPS}
_OVER_UDP = {name: {"udp": True} for name in FAULTS if name.startswith(("udp-", "answers-tcp"))}
_PLAYED_AS: Mapping[str, Mapping[str, Any]] = {
    "password-changed": {"password": WRONG_PASSWORD},
    "https-another-certificate": {"settings": {"web_tls": True}},
    "rtsps-another-certificate": {
        "settings": {"rtsp_tls": True},
        "entry": _RTSPS,
        "awaited": ConditionType.REACHABLE,
    },
    "another-device": {"settings": {}, "awaited": ConditionType.IDENTITY_STABLE},
    "identity-cloned": {"cameras": 2},
    "identity-zero": {"cameras": 2},
    "first-interface-common": {"cameras": 2},
    "flaps": {"awaited": ConditionType.STABLE},
    **_OVER_UDP,
}
"""How a fault is played where that is not simply from the start. Those with settings are installed
with these, and the fault comes after they were Ready."""
_H265 = {"h265-called-h264", "h265-hidden", "media2-tells-the-truth"}

_WITHOUT_A_CAMERA = ("vms", "worker")

_MORE = (
    Case(
        "udp-only, not allowed",
        "SETUP over TCP is answered 461 and the technical profile does not allow UDP.",
        {"faults": ("udp-only",)},
    ),
    *(
        Case(
            f"{fault}, wrong password",
            f"Another password than the declared one. {FAULTS[fault].sentence}",
            {"faults": (fault,)},
            password=WRONG_PASSWORD,
        )
        for fault in (
            "onvif-without-login",
            "onvif-has-other-users",
            "tells-attempts",
            "locks-after-5",
            "wsse-only",
            "digest-only",
            "date-missing",
            "clock-184-days-behind",
            "rtsp-basic-only",
            "https-only",
        )
    ),
    Case(
        "locked-account",
        "The first refused login locks the account, and the second is answered so.",
        {"tells_attempts": True, "lockout_after": 1},
        password=WRONG_PASSWORD,
    ),
    Case(
        "wsse-only, clock unknown, wrong password",
        "WS-UsernameToken alone, no GetSystemDateAndTime, and another password.",
        {"faults": ("wsse-only", "date-missing")},
        password=WRONG_PASSWORD,
    ),
    Case(
        "rtsps-only, declared",
        "The RTSP port speaks TLS, as spec.rtspScheme says.",
        {"rtsp_tls": True},
        entry=_RTSPS,
    ),
    Case("rtsp-only, rtsps declared", "The RTSP port speaks no TLS.", entry=_RTSPS),
    Case(
        "udp-only over rtsps",
        "UDP only, at a port that speaks TLS.",
        {"rtsp_tls": True, "transports": ("UDP",)},
        entry=_RTSPS,
        udp=True,
    ),
    Case(
        "stream-ends-every-5-s",
        "The camera drops the RTSP connection again and again, and the line is whole.",
        {"stream_dies_after_s": 5.0},
        awaited=ConditionType.STABLE,
    ),
    Case(
        "password-changed later",
        "Somebody changed the password at the camera after it had streamed.",
        later={"password": WRONG_PASSWORD},
        password=PASSWORD,
        awaited=ConditionType.AUTHENTICATED,
    ),
    Case(
        "https-only, another fingerprint declared",
        "The certificate is not the one that is declared.",
        {"web_tls": True},
        entry={"certificate_fingerprint": "ab" * 32},
    ),
    Case(
        "too small",
        "The stream has fewer pixels than the technical profile allows.",
        video={"min_width": 1920, "min_height": 1080},
    ),
    Case(
        "wsse-only, clock unknown and wrong",
        "WS-UsernameToken alone, no GetSystemDateAndTime, and the clock is half a year behind.",
        {"faults": ("wsse-only", "date-missing", "clock-184-days-behind")},
    ),
    Case(
        "rtsp refuses the account",
        "RTSP has other users than ONVIF.",
        {"username": "viewer", "onvif_username": "ingest"},
    ),
    *(
        Case(
            f"{method} {status}",
            f"{method} is answered {status}.",
            {"rtsp_refuses": method, "rtsp_refusal": status},
        )
        for method, status in (
            ("DESCRIBE", 403),
            ("DESCRIBE", 404),
            ("DESCRIBE", 453),
            ("DESCRIBE", 500),
            ("SETUP", 453),
            ("SETUP", 403),
            ("PLAY", 454),
            ("PLAY", 455),
        )
    ),
)


def camera_cases() -> Iterator[Case]:
    """All of them, in the order in which they are printed."""
    yield Case("healthy", "Nothing is wrong.")
    yield from (_of(fault) for fault in FAULTS.values() if fault.played_by not in _WITHOUT_A_CAMERA)
    yield from _MORE
    yield from _other_servers()


def _of(fault: Fault) -> Case:
    played = dict(_PLAYED_AS.get(fault.name, {}))
    if "settings" in played:
        return Case(fault.name, fault.sentence, later=fault.changes, **played)
    settings: dict[str, Any] = {"faults": (fault.name,)}
    if fault.name in _H265:
        settings["codec"] = "h265"
    return Case(fault.name, fault.sentence, settings, **played)


def _other_servers() -> Iterator[Case]:
    basic = _answers(_http(401, 'WWW-Authenticate: Basic realm="admin"'))
    moved = _answers(_http(301, "Location: https://127.0.0.1/index.html"))
    for name, sentence, answer in (
        ("ssh", "An SSH server", _greets(b"SSH-2.0-OpenSSH_9.2\r\n")),
        ("ftp", "An FTP server", _greets(b"220 FTP server ready\r\n")),
        ("rtsp", "An RTSP server", _answers(b"RTSP/1.0 400 Bad Request\r\nCSeq: 0\r\n\r\n")),
        ("web-basic", "A web server that asks for Basic", basic),
        ("web-403", "A web server that forbids everything", _answers(_http(403))),
        ("web-405", "A web server that takes no POST", _answers(_http(405))),
        ("web-500", "A web server that fails", _answers(_http(500))),
        ("web-redirect", "A web server that redirects to https", moved),
        ("closes", "A server that closes each connection", _closes),
        ("hangs", "A server that never answers", _hangs),
    ):
        yield Case(f"onvif-is-{name}", f"{sentence} stands at the ONVIF port.", onvif=answer)
    web = _answers(_http(400))
    for name, sentence, answer in (
        ("web", "A web server", web),
        ("ssh", "An SSH server", _greets(b"SSH-2.0-OpenSSH_9.2\r\n")),
        ("closing", "A server that closes each connection", _closes),
        ("closing-at-describe", "A server that closes at the first request", _closes_when_asked),
        ("hanging", "A server that never answers", _hangs),
    ):
        yield Case(f"rtsp-is-{name}", f"{sentence} stands at the RTSP port.", rtsp=answer)


def _http(status: int, *headers: str) -> bytes:
    head = (f"HTTP/1.1 {status} X", *headers, "Content-Type: text/html", "Content-Length: 13")
    return ("\r\n".join(head) + "\r\n\r\n<html></html>").encode()


def _answers(answer: bytes) -> Answer:
    """A server that has one answer to everything."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(65_536):
            writer.write(answer)
            await writer.drain()

    return serve


def _greets(greeting: bytes) -> Answer:
    """A server that speaks first and understands nothing."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        await reader.read(65_536)

    return serve


async def _closes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def _closes_when_asked(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(65_536)


async def _hangs(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while await reader.read(65_536):
        pass
    await asyncio.Event().wait()
