# SPDX-License-Identifier: Apache-2.0
"""The cases of monitoring systems: a healthy camera before a VMS at which something is wrong."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from typing import Any

from camera_simulator.condition_messages.case import Case, OpenVms, Vms
from camfleet_api.conditions import ConditionType
from camfleet_api.ingest_shard import Relay
from camfleet_api.monitoring_system import RelayProtocol
from camfleet_api.policy import CredentialsRef, VideoCodec
from camfleet_worker.relay.rtmp.amf0 import AmfValue
from camfleet_worker.relay.rtmp.messages import command
from hostile_peer import Answer, HostilePeer
from vms import RecordServer, RtmpServer
from vms.authority import Authority

LOGIN = {"username": "push", "password": "vms-s3cret"}
OTHER_LOGIN = {"username": "push", "password": "vms-0ther"}
SECRET = "vms"


def relay_to(url: str, *, secret: str = "", codecs: tuple[VideoCodec, ...] = ()) -> Relay:
    """A relay to this URL template; by default it takes every codec."""
    return Relay(
        name="national",
        protocol=RelayProtocol(url.partition(":")[0]),
        url_template=url,
        codecs=list(codecs or VideoCodec),
        credentials=CredentialsRef(secret_name=secret) if secret else None,
    )


def vms_cases() -> Iterator[Case]:
    """All of them, in the order in which they are printed."""
    for name, sentence, vms in (*_unreachable(), *_logins(), *_rtsp(), *_rtmp(), *_tls()):
        yield Case(f"vms-{name}", sentence, vms=vms, awaited=ConditionType.RELAYING)
    yield Case(
        "vms-name-in-use",
        "Another publisher holds the stream's name at an RTMP server.",
        cameras=2,
        vms=_one_name,
        awaited=ConditionType.RELAYING,
    )
    yield Case(
        "vms-reads-slowly",
        "It takes RECORD and reads less than arrives.",
        {"resolution": "720p"},
        vms=_peer(_rtsp_answers({}, then=_reads_slowly)),
        awaited=ConditionType.RELAYING,
    )
    yield Case(
        "vms-h265-over-rtmp",
        "The stream is H.265 and the MonitoringSystem does not list it for RTMP.",
        {"codec": "h265"},
        vms=_h264_alone,
        awaited=ConditionType.RELAYING,
    )


_Rows = Iterator[tuple[str, str, OpenVms]]


def _unreachable() -> _Rows:
    for protocol in ("rtsp", "rtmp"):
        yield f"closed-{protocol}", "The port is closed.", _closed_port(protocol)
        hangs = _peer(_hangs, protocol)
        yield f"hangs-{protocol}", "It takes connections and never answers.", hangs
        closes = _peer(_closes, protocol)
        yield f"closes-{protocol}", "It closes each connection at once.", closes
        web = _peer(_answers_http, protocol)
        yield f"web-{protocol}", "A web server stands at the port.", web
    yield "stops", "It was stopped while it took the stream.", _stopping


def _logins() -> _Rows:
    yield "wrong-login", "It refuses the login.", _record(LOGIN, OTHER_LOGIN)
    yield "wants-login", "It demands a login, and no Secret is named.", _record(LOGIN, {})


def _rtsp() -> _Rows:
    for status, name in (
        (301, "moved"),
        (403, "forbids"),
        (404, "unknown-path"),
        (405, "no-announce"),
        (406, "not-acceptable"),
        (415, "no-codec"),
        (453, "full"),
        (500, "fails"),
        (503, "overloaded"),
    ):
        sentence = f"ANNOUNCE is answered {status}."
        yield name, sentence, _peer(_rtsp_answers({"ANNOUNCE": status}), "rtsp")
    redirects = _rtsp_answers({"ANNOUNCE": 302}, "Location: rtsp://192.168.1.99:554/live/x\r\n")
    yield "redirects", "ANNOUNCE is answered 302 with another address.", _peer(redirects, "rtsp")
    setup = _rtsp_answers({"SETUP": 461})
    yield "no-tcp", "SETUP over TCP is answered 461.", _peer(setup, "rtsp")
    udp = _rtsp_answers({}, transport="RTP/AVP/UDP;unicast;server_port=9000-9001;mode=record")
    yield "udp", "SETUP over TCP is answered with a transport over UDP.", _peer(udp, "rtsp")
    record = _rtsp_answers({"RECORD": 455})
    yield "no-record", "RECORD is answered 455.", _peer(record, "rtsp")
    ends = _rtsp_answers({}, then=_closes_after_media)
    yield "ends-sessions", "It takes RECORD, and closes after the first pictures.", _peer(ends)
    deaf = _rtsp_answers({}, then=_reads_nothing)
    yield "reads-nothing", "It takes RECORD and reads nothing.", _peer(deaf)


def _rtmp() -> _Rows:
    for code in (
        "NetStream.Publish.BadName",
        "NetStream.Publish.Denied",
        "NetConnection.Connect.Rejected",
    ):
        at = "connect" if "Connect" in code else "publish"
        sentence = f"RTMP {at} is answered {code}."
        yield f"rtmp-{code.rpartition('.')[2].lower()}", sentence, _peer(_refuses(at, code), "rtmp")
    adobe = _refuses("connect", "NetConnection.Connect.Rejected", "code=403 authmod=adobe")
    yield "rtmp-adobe", "RTMP wants a login by authmod=adobe.", _peer(adobe, "rtmp")


def _tls() -> _Rows:
    yield "untrusted", "Its certificate is of an authority that nobody trusts.", _over_tls()
    expired = _over_tls(trusted=True, from_day=-20, days=2)
    yield "expired", "Its certificate has expired.", expired
    other = _over_tls(trusted=True, address="127.0.0.77")
    yield "other-address", "Its certificate is for another address.", other
    yield "without-tls", "The port of an rtsps URL speaks no TLS.", _peer(_hangs_up, "rtsps")


# The real servers.


def _record(wanted: dict[str, str], ours: dict[str, str]) -> OpenVms:
    @asynccontextmanager
    async def opened() -> AsyncIterator[Vms]:
        with RecordServer(**wanted) as server:  # type: ignore[arg-type]
            url = server.url("live/{camera}")
            yield Vms(relay_to(url, secret=SECRET if ours else ""), ours)

    return opened


@asynccontextmanager
async def _stopping() -> AsyncIterator[Vms]:
    with RecordServer() as server:

        async def stop() -> None:
            while not any(stream.frames > 25 for stream in server.streams().values()):
                await asyncio.sleep(0.5)
            server.stop()

        stopping = asyncio.create_task(stop())
        yield Vms(relay_to(server.url("live/{camera}")))
        stopping.cancel()


def _over_tls(*, trusted: bool = False, **certificate: Any) -> OpenVms:
    @asynccontextmanager
    async def opened() -> AsyncIterator[Vms]:
        authority = Authority()
        secret = LOGIN | ({"ca.crt": authority.pem} if trusted else {})
        with RecordServer(**LOGIN, certificate=authority.issue(**certificate)) as server:  # type: ignore[arg-type]
            yield Vms(relay_to(server.url("live/{camera}"), secret=SECRET), secret)

    return opened


@asynccontextmanager
async def _one_name() -> AsyncIterator[Vms]:
    with RtmpServer() as server:
        yield Vms(relay_to(server.url("one")))


@asynccontextmanager
async def _h264_alone() -> AsyncIterator[Vms]:
    with RtmpServer() as server:
        yield Vms(relay_to(server.url("{camera}"), codecs=(VideoCodec.H264,)))


# Servers that do one thing wrong.


def _closed_port(protocol: str) -> OpenVms:
    @asynccontextmanager
    async def opened() -> AsyncIterator[Vms]:
        with closing(socket.socket()) as held:  # bound and never listening: nobody gets the port
            held.bind(("127.0.0.1", 0))
            yield Vms(relay_to(f"{protocol}://127.0.0.1:{held.getsockname()[1]}/live/{{camera}}"))

    return opened


def _peer(answer: Answer, protocol: str = "rtsp") -> OpenVms:
    @asynccontextmanager
    async def opened() -> AsyncIterator[Vms]:
        async with HostilePeer(answer) as peer:
            yield Vms(relay_to(f"{protocol}://127.0.0.1:{peer.port}/live/{{camera}}"))

    return opened


async def _hangs(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while await reader.read(65_536):
        pass


async def _closes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def _hangs_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(65_536)
    writer.write(b"RTSP/1.0 400 Bad Request\r\n\r\n")


async def _answers_http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(65_536)
    writer.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")


async def _reads_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    await asyncio.Event().wait()


async def _reads_slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while await reader.read(1000):
        await asyncio.sleep(0.25)


async def _closes_after_media(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readexactly(20_000)


def _rtsp_answers(
    statuses: dict[str, int],
    headers: str = "",
    *,
    transport: str = "RTP/AVP/TCP;unicast;interleaved=0-1;mode=record",
    then: Answer | None = None,
) -> Answer:
    """A server that refuses these methods, grants the others, and does `then` after RECORD."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _take_little(writer)
        method = ""
        while method != "RECORD":
            request = (await reader.readuntil(b"\r\n\r\n")).decode()
            if length := re.search(r"(?im)^content-length: *(\d+)", request):
                await reader.readexactly(int(length[1]))
            method = request.split(" ", 1)[0]
            status = statuses.get(method, 200)
            cseq = request.split("CSeq: ")[1].split("\r\n")[0]
            answer = f"RTSP/1.0 {status} X\r\nCSeq: {cseq}\r\nSession: 1;timeout=60\r\n{headers}"
            answer += f"Transport: {transport}\r\n" if method == "SETUP" else ""
            writer.write(f"{answer}\r\n".encode())
        await (then or _hangs)(reader, writer)

    return serve


def _take_little(writer: asyncio.StreamWriter) -> None:
    """As a small device would: the kernel of a large one takes megabytes for it."""
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)


def _refuses(at: str, code: str, description: str = "") -> Answer:
    """An RTMP server that grants everything up to this command, and refuses that."""
    refusal: dict[str, AmfValue] = {"level": "error", "code": code, "description": description}
    answers = (
        (b"connect", 1, command("_result", 1, None, {"code": "NetConnection.Connect.Success"})),
        (b"createStream", 4, command("_result", 4, None, 1.0)),
        (b"publish", 0, b""),
    )

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        hello = await reader.readexactly(1537)
        writer.write(hello + hello[1:])
        await reader.readexactly(1536)
        for word, transaction, granted in answers:
            await reader.readuntil(word)
            if word.decode() != at:
                writer.write(granted)
            elif transaction:
                writer.write(command("_error", transaction, None, refusal))
            else:
                writer.write(command("onStatus", 0, None, refusal))
        await _hangs(reader, writer)

    return serve
