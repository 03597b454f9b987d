# SPDX-License-Identifier: Apache-2.0
"""One RTSP connection to a replay camera: requests in, answers out, its session played by the
player.

Methods are those of RFC 2326 that cameras know. A session lives and dies with its TCP connection,
unless the camera lets it linger. Everything a camera may do wrong is read from its settings at each
request.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Callable
from typing import Protocol
from urllib.parse import urlsplit

from camera_simulator.authentication import Doorkeeper
from camera_simulator.clips import Clip
from camera_simulator.counters import Counters, Verdict
from camera_simulator.listener import Listener, reset
from camera_simulator.messages import Interleaved, Message, MessageInvalid, MessageReader
from camera_simulator.rtsp import dialect, sdp
from camera_simulator.rtsp.audio import TRACK, PlayedAudio, audio_track
from camera_simulator.rtsp.delivery import Datagrams, OverRtsp
from camera_simulator.rtsp.labels import Labeller
from camera_simulator.rtsp.packets import FramePackets
from camera_simulator.rtsp.session import Session
from camera_simulator.settings import CameraSettings

_PHRASES = {
    200: "OK",
    302: "Moved Temporarily",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    453: "Not Enough Bandwidth",
    454: "Session Not Found",
    455: "Method Not Valid in This State",
    461: "Unsupported Transport",
    500: "Internal Server Error",
    501: "Not Implemented",
    503: "Service Unavailable",
}
_KEEPALIVES = ("OPTIONS", "GET_PARAMETER", "SET_PARAMETER")
_GHOST_EVERY_S = 0.02
_GARBAGE_EVERY_FRAMES = 7
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
    def labeller(self) -> Labeller: ...
    @property
    def clips(self) -> dict[str, Clip]: ...
    @property
    def other_clip(self) -> Clip: ...
    @property
    def other_packets(self) -> tuple[FramePackets, ...]: ...
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
        self._haunt()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport is not None:
            self._listener.left(self._transport)
        self._camera.counters.rtsp_connects_open -= 1
        if self._session is not None:
            self._camera.counters.sessions_lost += 1
            self._lose_session(self._session)

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
        if session.dead(now_s, self._camera.effective):
            self.drop()
        elif session.playing:
            self._send_media(session, transport, now_s)

    def _send_media(self, session: Session, transport: asyncio.Transport, now_s: float) -> None:
        settings, counters = self._camera.effective, self._camera.counters
        assert session.delivery is not None
        if session.audio_track is not None and not settings.freeze:
            told = session.audio_track.packets_told
            audio = session.audio_track.due(now_s, settings, self._camera.camera_unix_s())
            counters.audio_sent += session.audio_track.packets_told - told
            session.delivery.send(audio, settings)
        elif "audio" in settings.media:
            session.delivery.send(session.audio(), settings)
        for frame in session.due(now_s, settings):
            if transport.get_write_buffer_size() > _MAX_UNSENT_BYTES:
                counters.frames_dropped += 1
                continue
            session.delivery.send(frame, settings)
            session.frames_sent += 1
            if session.frames_sent % _GARBAGE_EVERY_FRAMES == 0:
                self._soil(transport, settings)
            counters.frames_sent += 1
            counters.bytes_sent += len(frame)
        if settings.sender_reports and not settings.freeze:
            report = session.report_due(now_s, self._camera.camera_unix_s(), settings)
            if report is not None:
                session.delivery.send(report, settings)

    def _soil(self, transport: asyncio.Transport, settings: CameraSettings) -> None:
        if "garbage-between-packets" in settings.rtsp_dialect:
            transport.write(dialect.GARBAGE)
        if "requests-of-its-own" in settings.rtsp_dialect:
            transport.write(b"OPTIONS * RTSP/1.0\r\nCSeq: 77\r\n\r\n")

    def _haunt(self) -> None:
        """Packets of a session that died with an earlier connection (quirk 31)."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if self._camera.effective.dead_session_packets:
            packet = b"\x80\x60" + b"\x00\x01" + b"\x00" * 4 + b"DEAD" + b"\x41ghost"
            transport.write(b"$\x00" + len(packet).to_bytes(2, "big") + packet)
        asyncio.get_running_loop().call_later(_GHOST_EVERY_S, self._haunt)

    def _heard(self, frame: Interleaved) -> None:
        """RTCP from the client keeps a session alive at most cameras."""
        self._heard_report()

    def _heard_report(self) -> None:
        if self._session is not None and "RTCP" in self._camera.effective.keepalive:
            self._session.last_alive_s = self._camera.monotonic_s()

    # Requests

    def _answer(self, message: Message) -> None:
        counters = self._camera.counters
        counters.rtsp_requests[message.method] += 1
        settings = self._camera.effective
        handler = _METHODS.get(message.method)
        if handler is None or (
            message.method in _KEEPALIVES and message.method not in settings.rtsp_methods
        ):
            self._send(message, 501)
        elif message.method == settings.rtsp_refuses:
            self._refuse(message)
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
        challenges = camera.doorkeeper.challenges(settings, "rtsp", stale, message.target)
        headers = [("WWW-Authenticate", value) for value in challenges]
        if settings.closes_after_401 == "announced":
            headers.append(("Connection", "close"))
        self._send(message, 401, headers, self._told(header is not None))
        if settings.closes_after_401 and self._transport is not None:
            self._transport.close()
        return False

    def _told(self, refused: bool) -> bytes:
        """What a talkative camera writes under a refusal."""
        camera, settings = self._camera, self._camera.effective
        if not settings.tells_attempts or not refused:
            return b""
        if camera.doorkeeper.locked(settings.username, camera.monotonic_s()):
            return b"The account is locked. Try again later."
        left = camera.doorkeeper.attempts_left(settings, settings.username)
        return f"Wrong user name or password. You still have {left} attempts.".encode()

    def _refuse(self, message: Message) -> None:
        settings = self._camera.effective
        wait = settings.rtsp_retry_after_s
        self._send(message, settings.rtsp_refusal, [("Retry-After", str(wait))] if wait else [])

    def _keep_alive(self, message: Message) -> None:
        session = self._session
        if session is None or _session_id(message) != session.ident:
            return
        if message.method not in _KEEPALIVES or message.method in self._camera.effective.keepalive:
            session.last_alive_s = self._camera.monotonic_s()

    def _options(self, message: Message) -> None:
        methods = [m for m in _METHODS if m not in _KEEPALIVES]
        settings = self._camera.effective
        methods += [m for m in settings.rtsp_methods if m not in settings.rtsp_methods_unnamed]
        self._send(message, 200, [("Public", ", ".join(methods))])

    def _describe(self, message: Message) -> None:
        stream = self._stream(message.target)
        if stream is None:
            self._send(message, 404)
            return
        settings = self._camera.effective
        if settings.redirect_to and not urlsplit(message.target).path.startswith(sdp.MOVED):
            self._send(message, 302, [("Location", self._elsewhere(settings.redirect_to))])
            return
        host = settings.advertised_host or self._local_host
        base = message.target.rstrip("/") + "/"
        body = sdp.describe(
            self._camera.clips[stream],
            host,
            settings.sdp_parameter_sets,
            settings.rtsp_dialect,
            settings.media,
            base,
            self._offered_audio(settings),
        ).encode()
        headers = dialect.content_base(base, settings.rtsp_dialect)
        self._send(message, 200, headers, body)

    def _elsewhere(self, location: str) -> str:
        """`{here}` in a redirect is this camera."""
        assert self._transport is not None
        port = self._transport.get_extra_info("sockname")[1]
        return location.replace("{here}", f"rtsp://{self._local_host}:{port}")

    def _setup(self, message: Message) -> None:
        settings, counters = self._camera.effective, self._camera.counters
        stream = self._stream(message.target)
        transport = message.headers.get("transport", "")
        if stream is None or not sdp.is_of_medium(message.target, settings.rtsp_dialect):
            self._send(message, 404)
        elif self._session is None and "session" in message.headers:
            self._send(message, 454)
        elif self._session is not None and message.target.endswith(f"/{TRACK}"):
            self._setup_audio(message, self._session, transport)
        elif self._session is not None:
            self._send(message, 455)  # one picture, so its second SETUP can only be a mistake
        elif settings.max_sessions and counters.sessions_open >= settings.max_sessions:
            counters.sessions_refused += 1
            self._refuse(message)
        elif "RTP/AVP/TCP" in transport and "TCP" in settings.transports:
            self._open_session(message, *self._interleaved(stream, transport))
        elif ("RTP/AVP/TCP" in transport and settings.answers_tcp_with_udp) or (
            "client_port=" in transport and "UDP" in settings.transports
        ):
            self._open_session(message, *self._datagrams(stream, transport))
        else:
            self._send(message, 461)

    def _offered_audio(self, settings: CameraSettings) -> tuple[str, ...]:
        if settings.audio == "none":
            return ()
        direction = ("a=sendonly",) if settings.audio_is_back_channel else ()
        return (*audio_track(settings.audio, settings.audio_packing).description, *direction)

    def _setup_audio(self, message: Message, session: Session, transport: str) -> None:
        settings = self._camera.effective
        channels = re.search(r"interleaved=(\d+)-(\d+)", transport)
        if settings.audio == "none" or _session_id(message) != session.ident or not channels:
            self._send(message, 455)
        elif settings.audio_setup in ("unsupported", "refused"):
            self._send(message, 461 if settings.audio_setup == "unsupported" else 403)
        elif settings.audio_setup == "closes":
            self.drop()
        elif settings.audio_setup != "hangs":
            rtp, rtcp = int(channels[1]), int(channels[2])
            if settings.audio_setup == "on-video-channel":
                rtp, rtcp = session.rtp_channel, session.rtcp_channel
            track = audio_track(settings.audio, settings.audio_packing)
            session.audio_track = PlayedAudio(track, rtp, rtcp)
            settled = f"RTP/AVP/TCP;unicast;interleaved={rtp}-{rtcp}"
            self._send(message, 200, [("Transport", settled), self._session_header(session)])

    def _interleaved(self, stream: str, transport: str) -> tuple[str, Session]:
        assert self._transport is not None
        session = self._new_session(stream)
        session.delivery = OverRtsp(self._transport)
        if self._camera.effective.labels_pictures:
            _send_at_once(self._transport)
        channels = re.search(r"interleaved=(\d+)-(\d+)", transport)
        if channels:
            session.rtp_channel, session.rtcp_channel = int(channels[1]), int(channels[2])
        return (
            f"RTP/AVP/TCP;unicast;interleaved={session.rtp_channel}-{session.rtcp_channel}",
            session,
        )

    def _datagrams(self, stream: str, transport: str) -> tuple[str, Session]:
        assert self._transport is not None
        session = self._new_session(stream)
        ports = re.search(r"client_port=(\d+)-(\d+)", transport)
        client = (int(ports[1]), int(ports[2])) if ports else (9, 9)  # 9: discard
        peer = self._transport.get_extra_info("peername")[0]
        session.delivery = Datagrams(self._local_host, peer, client, self._heard_report)
        low, high = session.delivery.server_ports
        return (
            f"RTP/AVP;unicast;client_port={client[0]}-{client[1]};server_port={low}-{high}",
            session,
        )

    def _new_session(self, stream: str) -> Session:
        settings = self._camera.effective
        return Session(
            clip=self._camera.clips[stream],
            packets=self._camera.packets(stream),
            other_packets=self._camera.other_packets,
            other_clip=self._camera.other_clip,
            labeller=self._camera.labeller,
            start_frame=settings.start_frame,
            timeout_s=settings.session_timeout_s,
            last_alive_s=self._camera.monotonic_s(),
        )

    def _open_session(self, message: Message, transport: str, session: Session) -> None:
        counters = self._camera.counters
        self._session = session
        counters.sessions += 1
        counters.sessions_open += 1
        ssrc = dialect.ssrc(session.ssrc, self._camera.effective.rtsp_dialect)
        if "transport-without-ids" in self._camera.effective.rtsp_dialect:
            transport = transport.partition(";interleaved")[0]
        transport_header = ("Transport", f"{transport};ssrc={ssrc}")
        self._send(message, 200, [transport_header, self._session_header(session)])

    def _play(self, message: Message) -> None:
        session = self._own_session(message)
        if session is None:
            return
        if session.audio_track is not None and self._camera.effective.audio_setup == "play-fails":
            self._send(message, 500)
            return
        if not session.playing:
            session.play(self._camera.monotonic_s())
            self._players.add(self)
        track = f"{message.target.rstrip('/').removesuffix('/' + sdp.TRACK)}/{sdp.TRACK}"
        ways = self._camera.effective.rtsp_dialect
        info = dialect.rtp_info(track, session.sequence, session.next_timestamp, ways)
        if "session-changes" in ways:
            session.rename()
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
        if "setup-without-session" in self._camera.effective.rtsp_dialect:
            return self._session
        if self._session is None or _session_id(message) != self._session.ident:
            self._send(message, 454)
            return None
        return self._session

    def _lose_session(self, session: Session) -> None:
        """Its connection is gone; some cameras keep a place for it until its timeout."""
        settings = self._camera.effective
        if not settings.sessions_linger:
            self._end_session()
            return
        session.close()
        self._session = None
        self._players.discard(self)
        asyncio.get_running_loop().call_later(settings.session_timeout_s, self._expire)

    def _expire(self) -> None:
        self._camera.counters.sessions_open -= 1
        self._camera.counters.sessions_expired += 1

    def _end_session(self) -> None:
        if self._session is not None:
            self._session.close()
        self._session = None
        self._players.discard(self)
        self._camera.counters.sessions_open -= 1

    def _stream(self, target: str) -> str | None:
        """`main` or `sub` of rtsp://…/live/main[/track1]; None for every other URL."""
        path = urlsplit(target).path.rstrip("/").removesuffix(f"/{sdp.TRACK}")
        path = path.removesuffix(f"/{TRACK}")
        path = path.removeprefix(sdp.MOVED)
        stream = path.removeprefix("/live/").rpartition("/")[2]  # a recorder's channel before it
        return stream if path.startswith("/live/") and stream in self._camera.clips else None

    def _session_header(self, session: Session) -> tuple[str, str]:
        text = self._camera.effective.session_timeout_text
        timeout = f";timeout={session.timeout_s:.0f}" if session.timeout_s else ""
        if text:
            timeout = "" if text == "unstated" else f";timeout={text}"
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
        ways = self._camera.effective.rtsp_dialect
        self._transport.write(
            dialect.written(status, _PHRASES.get(status, "Odd"), cseq, headers, body, ways)
        )

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


def _send_at_once(transport: asyncio.Transport) -> None:
    """A picture that is labelled counts as sent: a reset must not find it in this kernel, waiting
    for an acknowledgement of the one before (RFC 9293 section 3.7.4)."""
    sock = transport.get_extra_info("socket")
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _session_id(message: Message) -> str:
    return message.headers.get("session", "").partition(";")[0].strip()
