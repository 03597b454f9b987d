# SPDX-License-Identifier: Apache-2.0
"""What is said to a camera from DESCRIBE to PLAY (RFC 2326), made by client.py.

One request goes out without credentials, then one attempt is made with them; a second one only for
another scheme that the camera offers, where the gate grants it: cameras lock accounts.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Awaitable, Callable
from dataclasses import replace

from camfleet_api.conditions import ConditionType, Reason
from camfleet_worker.base.errors import IngestError, Retry
from camfleet_worker.login.credentials import Credentials
from camfleet_worker.media_types.access_unit import Codec
from camfleet_worker.rtsp import refusal, udp
from camfleet_worker.rtsp.audio import offered_audio
from camfleet_worker.rtsp.auth import Authorization, Authorizer
from camfleet_worker.rtsp.connection import Connection
from camfleet_worker.rtsp.headers import (
    InterleavedIds,
    is_udp,
    parse_interleaved,
    parse_server_ports,
)
from camfleet_worker.rtsp.message import (
    Frame,
    MessageError,
    MessageReader,
    Request,
    Response,
    serialise_frame,
)
from camfleet_worker.rtsp.playing import AudioTrack, PlayingStream
from camfleet_worker.rtsp.sdp import (
    Description,
    MediaSection,
    base_path,
    control_path,
    parse_description,
    path_of,
)
from camfleet_worker.rtsp.session import RtspSession, answer_request
from camfleet_worker.rtsp.target import StreamTarget

_MAX_EARLY_BYTES = 512 * 1024
"""Frames that arrive between PLAY and its answer; more is a flood."""
_MOST_SCHEMES = 2
"""Kinds of login tried in one handshake: a camera may offer what it does not get right."""
_FEWEST_LEFT = 3
"""Nothing more is tried when the camera says that fewer attempts are left."""
_REDIRECTS = (301, 302, 303, 305, 307)
_UNSUPPORTED_TRANSPORT = 461
_AUDIO_PATIENCE_S = 3.0
"""How long the answer about the audio may take: the video waits behind it."""

BeforeAttempt = Callable[[], Awaitable[None]]
"""Awaited right before credentials are first sent: the attempt is written down before it is made.
It may raise IngestError when none is left."""


class Redirected(Exception):
    """The same device wants to be asked at another path."""

    def __init__(self, path: str) -> None:
        super().__init__("redirected")
        self.path = path


class AudioSetupFailed(Exception):
    """Asking for audio has cost the session; without audio it may play."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class Handshake:
    """One attempt to play, on one connection after the other where the camera redirects."""

    def __init__(
        self,
        target: StreamTarget,
        credentials: Credentials | None,
        before_attempt: BeforeAttempt,
    ) -> None:
        self.target = target
        self._has_credentials = credentials is not None
        self._before_attempt = before_attempt
        self._session = RtspSession(
            Authorizer(credentials.username, credentials.password) if credentials else None
        )
        self._taken = False
        """Whether a request with credentials was answered with anything but 401."""
        self._answered = False
        self._step = "connect"
        self._farewell: asyncio.Task[None] | None = None
        self._silence = ""
        """Why there is no audio though it was asked for."""

    def begin(self, connection: Connection) -> None:
        """Talk on this connection from here on."""
        self._connection = connection
        self._reader = MessageReader()
        self._early: bytearray | None = None
        self._stale_channels: set[int] = set()
        self._udp: udp.UdpSocket | None = None

    def go_to(self, path: str) -> None:
        """Ask there next time."""
        self.target = self.target.with_path(path)

    async def go_without_audio(self, why: str) -> None:
        """Do not ask for it again; let the session that it has cost end first, since the camera
        may have no place for two."""
        self.target = replace(self.target, audio=False)
        self._silence = why
        self._session.forget()
        if self._farewell is not None:
            await self._farewell

    async def run(self) -> PlayingStream:
        """DESCRIBE, SETUP of the video and perhaps of the audio, PLAY."""
        described = await self._request(
            "DESCRIBE", self.target.url(), [("Accept", "application/sdp")]
        )
        description = parse_description(described.body)
        video, codec = _choose_video(description, self.target.codecs)
        headers = described.headers
        base = base_path(
            [headers.get("content-base"), headers.get("content-location"), self.target.path]
        )
        channels = await self._set_up(control_path(base, video.control))
        audio = await self._set_up_audio(description, video, base, channels)
        self._session.aggregate_url = self.target.url(control_path(base, description.control))
        self._early = bytearray()
        await self._play(with_audio=audio is not None)
        rest = self._reader.take_rest()
        if self._udp is not None:
            self._udp.unread(rest)
            rest = b""
        return PlayingStream(
            socket=self._udp or self._connection.media,
            session=self._session,
            channels=channels,
            codec=codec,
            payload_type=video.payload_type,
            parameter_sets=video.parameter_sets,
            received=bytes(self._early) + rest,
            transport="udp" if self._udp else "tcp",
            certificate=self._connection.certificate,
            audio=audio,
            silence=self._silence,
        )

    def abandon(self) -> None:
        """Close; a session that was set up is torn down in the background."""
        if self._udp is not None:
            self._udp.release()
        if not self._session.session_id:
            self._connection.close()
            return
        try:
            last_words = self._session.teardown()
        except MessageError:  # the camera named a URL that cannot be sent
            self._connection.close()
            return
        self._farewell = asyncio.get_running_loop().create_task(
            self._connection.close_after(last_words), name="rtsp farewell"
        )
        _farewells.add(self._farewell)
        self._farewell.add_done_callback(_farewells.discard)

    # Transport.

    async def _set_up(self, path: str) -> InterleavedIds:
        """TCP unless the camera takes UDP only; what worked the last time is asked for first."""
        url = self.target.url(path)
        # TEARDOWN of a handshake that fails between SETUP and PLAY goes to the media's own URL.
        self._session.aggregate_url = url
        may_udp = self.target.udp_allowed and not self.target.tls
        ways = [self._set_up_udp, self._set_up_tcp] if may_udp and self.target.udp_first else []
        for way in ways or [self._set_up_tcp, *([self._set_up_udp] if may_udp else [])]:
            channels = await way(url)
            if channels is not None:
                return channels
        raise refusal.udp_only(self.target.udp_allowed, self.target.tls)

    async def _set_up_tcp(self, url: str) -> InterleavedIds | None:
        """Interleaved on this connection; None where the camera does not do that."""
        free = self._free_channels()
        asked = f"RTP/AVP/TCP;unicast;interleaved={free.rtp}-{free.rtcp}"
        response = await self._ask_to_set_up(url, asked)
        if response is None:
            return None
        # Without a Transport header the camera has taken what was asked for.
        settled = response.headers.get("transport") or asked
        channels = parse_interleaved(settled)
        if channels is None and is_udp(settled):
            await self._take_back(url)
        elif channels is None:
            raise refusal.udp_only(allowed=True, tls=self.target.tls)
        return channels

    async def _set_up_udp(self, url: str) -> InterleavedIds | None:
        """Datagrams to a pair of ports of ours; None where the camera does not do that."""
        sockets = udp.UdpSocket(self._connection.plain)
        try:
            ours = sockets.client_ports
            response = await self._ask_to_set_up(
                url, f"RTP/AVP;unicast;client_port={ours.rtp}-{ours.rtcp}"
            )
            settled = response.headers.get("transport") or "RTP/AVP" if response else ""
            if response is None or not is_udp(settled) or parse_interleaved(settled):
                sockets.release()
                if response is not None:
                    await self._take_back(url)
                return None
        except BaseException:
            sockets.release()
            raise
        self._udp = sockets
        server = parse_server_ports(settled)
        if server is not None:
            sockets.open_way(server)
        return udp.CHANNELS

    async def _ask_to_set_up(self, url: str, transport: str) -> Response | None:
        """The answer to SETUP; None where the camera does not support the transport."""
        response = await self._request(
            "SETUP", url, [("Transport", transport)], but=_UNSUPPORTED_TRANSPORT
        )
        if response.status == _UNSUPPORTED_TRANSPORT:
            return None
        if not self._session.session_id:
            raise refusal.protocol_error("The camera's answer to SETUP names no session")
        return response

    async def _set_up_audio(
        self, description: Description, video: MediaSection, base: str, taken: InterleavedIds
    ) -> AudioTrack | None:
        """A second SETUP in the session, on the next channels; None where there is no audio."""
        if not self.target.audio:
            return None
        audio = None if self._udp else offered_audio(description, video)
        if audio is None:
            self._silence = "it is sent over UDP" if self._udp else "none is offered that we take"
            return None
        free = self._free_channels(taken)
        asked = f"RTP/AVP/TCP;unicast;interleaved={free.rtp}-{free.rtcp}"
        try:
            async with asyncio.timeout(_AUDIO_PATIENCE_S):
                url = self.target.url(control_path(base, audio.section.control))
                response = await self._request("SETUP", url, [("Transport", asked)])
        except IngestError as refused:
            self._silence = refused.detail
            return None
        except Redirected:
            self._silence = "the camera redirects it"
            return None
        except (OSError, MessageError) as error:  # TimeoutError is one
            raise AudioSetupFailed("asking for it ends the conversation") from error
        channels = parse_interleaved(response.headers.get("transport") or asked)
        if channels is None:
            self._silence = "the camera sends it over UDP only"
            return None
        payload_type = audio.section.payload_type
        if (channels.rtp, payload_type) == (taken.rtp, video.payload_type):
            raise AudioSetupFailed("nothing tells it from the video")
        return AudioTrack(channels, payload_type, audio.payload)

    async def _play(self, with_audio: bool) -> None:
        try:
            await self._request("PLAY", self._session.aggregate_url, [("Range", "npt=0.000-")])
        except IngestError as error:
            if with_audio and error.condition is ConditionType.STREAMING:
                raise AudioSetupFailed(f"with it, {error.detail}") from error
            raise

    async def _take_back(self, url: str) -> None:
        """A session set up by the wrong transport, which the camera would keep."""
        self._step = "TEARDOWN"
        await self._ask("TEARDOWN", url, [])
        self._session.forget()

    def _free_channels(self, taken: InterleavedIds | None = None) -> InterleavedIds:
        """Channels on which no dead session is heard (quirk 31), nor the video; 0 and 1 nearly
        always, and 2 and 3 beside them."""
        occupied = self._stale_channels | ({taken.rtp, taken.rtcp} if taken else set())
        for low in range(0, 256, 2):
            if not {low, low + 1} & occupied:
                return InterleavedIds(low, low + 1)
        raise MessageError("frames of dead sessions on every channel")

    # Requests.

    async def _request(
        self, method: str, url: str, headers: list[tuple[str, str]], but: int = 200
    ) -> Response:
        """Ask, log in where that is demanded, and accept nothing but success (or `but`)."""
        self._step = method
        response = await self._ask(method, url, headers)
        if response.status == 401:
            response = await self._log_in(response, method, url, headers)
        if response.status in _REDIRECTS:
            raise self._redirected(response)
        if not 200 <= response.status < 300 and response.status != but:
            raise refusal.refused(method, response, self.target.session_timeout_s)
        return response

    def _redirected(self, response: Response) -> Exception:
        """Where to ask next on the same device, or the refusal to go anywhere else."""
        location = response.headers.get("location") or ""
        host, path = refusal.redirected_host(location), path_of(location)
        if not path or host.lower() not in ("", self.target.host.lower()):
            return refusal.redirect_refused(host)
        return Redirected(path)

    async def _log_in(
        self, challenge: Response, method: str, url: str, headers: list[tuple[str, str]]
    ) -> Response:
        """The first login of this handshake, or a new nonce for credentials already taken.

        Some cameras give each URL a nonce of its own (quirk 7); that spends no attempt.
        """
        if not self._has_credentials:
            raise refusal.credentials_missing()
        if refusal.locked(challenge):
            raise refusal.account_locked()
        if self._taken:
            self._session.challenged(challenge)
            return await self._ask(method, url, headers)
        response, tried = challenge, set[str]()
        while len(tried) < _MOST_SCHEMES and (offer := self._next_offer(response, tried)):
            tried.add(offer.name)
            await self._before_attempt()
            response = await self._attempt(offer, method, url, headers)
            if response.status != 401:
                self._taken = True
                break
        if not tried:
            raise refusal.protocol_error(
                "RTSP asks for a login by a scheme that is not Basic or Digest"
            )
        return response

    def _next_offer(self, response: Response, tried: set[str]) -> Authorization | None:
        """The strongest kind not tried yet; None where one more try could lock the account."""
        left = refusal.attempts_left(response)
        if refusal.locked(response) or (tried and left is not None and left < _FEWEST_LEFT):
            return None
        return next((o for o in self._session.offers(response) if o.name not in tried), None)

    async def _attempt(
        self, offer: Authorization, method: str, url: str, headers: list[tuple[str, str]]
    ) -> Response:
        self._session.log_in(offer)
        response = await self._ask(method, url, headers)
        if response.status == 401 and self._session.stale(response):
            # RFC 2617 section 3.3: the credentials were right, only the nonce was too old.
            self._session.challenged(response)
            response = await self._ask(method, url, headers)
        return response

    async def _ask(self, method: str, url: str, headers: list[tuple[str, str]]) -> Response:
        await self._connection.send(self._session.request(method, url, headers))
        response = await self._answer()
        self._answered = True
        self._session.learn(response)
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
            self._stale_channels.add(frame.channel)
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


_farewells: set[asyncio.Task[None]] = set()
"""asyncio keeps only weak references to tasks."""


_SPOKEN = {Codec.H264: "H.264", Codec.H265: "H.265"}


def _choose_video(
    description: Description, allowed: tuple[Codec, ...]
) -> tuple[MediaSection, Codec]:
    for section in description.media:
        if section.codec in allowed:
            return section, section.codec
    kinds = {section.kind for section in description.media}
    offered = description.offered()[:100] or "no media"
    if "audio" in kinds and "video" not in kinds:
        raise IngestError(
            ConditionType.STREAMING,
            Reason.AUDIO_ONLY,
            f"The stream offers {offered} and no video",
            Retry.SLOW,
        )
    raise IngestError(
        ConditionType.ELIGIBLE,
        Reason.NO_ALLOWED_STREAM,
        f"The stream offers {offered}, not {' or '.join(_SPOKEN[one] for one in allowed)}",
        Retry.SLOW,
    )
