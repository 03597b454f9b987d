# SPDX-License-Identifier: Apache-2.0
"""Sends the requests from DESCRIBE to PLAY (RFC 2326) on one connection.

client.py makes one for each connection of an attempt to play. It sets up video, audio and their
transports; it neither connects nor follows a redirect. exchange.py sends requests, login.py logs
in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from camfleet_api.conditions import ConditionType
from camfleet_worker.base.errors import IngestError
from camfleet_worker.base.skipped import Part
from camfleet_worker.rtsp import refusal, udp
from camfleet_worker.rtsp.attempt import Attempt
from camfleet_worker.rtsp.audio import offered_audio
from camfleet_worker.rtsp.connection import Connection
from camfleet_worker.rtsp.exchange import Exchange, Redirected
from camfleet_worker.rtsp.headers import (
    InterleavedIds,
    is_udp,
    parse_interleaved,
    parse_server_ports,
    settled_ids,
)
from camfleet_worker.rtsp.message import (
    MessageError,
    Response,
)
from camfleet_worker.rtsp.playing import AudioTrack, PlayingStream
from camfleet_worker.rtsp.sdp import (
    Description,
    MediaSection,
    base_path,
    control_path,
    media_base,
    parse_description,
    path_of,
)
from camfleet_worker.rtsp.video import choose_video

_UNSUPPORTED_TRANSPORT = 461


@dataclass(frozen=True, slots=True)
class HandshakeTimings:
    """The deadlines in seconds, an argument of the client."""

    audio_patience_s: float = 3.0
    """How long the answer about audio may take; the video waits for it."""


DEFAULT_TIMINGS = HandshakeTimings()


class AudioSetupFailed(Exception):
    """The camera ended the session at the request for audio; without audio it may play."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class Handshake:
    """DESCRIBE, SETUP and PLAY on one connection, which it owns until it has played."""

    def __init__(self, attempt: Attempt, connection: Connection, timings: HandshakeTimings) -> None:
        self._attempt = attempt
        self._target = attempt.target
        self._session = attempt.session
        self._connection = connection
        self._exchange = Exchange(attempt, connection)
        self._timings = timings
        self._udp: udp.UdpSocket | None = None
        self._teardown: asyncio.Task[None] | None = None

    async def run(self) -> PlayingStream:
        """DESCRIBE, SETUP of the video and perhaps of the audio, PLAY."""
        described = await self._exchange.request(
            "DESCRIBE", self._target.url(), [("Accept", "application/sdp")]
        )
        description = parse_description(described.body)
        for line in description.skipped_media:
            self._attempt.note_skipped(Part.SDP_MEDIUM, line)
        for line in description.skipped_lines:
            self._attempt.note_skipped(Part.SDP_LINE, line)
        video, codec = choose_video(description, self._target.codecs)
        headers = described.headers
        stated = [headers.get("content-base"), headers.get("content-location")]
        base = base_path([*stated, self._target.path])
        of_media = media_base(base, any(map(path_of, stated)), description)
        ids = await self._set_up(control_path(of_media, video.control))
        audio = await self._set_up_audio(description, video, of_media, ids)
        self._session.aggregate_url = self._target.url(control_path(base, description.control))
        self._exchange.expect_frames()
        await self._play(with_audio=audio is not None)
        early, rest = self._exchange.take_early(), self._exchange.take_rest()
        if self._udp is not None:
            self._udp.unread(rest)
            rest = b""
        return PlayingStream(
            socket=self._udp or self._connection.media,
            session=self._session,
            ids=ids,
            codec=codec,
            payload_type=video.payload_type,
            parameter_sets=video.parameter_sets,
            received=early + rest,
            transport="udp" if self._udp else "tcp",
            certificate=self._connection.certificate,
            audio=audio,
            silence=self._attempt.silence,
        )

    def abandon(self) -> None:
        """Close; a session that was set up is torn down in the background."""
        if self._udp is not None:
            self._udp.release()
        if not self._session.session_id:
            self._connection.close()
            return
        try:
            message = self._session.teardown()
        except MessageError:  # the camera named a URL that cannot be sent
            self._connection.close()
            return
        self._teardown = asyncio.get_running_loop().create_task(
            self._connection.close_after(message), name="rtsp farewell"
        )
        _teardowns.add(self._teardown)
        self._teardown.add_done_callback(_teardowns.discard)

    async def gone(self) -> None:
        """Return when TEARDOWN has reached the camera or cannot reach it: the camera may not serve
        two sessions."""
        if self._teardown is not None:
            await self._teardown

    def timed_out(self) -> IngestError:
        """The failure where the deadline has passed."""
        return self._exchange.timed_out()

    def unreadable(self, error: MessageError) -> IngestError:
        """The failure where the camera's answer cannot be read."""
        return self._exchange.unreadable(error)

    def ended(self, error: OSError) -> IngestError:
        """The failure where the connection has ended with this error."""
        return self._exchange.ended(error)

    # Transport.

    async def _set_up(self, path: str) -> InterleavedIds:
        """TCP unless the camera takes UDP only; what worked the last time is asked for first."""
        url = self._target.url(path)
        # TEARDOWN of a handshake that fails between SETUP and PLAY goes to the media's own URL.
        self._session.aggregate_url = url
        for way in self._ways():
            ids = await way(url)
            if ids is not None:
                return ids
        raise refusal.udp_only(self._target.udp_allowed, self._target.tls)

    def _ways(self) -> list[Callable[[str], Awaitable[InterleavedIds | None]]]:
        """The transports of the video, in the order to ask for them."""
        if self._target.tls or not self._target.udp_allowed:
            return [self._set_up_tcp]
        if self._target.udp_first:
            return [self._set_up_udp, self._set_up_tcp]
        return [self._set_up_tcp, self._set_up_udp]

    async def _set_up_tcp(self, url: str) -> InterleavedIds | None:
        """Interleaved on this connection; None where the camera does not do that."""
        free = self._free_ids()
        asked = f"RTP/AVP/TCP;unicast;interleaved={free.rtp}-{free.rtcp}"
        response = await self._ask_to_set_up(url, asked)
        if response is None:
            return None
        settled = response.headers.get("transport") or asked
        ids = settled_ids(settled, free)
        if ids is None and is_udp(settled):
            await self._take_back(url)
        elif ids is None:
            raise refusal.udp_only(allowed=True, tls=self._target.tls)
        return ids

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
        return udp.IDS

    async def _ask_to_set_up(self, url: str, transport: str) -> Response | None:
        """The answer to SETUP; None where the camera does not support the transport."""
        response = await self._exchange.request(
            "SETUP", url, [("Transport", transport)], but=_UNSUPPORTED_TRANSPORT
        )
        return None if response.status == _UNSUPPORTED_TRANSPORT else response

    async def _set_up_audio(
        self, description: Description, video: MediaSection, base: str, taken: InterleavedIds
    ) -> AudioTrack | None:
        """A second SETUP in the session, on the next ids; None where there is no audio."""
        if not self._target.audio:
            return None
        audio = None if self._udp else offered_audio(description, video)
        if audio is None:
            self._attempt.silence = (
                "it is sent over UDP" if self._udp else "none is offered that we take"
            )
            return None
        free = self._free_ids(taken)
        asked = f"RTP/AVP/TCP;unicast;interleaved={free.rtp}-{free.rtcp}"
        try:
            async with asyncio.timeout(self._timings.audio_patience_s):
                url = self._target.url(control_path(base, audio.section.control))
                response = await self._exchange.request("SETUP", url, [("Transport", asked)])
        except IngestError as refused:
            self._attempt.silence = refused.detail
            return None
        except Redirected:
            self._attempt.silence = "the camera redirects it"
            return None
        except (OSError, MessageError) as error:  # TimeoutError is one
            raise AudioSetupFailed("asking for it ends the conversation") from error
        ids = settled_ids(response.headers.get("transport") or asked, free)
        if ids is None:
            self._attempt.silence = "the camera sends it over UDP only"
            return None
        payload_type = audio.section.payload_type
        if (ids.rtp, payload_type) == (taken.rtp, video.payload_type):
            raise AudioSetupFailed("nothing tells it from the video")
        return AudioTrack(ids, payload_type, audio.payload)

    async def _play(self, with_audio: bool) -> None:
        try:
            await self._exchange.request(
                "PLAY", self._session.aggregate_url, [("Range", "npt=0.000-")]
            )
        except IngestError as error:
            if with_audio and error.condition is ConditionType.STREAMING:
                raise AudioSetupFailed(f"with it, {error.detail}") from error
            raise

    async def _take_back(self, url: str) -> None:
        """Tear down a session with the wrong transport, which the camera would keep."""
        await self._exchange.ask("TEARDOWN", url, [])
        self._session.forget()

    def _free_ids(self, taken: InterleavedIds | None = None) -> InterleavedIds:
        """Ids on which no dead session sends (quirk 31), nor the video; 0 and 1 nearly
        always, and 2 and 3 beside them."""
        occupied = self._exchange.stale_ids | ({taken.rtp, taken.rtcp} if taken else set())
        for low in range(0, 256, 2):
            if not {low, low + 1} & occupied:
                return InterleavedIds(low, low + 1)
        raise MessageError("frames of dead sessions on every interleaved id")


_teardowns: set[asyncio.Task[None]] = set()
"""asyncio keeps only weak references to tasks."""
