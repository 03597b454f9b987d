# SPDX-License-Identifier: Apache-2.0
"""From an address to a playing stream: DESCRIBE, SETUP, PLAY over one TCP connection (RFC 2326).

Called by the supervisor in asyncio. Ends with a PlayingStream, a plain non-blocking socket that
the media loop drains, or with an IngestError that names the condition and the reason. It never
retries, never follows a redirect and never leaves for another host than the declared one. At most
one request goes out without credentials and one attempt is made with them (one more where the
camera calls the nonce stale): cameras lock accounts.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from camfleet_api.conditions import ConditionType, Reason
from camfleet_worker.credentials import Credentials
from camfleet_worker.errors import IngestError, Retry
from camfleet_worker.media.access_unit import Codec
from camfleet_worker.rtsp.auth import Authorizer
from camfleet_worker.rtsp.headers import Channels, parse_interleaved
from camfleet_worker.rtsp.message import (
    Frame,
    MessageError,
    MessageReader,
    Request,
    Response,
    serialise_frame,
)
from camfleet_worker.rtsp.sdp import (
    Description,
    MediaSection,
    base_path,
    control_path,
    parse_description,
    path_of,
)
from camfleet_worker.rtsp.session import RtspSession, answer_request

_RECEIVE_BYTES = 64 * 1024
_MAX_EARLY_BYTES = 512 * 1024
"""Frames that arrive between PLAY and its answer; more is a flood."""

BeforeAttempt = Callable[[], Awaitable[None]]
"""Awaited right before credentials are first sent: the attempt is written down before it is made.
It may raise IngestError when none is left."""


@dataclass(frozen=True, slots=True)
class StreamTarget:
    """Where a stream is: the declared address, and the path that the camera named."""

    host: str
    port: int
    path: str = field(repr=False)
    """Path and query. Some makers want the password in it, so it never enters a message."""

    @classmethod
    def at(cls, host: str, port: int, uri: str) -> StreamTarget:
        """The declared address with the path of any URI that the camera named (quirk 13)."""
        return cls(host, port, path_of(uri) or "/")

    def url(self, path: str | None = None) -> str:
        """The absolute URL of a path at this address."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        path = self.path if path is None else path
        # A blank would end the URL in the request line.
        path = path.replace(" ", "%20")
        return f"rtsp://{host}:{self.port}{path if path.startswith('/') else '/' + path}"


@dataclass(slots=True)
class PlayingStream:
    """A session that plays; whoever holds it owns the socket and must send TEARDOWN."""

    socket: socket.socket
    session: RtspSession
    channels: Channels
    codec: Codec
    payload_type: int
    parameter_sets: tuple[bytes, ...]
    """From the description; may be empty."""
    received: bytes
    """Read from the socket and not looked at yet."""


async def no_gate() -> None:
    """The hook of a caller that counts no attempts."""


async def open_stream(
    target: StreamTarget,
    credentials: Credentials | None,
    *,
    deadline_s: float,
    before_attempt: BeforeAttempt = no_gate,
) -> PlayingStream:
    """Open and start the first H.264 or H.265 video at `target`."""
    deadline = asyncio.get_running_loop().time() + deadline_s
    connection = await _connect(target, deadline)
    handshake = _Handshake(connection, target, credentials, before_attempt)
    try:
        async with asyncio.timeout_at(deadline):
            return await handshake.run()
    except TimeoutError as error:
        handshake.abandon()
        raise handshake.timed_out() from error
    except MessageError as error:
        handshake.abandon()
        raise _protocol_error(f"The camera's RTSP answer makes no sense: {error}") from error
    except OSError as error:
        handshake.abandon()
        raise handshake.ended() from error
    except BaseException:
        handshake.abandon()
        raise


async def _connect(target: StreamTarget, deadline: float) -> socket.socket:
    """A connected non-blocking socket. The one table of connect errors."""
    port = target.port
    try:
        async with asyncio.timeout_at(deadline):
            return await _connected_socket(target)
    except socket.gaierror as error:
        raise _unreachable(
            Reason.NAME_NOT_RESOLVED, f"The name {target.host} has no address"
        ) from error
    except TimeoutError as error:
        raise _unreachable(Reason.TIMEOUT, f"No answer on RTSP port {port} in time") from error
    except ConnectionRefusedError as error:
        raise _unreachable(
            Reason.CONNECTION_REFUSED, f"The host refuses connections on RTSP port {port}"
        ) from error
    except OSError as error:
        name = errno.errorcode.get(error.errno or 0, type(error).__name__)
        raise _unreachable(
            Reason.HOST_UNREACHABLE, f"RTSP port {port} cannot be reached: {name}"
        ) from error


async def _connected_socket(target: StreamTarget) -> socket.socket:
    loop = asyncio.get_running_loop()
    addresses = await loop.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    family, kind, protocol, _, address = addresses[0]
    connection = socket.socket(family, kind, protocol)
    try:
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await loop.sock_connect(connection, address)
    except BaseException:
        connection.close()
        raise
    return connection


class _Handshake:
    """What is said on one connection from DESCRIBE to PLAY."""

    def __init__(
        self,
        connection: socket.socket,
        target: StreamTarget,
        credentials: Credentials | None,
        before_attempt: BeforeAttempt,
    ) -> None:
        self._socket = connection
        self._target = target
        self._has_credentials = credentials is not None
        self._before_attempt = before_attempt
        self._session = RtspSession(
            Authorizer(credentials.username, credentials.password) if credentials else None
        )
        self._reader = MessageReader()
        self._answered = False
        self._step = ""
        self._early: bytearray | None = None

    async def run(self) -> PlayingStream:
        described = await self._request(
            "DESCRIBE", self._target.url(), [("Accept", "application/sdp")]
        )
        description = parse_description(described.body)
        video, codec = _choose_video(description)
        headers = described.headers
        base = base_path(
            [headers.get("content-base"), headers.get("content-location"), self._target.path]
        )
        channels = await self._set_up(control_path(base, video.control))
        self._session.aggregate_url = self._target.url(control_path(base, description.control))
        self._early = bytearray()
        await self._request("PLAY", self._session.aggregate_url, [("Range", "npt=0.000-")])
        return PlayingStream(
            socket=self._socket,
            session=self._session,
            channels=channels,
            codec=codec,
            payload_type=video.payload_type,
            parameter_sets=video.parameter_sets,
            received=bytes(self._early) + self._reader.take_rest(),
        )

    def abandon(self) -> None:
        """Close; a session that was set up is torn down as far as that goes without waiting."""
        if self._session.session_id:
            try:
                self._socket.send(self._session.teardown())
                self._socket.shutdown(socket.SHUT_WR)
            except (OSError, MessageError):
                pass  # the connection is gone, or the camera named an URL that cannot be sent
        self._socket.close()

    async def _set_up(self, path: str) -> Channels:
        asked = "RTP/AVP/TCP;unicast;interleaved=0-1"
        url = self._target.url(path)
        # TEARDOWN of a handshake that fails between SETUP and PLAY goes to the media's own URL.
        self._session.aggregate_url = url
        response = await self._request("SETUP", url, [("Transport", asked)])
        if not self._session.session_id:
            raise _protocol_error("The camera's answer to SETUP names no session")
        # Without a Transport header the camera has taken what was asked for.
        channels = parse_interleaved(response.headers.get("transport") or asked)
        if channels is None:
            raise IngestError(
                ConditionType.STREAMING,
                Reason.STREAM_REFUSED,
                "The camera does not send video over the RTSP connection (TCP)",
            )
        return channels

    async def _request(self, method: str, url: str, headers: list[tuple[str, str]]) -> Response:
        """Ask, log in where that is demanded, and accept nothing but success."""
        self._step = method
        response = await self._ask(method, url, headers)
        if response.status == 401:
            response = await self._ask_logged_in(response, method, url, headers)
        if not 200 <= response.status < 300:
            raise _refused(method, response)
        return response

    async def _ask_logged_in(
        self, challenge: Response, method: str, url: str, headers: list[tuple[str, str]]
    ) -> Response:
        """The first login of this connection, or a new nonce for credentials already taken.

        Some cameras give each URL a nonce of its own (quirk 7); that spends no attempt.
        """
        first = not self._session.logged_in
        if not self._has_credentials:
            raise IngestError(
                ConditionType.AUTHENTICATED,
                Reason.CREDENTIALS_MISSING,
                "RTSP asks for a login and no credentials are at hand",
                Retry.ON_SECRET_CHANGE,
            )
        if not self._session.challenged(challenge):
            raise _protocol_error("RTSP asks for a login by a scheme that is not Basic or Digest")
        if first:
            await self._before_attempt()
        response = await self._ask(method, url, headers)
        if response.status == 401 and first and self._session.stale(response):
            # RFC 2617 section 3.3: the credentials were right, only the nonce was too old.
            self._session.challenged(response)
            response = await self._ask(method, url, headers)
        return response

    async def _ask(self, method: str, url: str, headers: list[tuple[str, str]]) -> Response:
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(self._socket, self._session.request(method, url, headers))
        response = await self._answer()
        self._answered = True
        self._session.learn(response)
        return response

    async def _answer(self) -> Response:
        loop = asyncio.get_running_loop()
        while True:
            for item in self._reader:
                if isinstance(item, Frame):
                    self._keep_early(item)
                elif isinstance(item, Request):
                    await loop.sock_sendall(self._socket, answer_request(item))
                elif self._session.answers_last(item) and item.status >= 200:
                    return item
            data = await loop.sock_recv(self._socket, _RECEIVE_BYTES)
            if not data:
                raise ConnectionResetError(errno.ECONNRESET, "closed by the camera")
            self._reader.feed(data)

    def _keep_early(self, frame: Frame) -> None:
        """Frames before PLAY belong to a dead session of an old live555 (quirk 31)."""
        if self._early is None:
            return
        self._early += serialise_frame(frame.channel, frame.payload)
        if len(self._early) > _MAX_EARLY_BYTES:
            raise MessageError("a flood of frames and no answer to PLAY")

    def timed_out(self) -> IngestError:
        """The port is open and nobody speaks, or the camera fell silent on the way."""
        return IngestError(
            ConditionType.STREAMING if self._answered else ConditionType.REACHABLE,
            Reason.TIMEOUT,
            f"The camera did not answer {self._step} in time",
        )

    def ended(self) -> IngestError:
        """The other side went away."""
        return IngestError(
            ConditionType.STREAMING,
            Reason.STREAM_ENDED,
            f"The camera closed the RTSP connection during {self._step}",
        )


def _choose_video(description: Description) -> tuple[MediaSection, Codec]:
    for section in description.media:
        if section.codec is not None:
            return section, section.codec
    raise IngestError(
        ConditionType.ELIGIBLE,
        Reason.NO_ALLOWED_STREAM,
        f"The stream offers {description.offered()[:100] or 'no media'}, not H.264 or H.265 video",
        Retry.SLOW,
    )


def _refused(method: str, response: Response) -> IngestError:
    """A status other than 200, by what a person has to do about it."""
    if response.status == 401:
        return _credentials_rejected()
    if response.status in (403, 453):
        # 453 Not Enough Bandwidth is how RTSP says it (RFC 2326 section 11.3.4); installed
        # cameras and recorders also answer 403 when too many users watch (quirk 28).
        return IngestError(
            ConditionType.STREAMING,
            Reason.SESSION_LIMIT,
            f"The camera answers {method} with {response.status}",
        )
    return IngestError(
        ConditionType.STREAMING,
        Reason.STREAM_REFUSED,
        f"The camera answers {method} with {response.status}",
    )


def _credentials_rejected() -> IngestError:
    return IngestError(
        ConditionType.AUTHENTICATED,
        Reason.RTSP_CREDENTIALS_REJECTED,
        "RTSP refuses the user name or the password",
        Retry.ON_SECRET_CHANGE,
    )


def _protocol_error(fact: str) -> IngestError:
    return IngestError(ConditionType.STREAMING, Reason.PROTOCOL_ERROR, fact)


def _unreachable(reason: Reason, fact: str) -> IngestError:
    return IngestError(ConditionType.REACHABLE, reason, fact)
