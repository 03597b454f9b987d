# SPDX-License-Identifier: Apache-2.0
"""Requests and answers on one connection to a camera, before it plays.

Used by the handshake, which decides what to ask. It logs in where that is demanded, turns refusals
into errors, and keeps the frames that arrive between messages.
"""

from __future__ import annotations

import errno

from camfleet_api.conditions import ConditionType, Reason
from camfleet_api.device_address import normalised_host
from camfleet_worker.base.errors import IngestError
from camfleet_worker.base.socket_errors import SocketFailure, socket_failure
from camfleet_worker.rtsp import refusal
from camfleet_worker.rtsp.attempt import Attempt
from camfleet_worker.rtsp.connection import Connection
from camfleet_worker.rtsp.message import (
    Frame,
    MessageError,
    MessageReader,
    OtherProtocolError,
    Request,
    Response,
    serialise_frame,
)
from camfleet_worker.rtsp.sdp import path_of
from camfleet_worker.rtsp.session import answer_request

_MAX_EARLY_BYTES = 512 * 1024
"""Frames that arrive between PLAY and its answer; more is a flood."""
_REDIRECTS = (301, 302, 303, 305, 307)


class Redirected(Exception):
    """The device redirects to another path on itself."""

    def __init__(self, path: str) -> None:
        super().__init__("redirected")
        self.path = path


class ChallengedAndClosed(Exception):
    """The device requires a login and has closed the connection: it is answered on another one."""


class Exchange:
    """Sends one request at a time and returns its answer."""

    def __init__(self, attempt: Attempt, connection: Connection) -> None:
        self.stale_ids: set[int] = set()
        """Interleaved ids on which a dead session sends."""
        self._attempt = attempt
        self._connection = connection
        self._reader = MessageReader()
        self._early: bytearray | None = None
        """Frames of our session that have arrived; None while there is none that could send."""
        self._step = "connect"

    def expect_frames(self) -> None:
        """Keep frames from here on, because PLAY comes next."""
        self._early = bytearray()

    def take_early(self) -> bytes:
        """The frames that came before the answer to PLAY."""
        return bytes(self._early or b"")

    def take_rest(self) -> bytes:
        """The octets that were read from the connection and not used."""
        return self._reader.take_rest()

    async def request(
        self, method: str, url: str, headers: list[tuple[str, str]], but: int = 200
    ) -> Response:
        """Ask, log in where that is required, and accept only success (or status `but`)."""
        challenge = self._attempt.take_challenge()
        response = challenge or await self.ask(method, url, headers)
        if response.status == 401:
            # On a connection that ends a login would reach nobody and be counted all the same.
            ends = challenge is None and self._is_closing(response)
            if ends and self._attempt.keep_challenge(response):
                raise ChallengedAndClosed
            response = await self._attempt.login.answer(
                response, lambda: self.ask(method, url, headers)
            )
        if response.status in _REDIRECTS:
            raise self._redirected(response)
        if not 200 <= response.status < 300 and response.status != but:
            raise refusal.refused(method, response, self._attempt.target.session_timeout_s)
        return response

    def _is_closing(self, response: Response) -> bool:
        """Whether no further request can be sent on this connection."""
        return refusal.is_last(response) or self._connection.peer_has_closed

    def _redirected(self, response: Response) -> Exception:
        """The redirect on the same device, or the error for one to another host."""
        location = response.headers.get("location") or ""
        host, path = refusal.redirected_host(location), path_of(location)
        port, declared = refusal.redirected_port(location), self._attempt.target
        if not path or (host and normalised_host(host) != normalised_host(declared.host)):
            return refusal.redirect_refused(host)
        if port is not None and port != declared.port:
            return refusal.redirect_refused(host, port)
        return Redirected(path)

    async def ask(self, method: str, url: str, headers: list[tuple[str, str]]) -> Response:
        """The answer to a request, with any status."""
        self._step = method
        await self._connection.send(self._attempt.session.request(method, url, headers))
        response = await self._answer()
        self._attempt.answered = True
        self._attempt.session.learn(response)
        return response

    async def _answer(self) -> Response:
        """One request is under way at a time, so the next final response is its answer, whatever
        CSeq a camera repeats in it (quirk 33)."""
        while True:
            for item in self._reader:
                if isinstance(item, Frame):
                    self._keep_early(item)
                elif isinstance(item, Request):
                    await self._connection.send(answer_request(item))
                elif item.status >= 200:
                    return item
            data = await self._connection.receive()
            if not data:
                raise ConnectionResetError(errno.ECONNRESET, "closed by the camera")
            self._reader.feed(data)

    def _keep_early(self, frame: Frame) -> None:
        """Frames before PLAY belong to a dead session of an old live555 (quirk 31)."""
        if self._early is None:
            self.stale_ids.add(frame.channel)
            return
        self._early += serialise_frame(frame.channel, frame.payload)
        if len(self._early) > _MAX_EARLY_BYTES:
            raise MessageError("a flood of frames and no answer to PLAY")

    def timed_out(self) -> IngestError:
        """The failure where the port is open and no answer comes, or no further one."""
        return IngestError(
            ConditionType.STREAMING if self._attempt.answered else ConditionType.REACHABLE,
            Reason.TIMEOUT,
            f"The camera did not answer {self._step} in time",
        )

    def unreadable(self, error: MessageError) -> IngestError:
        """The failure where an answer cannot be read. What has never spoken RTSP is another server,
        of the web for one, at the port that was declared."""
        if isinstance(error, OtherProtocolError) and not self._attempt.answered:
            return refusal.not_rtsp(self._attempt.target.port)
        return refusal.protocol_error(f"The camera's RTSP answer makes no sense: {error}")

    def ended(self, error: OSError) -> IngestError:
        """The failure where the connection ended before the camera played.

        Cameras that do not know a path, or have no place for one more viewer, close instead of
        answering DESCRIBE. So does a port that speaks TLS and is asked without.
        """
        if self._step == "DESCRIBE" and socket_failure(error) is SocketFailure.CLOSED:
            tls = self._attempt.target.tls or self._attempt.answered
            others = "or be starting" if tls else "be starting, or speak TLS there (rtsps)"
            return IngestError(
                ConditionType.STREAMING,
                Reason.STREAM_REFUSED,
                "The camera closed the connection when it was asked for its stream (DESCRIBE): it "
                f"may not know the path, have too many viewers, {others}",
            )
        return IngestError(
            ConditionType.STREAMING,
            Reason.STREAM_ENDED,
            f"The camera closed the RTSP connection during {self._step}",
        )
