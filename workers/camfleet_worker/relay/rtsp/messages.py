# SPDX-License-Identifier: Apache-2.0
"""RTSP as a publisher speaks it, without any I/O: what opens a stream at a monitoring system.

ANNOUNCE, SETUP over TCP interleaved, RECORD (RFC 2326 sections 10.3, 10.4, 10.11), the login in
between, later keepalive and TEARDOWN. Called by the publisher, which owns the connection.
Numbering, login, session header and keepalives are rtsp/session.py's, as towards cameras; the SDP
is ours (RFC 4566, with the parameter sets of RFC 6184 section 8.1 and RFC 7798 section 7.1).
"""

from __future__ import annotations

import base64
from enum import Enum, auto

from camfleet_api.conditions import Reason
from camfleet_worker.base.errors import IngestError, Retry
from camfleet_worker.login.challenges import Authorizer
from camfleet_worker.media_types.access_unit import Codec, VideoFormat
from camfleet_worker.media_types.audio_unit import AudioFormat
from camfleet_worker.relay.rtsp.audio import AUDIO_IDS, describe_audio
from camfleet_worker.relay.rtsp.packets import PAYLOAD_TYPE, VIDEO_IDS
from camfleet_worker.relay.target import RelayTarget
from camfleet_worker.rtsp.headers import InterleavedIds, is_udp, settled_ids
from camfleet_worker.rtsp.message import Response
from camfleet_worker.rtsp.refusal import redirected_host, redirected_port
from camfleet_worker.rtsp.session import RtspSession

_TRACK, _AUDIO_TRACK = "streamid=0", "streamid=1"
_MOST_LOGINS = 3
"""A nonce that is called stale (RFC 2617 section 3.2.1) is no refusal, but not for ever."""
_SESSION_NOT_FOUND = 454
_MEANINGS = {
    403: ": it forbids that",
    404: ": it knows no such path",
    405: ": it does not allow that at this path",
    453: ": it has no room for the stream",
    461: ": it does not take RTP over the RTSP connection (TCP)",
    500: ": it failed inside",
    501: ": it does not know that method",
    503: ": it is overloaded or still starting",
}
"""What its refusals mean (RFC 2326 section 7.1.1)."""


class Step(Enum):
    """Which answer is awaited."""

    ANNOUNCE = auto()
    SETUP = auto()
    SETUP_AUDIO = auto()
    RECORD = auto()
    RECORDING = auto()


class RecordSession:
    """Our half of one session that records at a monitoring system."""

    def __init__(
        self,
        target: RelayTarget,
        video: VideoFormat,
        session_id: int,
        audio: AudioFormat | None = None,
    ) -> None:
        self.audio_accepted = audio is not None
        """Whether the audio is taken: announced, and not refused."""
        self.step = Step.ANNOUNCE
        self._target = target
        self._sdp = describe(video, session_id, audio)
        login = target.credentials
        self._session = RtspSession(Authorizer(login.username, login.password) if login else None)
        self._session.aggregate_url = target.url
        self._logins = 0

    def open(self) -> bytes:
        """The first request."""
        return self._request_for_step()

    def answered(self, response: Response) -> bytes:
        """What to send after this answer, nothing once RECORDING. IngestError when refused."""
        if response.cseq is not None and response.cseq != self._session.last_cseq:
            return b""  # an answer to something earlier
        if response.status == 401:
            return self._log_in(response)
        if self.step is Step.SETUP_AUDIO and 400 <= response.status < 500:
            # A monitoring system that wants no audio still gets the video.
            self.audio_accepted = False
            self.step = Step.RECORD
            return self._request_for_step()
        if not 200 <= response.status < 300:
            raise self._refused(response)
        if self.step is Step.SETUP:
            self._require_interleaved(response)
        elif self.step is Step.SETUP_AUDIO:
            # One that wants it in another way gets the video alone.
            self.audio_accepted = _settles_otherwise(response, AUDIO_IDS) is None
        self._session.learn(response)
        if self.step is Step.ANNOUNCE:
            self.step = Step.SETUP
        elif self.step is Step.SETUP:
            if not self._session.session_id:
                raise self._target.failure(Reason.VMS_REJECTED, "opened no session")
            self.step = Step.SETUP_AUDIO if self.audio_accepted else Step.RECORD
        elif self.step is Step.SETUP_AUDIO:
            self.step = Step.RECORD
        elif self.step is Step.RECORD:
            self.step = Step.RECORDING
            return b""
        return self._request_for_step()

    @property
    def keepalive_interval_s(self) -> float:
        """After RECORD was granted, so often a keepalive is due."""
        return self._session.keepalive_interval_s

    def keepalive(self) -> bytes:
        """A request without effect, since servers forget silent sessions; empty where the server
        takes none."""
        return self._session.keepalive() or b""

    def answered_while_recording(self, response: Response) -> bytes:
        """What to send after an answer to a keepalive. IngestError where the server has forgotten
        the session; any other answer shows that it lives."""
        if response.status == _SESSION_NOT_FOUND:
            raise self._target.failure(Reason.VMS_UNREACHABLE, "has forgotten the session")
        return self._session.keepalive_answered(response) or b""

    def teardown(self) -> bytes:
        """The end, or nothing where no session was opened."""
        return self._session.teardown() if self._session.session_id else b""

    def _request_for_step(self) -> bytes:
        url, session = self._target.url, self._session
        if self.step is Step.ANNOUNCE:
            return session.request(
                "ANNOUNCE", url, [("Content-Type", "application/sdp")], self._sdp
            )
        if self.step is Step.SETUP:
            return self._set_up(_TRACK, VIDEO_IDS)
        if self.step is Step.SETUP_AUDIO:
            return self._set_up(_AUDIO_TRACK, AUDIO_IDS)
        return session.request("RECORD", url, [("Range", "npt=0.000-")])

    def _set_up(self, track: str, ids: InterleavedIds) -> bytes:
        transport = f"RTP/AVP/TCP;unicast;interleaved={ids.rtp}-{ids.rtcp};mode=record"
        url = f"{self._target.url.rstrip('/')}/{track}"
        return self._session.request("SETUP", url, [("Transport", transport)])

    def _log_in(self, response: Response) -> bytes:
        """Answer a challenge once; a second one means that the account is refused."""
        if self._target.credentials is None:
            raise self._target.failure(
                Reason.VMS_CREDENTIALS_MISSING, "wants a login", Retry.ON_SECRET_CHANGE
            )
        stale = self._session.stale(response) and self._logins < _MOST_LOGINS
        if self._logins and not stale:
            raise self._target.failure(
                Reason.VMS_REJECTED, "refuses user name and password", Retry.ON_SECRET_CHANGE
            )
        if not self._session.challenged(response):
            raise self._target.failure(
                Reason.VMS_REJECTED, "wants a login other than Basic and Digest", Retry.SLOW
            )
        self._logins += 1
        return self._request_for_step()

    def _require_interleaved(self, response: Response) -> None:
        """IngestError where the answer to SETUP settles on something else than was asked for: what
        is sent would reach nobody, and RECORD would be granted all the same."""
        what = _settles_otherwise(response, VIDEO_IDS)
        if what is not None:
            raise self._target.failure(Reason.VMS_REJECTED, what)

    def _refused(self, response: Response) -> IngestError:
        status = response.status
        if status == 415:
            return self._target.failure(
                Reason.VMS_CODEC_UNSUPPORTED, "does not take this codec", Retry.SLOW
            )
        meaning = _redirected_to(response) if status < 400 else _MEANINGS.get(status, "")
        return self._target.failure(
            Reason.VMS_REJECTED,
            f"answered {self.step.name} with {status}{meaning}",
            # Only an account can be locked by asking again.
            Retry.SLOW if status == 403 and self._logins else Retry.BACKOFF,
        )


def _redirected_to(response: Response) -> str:
    """Where a server redirects to (RFC 2326 section 11.3), which is not followed: the login is for
    the declared system."""
    location = response.headers.get("location") or ""
    host, port = redirected_host(location), redirected_port(location)
    address = "".join(filter(str.isprintable, host)) + (f":{port}" if port is not None else "")
    return f": it redirects to {address or 'nowhere'}, which is not followed"


def _settles_otherwise(response: Response, asked: InterleavedIds) -> str | None:
    """What a server does that answers SETUP with something else than was asked for, if it does."""
    settled = response.headers.get("transport")
    if settled is None:
        return None
    if is_udp(settled):
        return "answers SETUP over TCP with UDP"
    if settled_ids(settled, asked) is None:
        return "answers SETUP with a Transport that is not RTP over this connection"
    if settled_ids(settled, asked) != asked:
        return "answers SETUP with other channels than were asked for"
    return None


def describe(video: VideoFormat, session_id: int, audio: AudioFormat | None = None) -> bytes:
    """The SDP of a stream. It names no camera: a monitoring system knows it by its URL."""
    return "\r\n".join(
        (
            "v=0",
            f"o=- {session_id} 1 IN IP4 0.0.0.0",
            "s=-",
            "c=IN IP4 0.0.0.0",
            "t=0 0",
            f"m=video 0 RTP/AVP {PAYLOAD_TYPE}",
            f"a=rtpmap:{PAYLOAD_TYPE} {video.codec}/90000",
            f"a=fmtp:{PAYLOAD_TYPE} {_format_parameters(video)}",
            f"a=control:{_TRACK}",
            *(() if audio is None else describe_audio(audio, _AUDIO_TRACK)),
            "",
        )
    ).encode()


def _format_parameters(video: VideoFormat) -> str:
    if video.codec is Codec.H264:
        sps = next(unit for unit in video.parameter_sets if unit[0] & 0x1F == 7)
        sets = ",".join(_base64(unit) for unit in video.parameter_sets)
        return (
            f"packetization-mode=1;profile-level-id={sps[1:4].hex().upper()}"
            f";sprop-parameter-sets={sets}"
        )
    names = {32: "sprop-vps", 33: "sprop-sps", 34: "sprop-pps"}
    by_name: dict[str, list[str]] = {name: [] for name in names.values()}
    for unit in video.parameter_sets:
        by_name[names[unit[0] >> 1 & 0x3F]].append(_base64(unit))
    return ";".join(f"{name}={','.join(units)}" for name, units in by_name.items() if units)


def _base64(unit: bytes) -> str:
    return base64.b64encode(unit).decode()
