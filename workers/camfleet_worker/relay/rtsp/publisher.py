# SPDX-License-Identifier: Apache-2.0
"""The RTSP conversation that opens a stream at a monitoring system, without any I/O.

ANNOUNCE, SETUP over TCP interleaved, RECORD (RFC 2326 sections 10.3, 10.4, 10.11), the login in
between, later keepalive and TEARDOWN. Called by the RTSP relay, which owns the socket. The SDP is
ours (RFC 4566, with the parameter sets of RFC 6184 section 8.1 and RFC 7798 section 7.1).
"""

from __future__ import annotations

import base64
from enum import Enum, auto

from camfleet_api.conditions import ConditionType, Reason
from camfleet_worker.base.errors import IngestError, Retry
from camfleet_worker.base.whole_number import whole_number
from camfleet_worker.media_types.access_unit import Codec, VideoFormat
from camfleet_worker.media_types.audio_unit import AudioFormat
from camfleet_worker.relay.rtsp.audio import (
    AUDIO_RTCP_CHANNEL,
    AUDIO_RTP_CHANNEL,
    describe_audio,
)
from camfleet_worker.relay.rtsp.packets import PAYLOAD_TYPE, RTCP_CHANNEL, RTP_CHANNEL
from camfleet_worker.relay.target import RelayTarget
from camfleet_worker.rtsp.auth import Authorization, Authorizer, parse_challenges
from camfleet_worker.rtsp.message import Response, serialise_request

USER_AGENT = "camfleet"
_TRACK, _AUDIO_TRACK = "streamid=0", "streamid=1"
_DEFAULT_TIMEOUT_S = 60
"""RFC 2326 section 12.37."""
_SHORTEST_TIMEOUT_S = 10


class Step(Enum):
    """Which answer is awaited."""

    ANNOUNCE = auto()
    SETUP = auto()
    SETUP_AUDIO = auto()
    RECORD = auto()
    RECORDING = auto()


class Announcement:
    """One conversation on one connection."""

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
        self.keepalive_s = _DEFAULT_TIMEOUT_S / 2
        self._target = target
        self._sdp = describe(video, session_id, audio)
        self._cseq = 0
        self._session: str | None = None
        self._authorization: Authorization | None = None
        self._logins = 0

    def open(self) -> bytes:
        """The first request."""
        return self._request_for_step()

    def answered(self, response: Response) -> bytes:
        """What to send after this answer, nothing once RECORDING. IngestError when refused."""
        if response.cseq is not None and response.cseq != self._cseq:
            return b""  # an answer to something earlier
        if response.status == 401:
            return self._log_in(response)
        if self.step is Step.SETUP_AUDIO and 400 <= response.status < 500:
            # A monitoring system that wants no audio still gets the pictures.
            self.audio_accepted = False
            self.step = Step.RECORD
            return self._request_for_step()
        if not 200 <= response.status < 300:
            raise _refused(self._target, self.step, response.status)
        if self.step is Step.ANNOUNCE:
            self.step = Step.SETUP
        elif self.step is Step.SETUP:
            self._take_session(response)
            self.step = Step.SETUP_AUDIO if self.audio_accepted else Step.RECORD
        elif self.step is Step.SETUP_AUDIO:
            self.step = Step.RECORD
        elif self.step is Step.RECORD:
            self.step = Step.RECORDING
            return b""
        return self._request_for_step()

    def keepalive(self) -> bytes:
        """A request without effect: servers forget sessions that say nothing."""
        return self._request("OPTIONS", self._target.url)

    def teardown(self) -> bytes:
        """The end, or nothing where no session was opened."""
        return self._request("TEARDOWN", self._target.url) if self._session else b""

    @property
    def awaited_cseq(self) -> int:
        """The number of the last request."""
        return self._cseq

    def _request_for_step(self) -> bytes:
        url = self._target.url
        if self.step is Step.ANNOUNCE:
            return self._request("ANNOUNCE", url, ("Content-Type", "application/sdp"))
        if self.step is Step.SETUP:
            return self._set_up(_TRACK, RTP_CHANNEL, RTCP_CHANNEL)
        if self.step is Step.SETUP_AUDIO:
            return self._set_up(_AUDIO_TRACK, AUDIO_RTP_CHANNEL, AUDIO_RTCP_CHANNEL)
        return self._request("RECORD", url, ("Range", "npt=0.000-"))

    def _set_up(self, track: str, rtp: int, rtcp: int) -> bytes:
        transport = f"RTP/AVP/TCP;unicast;interleaved={rtp}-{rtcp};mode=record"
        url = f"{self._target.url.rstrip('/')}/{track}"
        return self._request("SETUP", url, ("Transport", transport))

    def _request(self, method: str, uri: str, *more: tuple[str, str]) -> bytes:
        self._cseq += 1
        headers = [("CSeq", str(self._cseq)), ("User-Agent", USER_AGENT), *more]
        if self._session:
            headers.append(("Session", self._session))
        if self._authorization is not None:
            headers.append(("Authorization", self._authorization.header(method, uri)))
        return serialise_request(method, uri, headers, self._sdp if method == "ANNOUNCE" else b"")

    def _log_in(self, response: Response) -> bytes:
        """Answer a challenge once; a second one means that the account is refused.

        A stale nonce is no refusal (RFC 2617 section 3.2.1), but it is believed only twice.
        """
        credentials = self._target.credentials
        if credentials is None:
            raise IngestError(
                ConditionType.RELAYING,
                Reason.VMS_CREDENTIALS_MISSING,
                f"The monitoring system at {self._target.authority} wants a login",
                Retry.ON_SECRET_CHANGE,
            )
        challenges = parse_challenges(response.headers.all("www-authenticate"))
        stale = any(challenge.stale for challenge in challenges)
        if self._authorization is not None and not (stale and self._logins < 3):
            raise IngestError(
                ConditionType.RELAYING,
                Reason.VMS_REJECTED,
                f"The monitoring system at {self._target.authority} refuses user name and password",
                Retry.ON_SECRET_CHANGE,
            )
        self._authorization = Authorizer(credentials.username, credentials.password).answer(
            challenges
        )
        self._logins += 1
        if self._authorization is None:
            raise IngestError(
                ConditionType.RELAYING,
                Reason.VMS_REJECTED,
                f"The monitoring system at {self._target.authority} wants a login other than "
                "Basic and Digest",
                Retry.SLOW,
            )
        return self._request_for_step()

    def _take_session(self, response: Response) -> None:
        value = response.headers.get("session")
        if not value:
            raise IngestError(
                ConditionType.RELAYING,
                Reason.VMS_REJECTED,
                f"The monitoring system at {self._target.authority} opened no session",
            )
        session, *parameters = (part.strip() for part in value.split(";"))
        self._session = session
        for parameter in parameters:
            name, _, number = parameter.partition("=")
            timeout_s = whole_number(number[:6], digits=6)
            if name.lower() == "timeout" and timeout_s is not None:
                self.keepalive_s = max(_SHORTEST_TIMEOUT_S, timeout_s) / 2


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


def _refused(target: RelayTarget, step: Step, status: int) -> IngestError:
    if status == 415:
        return IngestError(
            ConditionType.RELAYING,
            Reason.VMS_CODEC_UNSUPPORTED,
            f"The monitoring system at {target.authority} does not take this codec",
            Retry.SLOW,
        )
    return IngestError(
        ConditionType.RELAYING,
        Reason.VMS_REJECTED,
        f"The monitoring system at {target.authority} answered {step.name} with {status}",
        Retry.SLOW if status == 403 else Retry.BACKOFF,
    )
