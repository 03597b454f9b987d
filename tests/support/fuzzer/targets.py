# SPDX-License-Identifier: Apache-2.0
"""What is fed, and what each parser may answer with.

A target takes one input and returns when it was read or refused as declared. Whatever else it
raises is a finding: an exception of another type, a promise of the parser that does not hold.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from camfleet_api.monitoring_system import RelayProtocol
from camfleet_worker.base.errors import IngestError
from camfleet_worker.containers.configuration_record import configuration_record
from camfleet_worker.containers.configuration_record import parameter_sets as read_sets
from camfleet_worker.containers.mp4 import header
from camfleet_worker.login.challenges import Authorizer, parse_challenges
from camfleet_worker.login.credentials import Credentials
from camfleet_worker.media.counters import StreamCounters
from camfleet_worker.media.receiver import StreamReceiver
from camfleet_worker.media_types.access_unit import Codec, VideoFormat
from camfleet_worker.media_types.audio_unit import AudioCodec, AudioFormat
from camfleet_worker.onvif import wsdl
from camfleet_worker.onvif.discovery import MAX_ENDPOINT, read_matches
from camfleet_worker.onvif.envelope import Operation, SoapCodec
from camfleet_worker.onvif.transport import HttpAnswer
from camfleet_worker.relay.rtmp.messages import ChunkReader, RtmpError, as_command, pong
from camfleet_worker.relay.rtmp.refusal import meaning, refusal
from camfleet_worker.relay.target import RelayTarget
from camfleet_worker.resolve.addresses import hidden, path_and_query, revealed
from camfleet_worker.resolve.refusal import refusal_of, rejection
from camfleet_worker.rtp.audio import AacPacking, AudioPayload
from camfleet_worker.rtp.parameter_sets import ParameterSets
from camfleet_worker.rtp.rtcp import find_sender_report
from camfleet_worker.rtsp.audio import OfferedAudio, offered_audio
from camfleet_worker.rtsp.client import PlayingStream, StreamTarget
from camfleet_worker.rtsp.headers import (
    InterleavedIds,
    parse_interleaved,
    parse_public,
    parse_session,
)
from camfleet_worker.rtsp.message import MessageError, MessageReader, Request, Response
from camfleet_worker.rtsp.playing import AudioTrack
from camfleet_worker.rtsp.sdp import base_path, control_path, parse_description
from camfleet_worker.rtsp.session import RtspSession, answer_request
from camfleet_worker.timeline.audio import AudioTimeline
from camfleet_worker.timeline.timeline import Timeline
from fuzzer import skipping
from fuzzer.mutation import cuts, mutated
from fuzzer.promise import BrokenPromise
from fuzzer.sockets import closed_socket
from fuzzer.structure import mutated_elements, mutated_frames, mutated_lines

RECORDINGS = Path(__file__).parent / "recordings"

HOST = "camera.invalid"
CREDENTIALS = Credentials("ingest", "s3cret:@#", "v1")


@dataclass(frozen=True)
class Target:
    """One parser, or one chain of them, from octets to values."""

    name: str
    recording: str
    """Prefix of the files in recordings/ that its inputs are made from."""
    feed: Callable[[bytes], None]
    mutate: Callable[[Sequence[bytes], int], bytes] = mutated

    def recordings(self) -> list[bytes]:
        """The conversations that are made hostile."""
        found = [file.read_bytes() for file in sorted(RECORDINGS.glob(f"{self.recording}*.bin"))]
        if not found:
            raise FileNotFoundError(f"no recording {self.recording}*.bin: python -m fuzzer.record")
        return found


def rtsp_messages(data: bytes) -> None:
    """A conversation as the handshake reads it, every header that has a structure included."""
    reader, session = MessageReader(), RtspSession(Authorizer("ingest", "s3cret:@#"))
    session.aggregate_url = f"rtsp://{HOST}:554/"
    for piece in cuts(data, len(data)):
        try:
            reader.feed(piece)
            for item in reader:
                if isinstance(item, Response):
                    _read_response(session, item)
                elif isinstance(item, Request):
                    answer_request(item)
        except MessageError:
            return


def _read_response(session: RtspSession, response: Response) -> None:
    session.learn(response)
    session.stale(response)
    session.challenged(response)
    session.keepalive_answered(response)
    for name, value in response.headers:
        if name == "transport":
            parse_interleaved(value)
        elif name == "session":
            parse_session(value)
        elif name == "public":
            parse_public(value)
    if not 0 <= session.keepalive_interval_s <= 3600:
        raise BrokenPromise(f"keepalive every {session.keepalive_interval_s} s")
    session.keepalive()
    if response.body:
        session_description(response.body)


def session_description(data: bytes) -> None:
    """SDP, and that nothing in it leads to another host."""
    description = parse_description(data)
    text = data.decode("utf-8", "replace")
    base = base_path([text.partition("\n")[0], "/stream"])
    target = StreamTarget.at(HOST, 554, base)
    controls = [description.control, *(section.control for section in description.media)]
    for control in controls:
        _stays(target.url(control_path(base, control)))
    for section in description.media:
        if section.codec is not None:
            sets = ParameterSets(section.codec, section.parameter_sets)
            _plausible(sets)
            _takable(offered_audio(description, section))
    if not description.offered().isprintable():
        raise BrokenPromise("what is offered is not printable")


def _stays(url: str) -> None:
    authority = url.removeprefix("rtsp://").partition("/")[0]
    if authority != f"{HOST}:554":
        raise BrokenPromise(f"leads to {authority!r}")


def _recordable(video: VideoFormat) -> None:
    header(video, 0, None)
    kept = read_sets(video.codec, configuration_record(video))
    if kept != video.parameter_sets:
        raise BrokenPromise(f"a record of {kept!r}")


def _plausible(sets: ParameterSets) -> None:
    video = sets.format
    if video is not None and not (0 <= video.width <= 65535 and 0 <= video.height <= 65535):
        raise BrokenPromise(f"a picture of {video.width}x{video.height}")


def _takable(offered: OfferedAudio | None) -> None:
    if offered is None:
        return
    audio, packing = offered.payload.format, offered.payload.packing
    if not (0 < audio.clock_hz < 1_000_000 and 0 < audio.channels <= 8):
        raise BrokenPromise(f"audio of {audio.channels} channels at {audio.clock_hz} Hz")
    if packing is not None and not 1 <= packing.size_bits <= 16:
        raise BrokenPromise(f"sizes of {packing.size_bits} bits")


def challenges(data: bytes) -> None:
    """WWW-Authenticate in any form."""
    lines = data.decode("latin-1").splitlines()
    found = parse_challenges(lines)
    answer = Authorizer("ingest", "s3cret:@#").answer(found)
    if answer is not None:
        answer.header("DESCRIBE", f"rtsp://{HOST}/")


def h264_stream(data: bytes) -> None:
    """Everything after PLAY, H.264."""
    _stream(data, Codec.H264)


def h265_stream(data: bytes) -> None:
    """Everything after PLAY, H.265."""
    _stream(data, Codec.H265)


@functools.cache
def _parameter_sets(codec: Codec) -> tuple[bytes, ...]:
    """What the recorded description says, so that pictures come out at all."""
    description = parse_description((RECORDINGS / f"sdp-{codec.value.lower()}.bin").read_bytes())
    return description.media[0].parameter_sets


_MAX_PICTURE_BYTES = 16 * 1024 * 1024


def _stream(data: bytes, codec: Codec) -> None:
    """As the media loop does: pieces into one buffer, what is not consumed comes again."""
    sets = _parameter_sets(codec)
    playing = PlayingStream(
        closed_socket(), RtspSession(None), InterleavedIds(0, 1), codec, 96, sets, b""
    )
    receiver = StreamReceiver(playing, StreamCounters(), lambda message: None)
    rest = b""
    for piece in cuts(data, len(data)):
        buffer = bytearray(rest + piece + bytes(64))
        end = len(rest) + len(piece)
        try:
            consumed = receiver.consume(memoryview(buffer), end, 5.0)
        except MessageError:
            return
        if not 0 <= consumed <= end:
            raise BrokenPromise(f"consumed {consumed} of {end} octets")
        rest = bytes(buffer[consumed:end])
        for picture in receiver.take_access_units():
            if not picture.data or len(picture.data) > _MAX_PICTURE_BYTES:
                raise BrokenPromise(f"a picture of {len(picture.data)} octets")
        receiver.receiver_report(6.0)


def audio_stream(data: bytes) -> None:
    """Everything after PLAY, with audio beside the video; by each way to pack it."""
    for payload_type, payload in _AUDIOS:
        _audio(data, AudioTrack(InterleavedIds(2, 3), payload_type, payload))


_AUDIOS = (
    (97, AudioPayload(AudioFormat(AudioCodec.AAC, 16_000, 1), AacPacking(13, 3, 3, 1024))),
    (97, AudioPayload(AudioFormat(AudioCodec.AAC, 16_000, 1), AacPacking(6, 2, 2, 1024))),
    (8, AudioPayload(AudioFormat(AudioCodec.PCMA, 8000, 1))),
)


def _audio(data: bytes, track: AudioTrack) -> None:
    playing = PlayingStream(
        closed_socket(),
        RtspSession(None),
        InterleavedIds(0, 1),
        Codec.H264,
        96,
        (),
        b"",
        audio=track,
    )
    receiver = StreamReceiver(playing, StreamCounters(), lambda message: None)
    try:
        receiver.consume(memoryview(bytearray(data)), len(data), 5.0)
    except MessageError:
        pass
    assert receiver.audio is not None
    frames = receiver.audio.take_frames()
    if not all(frame.data for frame in frames):
        raise BrokenPromise("a unit without audio")
    if sum(len(frame.data) for frame in frames) > len(data):
        raise BrokenPromise("more audio than was sent")
    timeline, before = AudioTimeline(Timeline(0.0)), -1
    for frame in frames:
        time = timeline.stamp(frame.timestamp, track.payload.format.clock_hz, 1.0)
        if time is None or time <= before:
            raise BrokenPromise(f"time {time} after {before}")
        before = time


def parameter_sets(data: bytes) -> None:
    """SPS, PPS and VPS of both codecs."""
    for codec in Codec:
        sets = ParameterSets(codec)
        for unit in data.split(b"\x00\x00\x00\x01"):
            if unit:
                sets.take(unit)
        _plausible(sets)
        if sets.format is not None:
            _recordable(sets.format)


def sender_report(data: bytes) -> None:
    """RTCP compound packets."""
    report = find_sender_report(memoryview(data), 0, len(data), 1.0)
    if report is not None:
        float(report.camera_time)


_OPERATIONS = (
    Operation(wsdl.DEVICE, "GetSystemDateAndTime"),
    Operation(wsdl.DEVICE, "GetServices"),
    Operation(wsdl.DEVICE, "GetCapabilities"),
    Operation(wsdl.DEVICE, "GetDeviceInformation"),
    Operation(wsdl.MEDIA1, "GetVideoSources"),
    Operation(wsdl.MEDIA1, "GetProfiles"),
    Operation(wsdl.MEDIA1, "GetStreamUri"),
    Operation(wsdl.MEDIA2, "GetVideoSourceConfigurations"),
    Operation(wsdl.MEDIA2, "GetProfiles"),
    Operation(wsdl.MEDIA2, "GetStreamUri"),
    Operation(wsdl.DEVICE, "GetEndpointReference"),
    Operation(wsdl.DEVICE, "GetNetworkInterfaces"),
)
_codec: SoapCodec | None = None
_loop: asyncio.AbstractEventLoop | None = None


def soap(data: bytes) -> None:
    """An HTTP body as SOAP: opened, its fault judged, read as each operation it may answer."""
    global _codec, _loop
    if _codec is None or _loop is None:
        _codec, _loop = SoapCodec(), asyncio.new_event_loop()
    _loop.run_until_complete(_soap(_codec, data))


async def _soap(codec: SoapCodec, data: bytes) -> None:
    head, blank, body = data.partition(b"\r\n\r\n")
    answer = HttpAnswer(200, (), "", "application/soap+xml", "", body if blank else head)
    try:
        opened = await codec.open(answer)
    except IngestError:
        return
    refusal = refusal_of(401, tuple(parse_challenges([head.decode("latin-1")])), opened.fault, "")
    if refusal is not None:
        error = rejection(refusal.offers[:1], refusal, 0.0)
        if len(error.message) > 512 or not error.message.isprintable():
            raise BrokenPromise(f"a message of {len(error.message)} characters")
    if opened.document is None:
        return
    for operation in _OPERATIONS:
        if operation.name.encode() in body:
            try:
                await codec.read(operation, opened)
            except IngestError:
                pass


def addresses(data: bytes) -> None:
    """Addresses that a camera names: a path remains, and never a host."""
    text = data.decode("latin-1")
    for line in text.splitlines()[:20]:
        path = path_and_query(line)
        if path and not path.startswith("/"):
            raise BrokenPromise(f"a path that is none: {path!r}")
        masked = hidden(path, CREDENTIALS)
        if CREDENTIALS.password in masked:
            raise BrokenPromise("a password in what is kept")
        revealed(masked, CREDENTIALS)
        target = StreamTarget.at(HOST, 554, path or "/")
        _stays(target.url())
        if urlsplit(target.url()).hostname != HOST:
            raise BrokenPromise("another host")


def probe_match(data: bytes) -> None:
    """An answer to a probe: paths of it remain, whatever it is."""
    for match in read_matches(data):
        if not all(path.startswith("/") and path.isascii() for path in match.paths):
            raise BrokenPromise(f"paths that are none: {match.paths!r}")
        if len(match.endpoint_reference) > MAX_ENDPOINT:
            raise BrokenPromise("an endpoint reference without end")


_VMS = RelayTarget(RelayProtocol.RTMP, HOST, 1935, "/live/gate", frozenset(Codec), CREDENTIALS)


def rtmp_messages(data: bytes) -> None:
    """What a monitoring system says over RTMP."""
    reader = ChunkReader()
    try:
        for piece in cuts(data, len(data)):
            for item in reader.feed(piece):
                read = as_command(item)
                if read is not None:
                    meaning(refusal(read.values, read.transaction), _VMS)
                pong(item)
    except RtmpError:
        return


TARGETS = {
    target.name: target
    for target in (
        Target("rtsp-messages", "rtsp", rtsp_messages),
        Target("rtsp-lines", "rtsp", rtsp_messages, mutated_lines),
        Target("session-description", "sdp", session_description),
        Target("sdp-lines", "sdp", session_description, mutated_lines),
        Target("challenges", "challenge", challenges),
        Target("h264-stream", "stream-h264", h264_stream),
        Target("h264-frames", "stream-h264", h264_stream, mutated_frames),
        Target("h265-stream", "stream-h265", h265_stream),
        Target("h265-frames", "stream-h265", h265_stream, mutated_frames),
        Target("audio-stream", "audio", audio_stream),
        Target("audio-frames", "audio", audio_stream, mutated_frames),
        Target("parameter-sets", "sets", parameter_sets),
        Target("sender-report", "rtcp", sender_report),
        Target("soap", "soap", soap),
        Target("soap-elements", "soap", soap, mutated_elements),
        Target("addresses", "address", addresses),
        Target("probe-match", "probe-match", probe_match),
        Target("probe-match-elements", "probe-match", probe_match, mutated_elements),
        Target("rtmp-messages", "rtmp", rtmp_messages),
        Target("beside-a-medium", "part", skipping.beside_a_medium),
        Target("beside-a-challenge", "part", skipping.beside_a_challenge),
        Target("beside-a-value", "part", skipping.beside_a_value),
        Target("beside-a-command", "part", skipping.beside_a_command),
        Target("beside-a-text", "part", skipping.beside_a_text),
        Target("beside-a-picture", "part", skipping.beside_a_picture),
    )
}
"""By name. Where two share a parser, the second keeps the outer form and so reaches further in."""
