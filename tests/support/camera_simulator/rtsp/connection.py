# SPDX-License-Identifier: Apache-2.0
"""One RTSP connection to a replay camera: requests in, answers out, its session played by the
player.

Methods are those of RFC 2326 that cameras know. A session lives and dies with its TCP connection,
since its packets travel on it. Everything a camera may do wrong is read from its settings at each
request.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Protocol
from urllib.parse import urlsplit

from camera_simulator.authentication import Doorkeeper
from camera_simulator.clips import Clip
from camera_simulator.counters import Counters, Verdict
from camera_simulator.listener import Listener, reset
from camera_simulator.messages import Interleaved, Message, MessageInvalid, MessageReader
from camera_simulator.rtsp import sdp
from camera_simulator.rtsp.packets import FramePackets
from camera_simulator.rtsp.session import Session
from camera_simulator.settings import CameraSettings

_PHRASES = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    404: "Not Found",
    453: "Not Enough Bandwidth",
    454: "Session Not Found",
    455: "Method Not Valid in This State",
    461: "Unsupported Transport",
    501: "Not Implemented",
}
_MAX_UNSENT_BYTES = 1 << 20
"""A camera's send buffer: when the reader is this far behind, whole frames are dropped."""


class RtspState(Protocol):
    """What a connection needs to know of its camera."""

    @property
    def effective(self) -> CameraSettings: ...
    @property
    def counters(self) -> Counters: ...
    @property
    def doorkeeper(self) -> Doorkeeper: ...
    @property
    def clips(self) -> dict[str, Clip]: ...
    def packets(self, stream: str) -> tuple[FramePackets, ...]: ...
    def monotonic_s(self) -> float: ...
    def camera_unix_s(self) -> float: ...


class Players(Protocol):
    """Where a connection enters itself to be given its frames."""

    def add(self, connection: RtspConnection) -> None: ...
    def discard(self, connection: RtspConnection) -> None: ...


class RtspConnection(asyncio.Protocol):
    def __init__(self, listener: Listener, camera: RtspState, players: Players) -> None:
        self._listener = listener
        self._camera = camera
        self._players = players
        self._reader = MessageReader()
        self._transport: asyncio.Transport | None = None
        self._session: Session | None = None
        self._local_host = ""

    # Connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._local_host = transport.get_extra_info("sockname")[0]
        self._listener.joined(transport)
        self._camera.counters.rtsp_connects += 1
        self._camera.counters.rtsp_connects_open += 1

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport is not None:
            self._listener.left(self._transport)
        self._camera.counters.rtsp_connects_open -= 1
        if self._session is not None:
            self._camera.counters.sessions_lost += 1
            self._end_session()

    def data_received(self, data: bytes) -> None:
        try:
            for part in self._reader.feed(data):
                if isinstance(part, Message):
                    self._answer(part)
                else:
                    self._heard(part)
        except MessageInvalid:
            self._send_head(400, "0", [])
            assert self._transport is not None
            self._transport.close()

    # Media, called by the player

    def send_due(self, now_s: float) -> None:
        """Send what is due at `now_s`, or end the session whose keepalive stayed away."""
        session, transport = self._session, self._transport
        if session is None or transport is None or transport.is_closing():
            return
        if session.expired(now_s):
            self._camera.counters.sessions_expired += 1
            self._end_session()
            transport.close()
            return
        if session.playing:
            self._send_media(session, transport, now_s)

    def _send_media(self, session: Session, transport: asyncio.Transport, now_s: float) -> None:
        settings, counters = self._camera.effective, self._camera.counters
        for frame in session.due(now_s, settings):
            if transport.get_write_buffer_size() > _MAX_UNSENT_BYTES:
                counters.frames_dropped += 1
                continue
            transport.write(frame)
            session.frames_sent += 1
            counters.frames_sent += 1
            counters.bytes_sent += len(frame)
        if settings.sender_reports and not settings.freeze:
            report = session.report_due(now_s, self._camera.camera_unix_s())
            if report is not None:
                transport.write(report)

    def _heard(self, frame: Interleaved) -> None:
        """RTCP from the client keeps a session alive at most cameras."""
        if self._session is not None and "RTCP" in self._camera.effective.keepalive:
            self._session.last_alive_s = self._camera.monotonic_s()

    # Requests

    def _answer(self, message: Message) -> None:
        counters = self._camera.counters
        counters.rtsp_requests[message.method] += 1
        handler = _METHODS.get(message.method)
        if handler is None:
            self._send(message, 501)
        elif message.method == "OPTIONS" or self._admitted(message):
            self._keep_alive(message)
            handler(self, message)

    def _admitted(self, message: Message) -> bool:
        """Credentials of this very request; a camera without a password admits everybody."""
        camera, settings = self._camera, self._camera.effective
        if settings.password is None:
            return True
        header = message.headers.get("authorization")
        stale = False
        if header is not None:
            verdict = camera.doorkeeper.judge_authorization(
                header, settings, "rtsp", message.method, message.target, camera.monotonic_s()
            )
            if verdict is Verdict.ACCEPTED:
                return True
            stale = verdict is Verdict.STALE_NONCE
        challenges = camera.doorkeeper.challenges(settings, "rtsp", stale)
        self._send(message, 401, [("WWW-Authenticate", value) for value in challenges])
        return False

    def _keep_alive(self, message: Message) -> None:
        session = self._session
        if session is None or _session_id(message) != session.ident:
            return
        keepalives = ("OPTIONS", "GET_PARAMETER", "SET_PARAMETER")
        if message.method not in keepalives or message.method in self._camera.effective.keepalive:
            session.last_alive_s = self._camera.monotonic_s()

    def _options(self, message: Message) -> None:
        self._send(message, 200, [("Public", ", ".join(_METHODS))])

    def _describe(self, message: Message) -> None:
        stream = self._stream(message.target)
        if stream is None:
            self._send(message, 404)
            return
        settings = self._camera.effective
        host = settings.advertised_host or self._local_host
        body = sdp.describe(self._camera.clips[stream], host, settings.sdp_parameter_sets).encode()
        base = message.target.rstrip("/") + "/"
        headers = [("Content-Base", base), ("Content-Type", "application/sdp")]
        self._send(message, 200, headers, body)

    def _setup(self, message: Message) -> None:
        settings, counters = self._camera.effective, self._camera.counters
        stream = self._stream(message.target)
        transport = message.headers.get("transport", "")
        if stream is None:
            self._send(message, 404)
        elif "TCP" not in settings.transports or "RTP/AVP/TCP" not in transport:
            self._send(message, 461)
        elif self._session is not None:
            self._send(message, 455)  # one track, so a second SETUP can only be a mistake
        elif settings.max_sessions and counters.sessions_open >= settings.max_sessions:
            counters.sessions_refused += 1
            self._send(message, 453)
        else:
            self._open_session(message, stream, transport)

    def _open_session(self, message: Message, stream: str, transport: str) -> None:
        settings, counters = self._camera.effective, self._camera.counters
        session = Session(
            clip=self._camera.clips[stream],
            packets=self._camera.packets(stream),
            start_frame=settings.start_frame,
            timeout_s=settings.session_timeout_s,
            last_alive_s=self._camera.monotonic_s(),
        )
        channels = re.search(r"interleaved=(\d+)-(\d+)", transport)
        if channels:
            session.rtp_channel, session.rtcp_channel = int(channels[1]), int(channels[2])
        self._session = session
        counters.sessions += 1
        counters.sessions_open += 1
        granted = f"RTP/AVP/TCP;unicast;interleaved={session.rtp_channel}-{session.rtcp_channel}"
        transport_header = ("Transport", f"{granted};ssrc={session.ssrc:08X}")
        self._send(message, 200, [transport_header, self._session_header(session)])

    def _play(self, message: Message) -> None:
        session = self._own_session(message)
        if session is None:
            return
        if not session.playing:
            session.play(self._camera.monotonic_s())
            self._players.add(self)
        track = f"{message.target.rstrip('/').removesuffix('/' + sdp.TRACK)}/{sdp.TRACK}"
        info = f"url={track};seq={session.sequence};rtptime={session.next_timestamp}"
        headers = [self._session_header(session), ("Range", "npt=now-"), ("RTP-Info", info)]
        self._send(message, 200, headers)

    def _pause(self, message: Message) -> None:
        session = self._own_session(message)
        if session is not None:
            session.playing = False
            self._send(message, 200, [self._session_header(session)])

    def _parameter(self, message: Message) -> None:
        if "session" not in message.headers:
            self._send(message, 200)
            return
        session = self._own_session(message)
        if session is not None:
            self._send(message, 200, [self._session_header(session)])

    def _teardown(self, message: Message) -> None:
        if self._own_session(message) is not None:
            self._camera.counters.teardowns += 1
            self._end_session()
            self._send(message, 200)

    def _own_session(self, message: Message) -> Session | None:
        """The session that the request names, or None after 454 has been sent."""
        if self._session is None or _session_id(message) != self._session.ident:
            self._send(message, 454)
            return None
        return self._session

    def _end_session(self) -> None:
        self._session = None
        self._players.discard(self)
        self._camera.counters.sessions_open -= 1

    def _stream(self, target: str) -> str | None:
        """`main` or `sub` of rtsp://…/live/main[/track1]; None for every other URL."""
        path = urlsplit(target).path.rstrip("/").removesuffix(f"/{sdp.TRACK}")
        stream = path.removeprefix("/live/")
        return stream if path.startswith("/live/") and stream in self._camera.clips else None

    def _session_header(self, session: Session) -> tuple[str, str]:
        timeout = f";timeout={session.timeout_s:.0f}" if session.timeout_s else ""
        return ("Session", session.ident + timeout)

    # Answers

    def _send(
        self,
        message: Message,
        status: int,
        headers: list[tuple[str, str]] | None = None,
        body: bytes = b"",
    ) -> None:
        self._send_head(status, message.headers.get("cseq", "0"), headers or [], body)

    def _send_head(
        self, status: int, cseq: str, headers: list[tuple[str, str]], body: bytes = b""
    ) -> None:
        assert self._transport is not None
        lines = [f"RTSP/1.0 {status} {_PHRASES[status]}", f"CSeq: {cseq}"]
        lines += [f"{name}: {value}" for name, value in headers]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        self._transport.write("\r\n".join([*lines, "", ""]).encode() + body)

    def drop(self) -> None:
        """Reset this connection: a fault's doing, never an answer to a request."""
        if self._transport is not None:
            reset(self._transport)


_METHODS: dict[str, Callable[[RtspConnection, Message], None]] = {
    "OPTIONS": RtspConnection._options,
    "DESCRIBE": RtspConnection._describe,
    "SETUP": RtspConnection._setup,
    "PLAY": RtspConnection._play,
    "PAUSE": RtspConnection._pause,
    "GET_PARAMETER": RtspConnection._parameter,
    "SET_PARAMETER": RtspConnection._parameter,
    "TEARDOWN": RtspConnection._teardown,
}


def _session_id(message: Message) -> str:
    return message.headers.get("session", "").partition(";")[0].strip()
