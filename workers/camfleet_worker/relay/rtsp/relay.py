# SPDX-License-Identifier: Apache-2.0
"""The RTSP relay: forwards access units to a monitoring system by ANNOUNCE and RECORD over TCP.

Called by the media loop on its thread. Nothing here waits: the socket is non-blocking and each
tick moves the connection one step or sends what has gathered. It reconnects by itself, with its
own rhythm, and never raises: what went wrong is its state. Words are announcement.py's, packets
rtp_packets.py's, dropping gop_queue.py's.

Compiled by mypyc (workers/compile_media.py): no attribute may be added from outside, none may be of
another type than declared, and nothing may be set on the class by a test.
"""

from __future__ import annotations

import errno
import random
import socket
import ssl
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass

from camfleet_api.conditions import ConditionType, Reason
from camfleet_api.monitoring_system import RelayProtocol
from camfleet_worker.base.errors import IngestError, Retry
from camfleet_worker.media_types.access_unit import AccessUnit, VideoFormat
from camfleet_worker.media_types.audio_queue import AUDIO_BYTES, AudioQueue
from camfleet_worker.media_types.audio_unit import AudioFormat, AudioUnit
from camfleet_worker.media_types.causes import Cause, cause_of
from camfleet_worker.media_types.delivery_log import DeliveryLog
from camfleet_worker.media_types.sink_state import SinkCounters, SinkPhase, SinkState
from camfleet_worker.relay.ack_tracker import Deliveries
from camfleet_worker.relay.gop_queue import GopQueue
from camfleet_worker.relay.name_resolver import Address, Resolver
from camfleet_worker.relay.reconnect import Reconnect
from camfleet_worker.relay.rtsp.audio import AudioPacketiser
from camfleet_worker.relay.rtsp.packets import Packetiser
from camfleet_worker.relay.rtsp.publisher import Announcement, Step
from camfleet_worker.relay.target import RelayTarget, unsupported_codec
from camfleet_worker.relay.tcp_unacked import unacknowledged_octets
from camfleet_worker.relay.vms_tls import tls_trouble, vms_tls
from camfleet_worker.rtsp.message import (
    Frame,
    MessageError,
    MessageReader,
    Request,
    Response,
    serialise_response,
)
from camfleet_worker.rtsp.tls import TlsSocket

QUEUE_BYTES = 4 << 20
"""What may wait for the monitoring system: a quarter of a minute at 2 Mbit/s."""
_CONNECT_S = 5.0
_ANSWER_S = 10.0
_PROGRESS_S = 10.0
"""A connection that acknowledges no byte for so long is dead. Judged here: TCP_USER_TIMEOUT also
ends connections whose peer reads steadily, but less than a buffer of the kernel's at a time."""
_TOO_SLOW_S = 30.0
"""After dropping, this long until the relay is called well again."""
_SENDER_REPORT_S = 5.0
"""RFC 3550 section 6.2 recommends this minimum interval."""
_BATCH_BYTES = 256 << 10
_READ_BYTES = 65_536
_LISTEN_S = 1.0
"""While pictures flow, a peer that was silent is asked so often whether it has said something: it
answers a keepalive and reports now and then. That it is gone, the next sends tell."""
_JUDGE_S = 1.0
"""While all is taken at once, so often it is asked what is acknowledged; else each tick."""
_UNSENT_BYTES = 128 << 10
"""The kernel would else take megabytes before it says that the other side is slow, and what it has
taken can no longer be dropped."""
_STARTING = SinkState(SinkPhase.STARTING)
_WORKING = SinkState(SinkPhase.WORKING)


@dataclass(slots=True)
class _Connection:
    """One attempt, from connect() to the end of the stream."""

    socket: socket.socket | TlsSocket
    others: list[Address]
    """Addresses still to try when this one does not answer."""
    deadline: float
    talk: Announcement
    video: VideoFormat
    reader: MessageReader
    packetiser: Packetiser
    audio: AudioPacketiser | None
    """Announced beside the pictures; None where the camera has sent no audio."""
    connected: bool = False
    """By TCP, and by TLS where the target says so."""
    unsent: bytes | memoryview = b""
    taken_bytes: int = 0
    """By the kernel, since the beginning."""
    acknowledged_bytes: int = 0
    listen_at: float = float("-inf")
    judge_at: float = float("-inf")
    progress_at: float = 0.0
    """When the other side last acknowledged something, or owed us nothing."""
    media_bytes: int = 0
    report_at: float = 0.0
    keepalive_at: float = 0.0
    keepalive_cseq: int | None = None
    origin_at: float = 0.0
    """Our clock minus the stream's timeline, in seconds, at the first picture sent."""

    @property
    def recording(self) -> bool:
        """Whether RECORD was granted."""
        return self.talk.step is Step.RECORDING


class RtspRelay:
    """Relays one camera to one monitoring system."""

    condition = ConditionType.RELAYING

    def __init__(
        self,
        name: str,
        target: RelayTarget,
        resolver: Resolver,
        queue_bytes: int = QUEUE_BYTES,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.name = name
        self.counters = SinkCounters()
        self.delivery_log = DeliveryLog()
        """Of what the other side's TCP has acknowledged."""
        self._deliveries = Deliveries(self.delivery_log)
        self._target = target
        self._tls = vms_tls(target.authorities) if target.protocol is RelayProtocol.RTSPS else None
        self._resolver = resolver
        self._queue = GopQueue(queue_bytes, self.counters)
        self._audio_queue = AudioQueue(AUDIO_BYTES, self.counters)
        self._reconnect = Reconnect(jitter)
        self._state = _STARTING
        self._now = float("-inf")
        self._too_slow_until = float("-inf")
        self._video: VideoFormat | None = None
        self._audio: AudioFormat | None = None
        self._resolving: Future[list[Address]] | None = None
        self._resolving_until = 0.0
        self._connection: _Connection | None = None
        self._closed = False

    @property
    def state(self) -> SinkState:
        """Working means: RECORD was granted, and the other side acknowledges what we send."""
        state = self._state
        if state.phase is SinkPhase.WORKING and self._now < self._too_slow_until:
            return SinkState(
                SinkPhase.FAILED,
                self._error(Reason.VMS_TOO_SLOW, "takes less than arrives"),
            )
        return state

    def push(self, unit: AccessUnit) -> None:
        """Queue one access unit; it leaves with the next tick."""
        if self._closed:
            return
        if unit.format is not self._video and unit.format != self._video:
            self._take_format(unit.format)
        if unit.key and not self._recording():
            # Nobody takes them yet: keep the latest GOP only, to begin with a picture of now.
            self._queue.drop_all()
        if not self._queue.push(unit):
            self._audio_queue.drop_before(self._queue.first_pts)
            if self._recording():
                self._too_slow_until = self._now + _TOO_SLOW_S
                self._deliveries.dropped()
                self.delivery_log.failed(Cause.VMS)

    def push_audio(self, unit: AudioUnit) -> None:
        """Queue one audio unit. One in another format is announced at the next key frame."""
        if self._closed:
            return
        if unit.format is not self._audio and unit.format != self._audio:
            self._audio = unit.format
        self._audio_queue.push(unit)

    def tick(self, now: float) -> None:
        """Move the connection on, or send what has gathered."""
        self._now = now
        if self._closed or self._video is None:
            return
        try:
            if self._connection is not None:
                self._serve(self._connection, now)
            elif self._resolving is not None:
                self._await_addresses(self._resolving, now)
            elif self._reconnect.may_connect(now) and len(self._queue):
                self._resolving = self._resolver.resolve(self._target.host, self._target.port)
                self._resolving_until = now + _ANSWER_S
        except IngestError as error:
            self._fail(error, now)
        except MessageError:
            self._fail(self._error(Reason.VMS_REJECTED, "does not speak RTSP"), now)
        except OSError as error:
            self._fail(self._error(Reason.VMS_UNREACHABLE, _what_happened(error)), now)

    def close(self) -> None:
        """Say TEARDOWN where a session is open, and hang up."""
        self._closed = True
        self._hang_up()
        self._queue.drop_all()
        self._audio_queue.drop_before(None)

    def _recording(self) -> bool:
        return self._connection is not None and self._connection.recording

    def _take_format(self, video: VideoFormat) -> None:
        self._video = video
        refused = unsupported_codec(self._target, video.codec)
        if refused is not None:
            self._fail(refused, self._now)
        elif self._state.error is not None and (
            self._state.error.reason is Reason.VMS_CODEC_UNSUPPORTED
        ):
            # The camera was set to a codec that is taken: a fresh start.
            self._reconnect = Reconnect(random.random)
            self._state = _STARTING

    # Connecting

    def _await_addresses(self, resolving: Future[list[Address]], now: float) -> None:
        if not resolving.done():
            if now > self._resolving_until:
                raise self._error(Reason.VMS_UNREACHABLE, "has a name that nobody resolves")
            return
        self._resolving = None
        try:
            addresses = resolving.result()
        except OSError:
            raise self._error(Reason.VMS_UNREACHABLE, "has a name that does not resolve") from None
        self._connect(addresses, now)

    def _connect(self, addresses: list[Address], now: float) -> None:
        first, *others = addresses
        video = self._video
        assert video is not None
        self._connection = _Connection(
            socket=_connecting_socket(first),
            others=others,
            deadline=now + _CONNECT_S,
            talk=Announcement(self._target, video, random.getrandbits(48), self._audio),
            video=video,
            reader=MessageReader(),
            packetiser=Packetiser(
                video.codec, random.getrandbits(32), random.getrandbits(16), random.getrandbits(32)
            ),
            audio=_audio_packetiser(self._audio),
        )

    def _serve(self, connection: _Connection, now: float) -> None:
        if not connection.connected and not self._finish_connecting(connection, now):
            return
        if now >= connection.listen_at or _encrypted(connection):
            self._receive(connection, now)
        if connection.recording:
            self._forward(connection, now)
        else:
            self._send(connection, now)
            self._require_answer(connection, now)

    def _require_answer(self, connection: _Connection, now: float) -> None:
        if now > connection.deadline:
            raise self._error(Reason.VMS_UNREACHABLE, "takes connections but does not answer")

    def _finish_connecting(self, connection: _Connection, now: float) -> bool:
        if isinstance(connection.socket, TlsSocket):
            return self._shake_hands(connection, connection.socket, now)
        failure = _connect_result(connection.socket)
        if failure == errno.EINPROGRESS and now <= connection.deadline:
            return False
        if failure == 0:
            connection.deadline = now + _ANSWER_S
            if self._tls is None:
                self._begin_talk(connection, now)
                return True
            connection.socket = TlsSocket(connection.socket, self._target.host, self._tls)
            return self._shake_hands(connection, connection.socket, now)
        if not connection.others:
            raise OSError(errno.ETIMEDOUT if failure == errno.EINPROGRESS else failure, "connect")
        connection.socket.close()
        self._connect(connection.others, now)
        return False

    def _shake_hands(self, connection: _Connection, tls: TlsSocket, now: float) -> bool:
        """Nothing of RTSP is said before the certificate was verified."""
        try:
            tls.handshake()
        except BlockingIOError:
            self._require_answer(connection, now)
            return False
        self._begin_talk(connection, now)
        return True

    def _begin_talk(self, connection: _Connection, now: float) -> None:
        connection.connected = True
        connection.deadline = now + _ANSWER_S
        connection.unsent = connection.talk.open()

    # The conversation

    def _receive(self, connection: _Connection, now: float) -> None:
        try:
            data = connection.socket.recv(_READ_BYTES)
        except (BlockingIOError, ssl.SSLWantReadError):
            if connection.recording:
                connection.listen_at = now + _LISTEN_S
            return
        if not data:
            raise self._error(Reason.VMS_UNREACHABLE, "closed the connection")
        connection.reader.feed(data)
        for item in connection.reader:
            if isinstance(item, Frame):
                continue  # receiver reports: TCP itself already tells what arrives
            answer = (
                self._answered(connection, item, now)
                if isinstance(item, Response)
                else _answer_request(item)
            )
            if answer:
                connection.unsent = bytes(connection.unsent) + answer

    def _answered(self, connection: _Connection, response: Response, now: float) -> bytes:
        if connection.recording:
            # Whatever it says to a keepalive, it is there. Only a lost session is the end.
            if response.status == 454:
                raise self._error(Reason.VMS_UNREACHABLE, "has forgotten the session")
            connection.keepalive_cseq = None
            return b""
        answer = connection.talk.answered(response)
        connection.deadline = now + _ANSWER_S
        if connection.recording:
            self.counters.connects += 1
            self._deliveries.begin()
            connection.progress_at = now
            connection.keepalive_at = now + connection.talk.keepalive_s
            self._queue.begin_at_key()
            self._audio_queue.drop_before(self._queue.first_pts)
        return answer

    # The stream

    def _forward(self, connection: _Connection, now: float) -> None:
        while True:
            if not connection.unsent:
                connection.unsent = self._batch(connection, now)
            if not connection.unsent or not self._send(connection, now) or not len(self._queue):
                break
        due = now >= connection.judge_at or connection.unsent
        if due and self._connection is connection:
            self._judge(connection, now)

    def _batch(self, connection: _Connection, now: float) -> bytes:
        """What leaves with one send: control messages due, then as many pictures as fit."""
        parts: list[bytes | memoryview] = []
        units: list[AccessUnit] = []
        if now >= connection.keepalive_at:
            self._keep_alive(connection, parts, now)
        size = 0
        audio_waits = len(self._audio_queue) > 0
        while size < _BATCH_BYTES and len(self._queue):
            if self._announces_else(connection, self._queue.first):
                if not parts:
                    self._announce_again(now)
                break
            unit = self._queue.pop()
            units.append(unit)
            self._append(connection, unit, parts, now)
            size += len(unit.data)
            if audio_waits:
                self._append_audio(connection, unit.pts_90k, parts)
        if audio_waits and not len(self._queue) and connection.media_bytes:
            self._append_audio(connection, None, parts)
        data = b"".join(parts)
        self._deliveries.sent(len(data), units)
        return data

    def _announces_else(self, connection: _Connection, first: AccessUnit) -> bool:
        """Whether what comes next is not what was announced; other audio waits for a key frame."""
        if first.format is not connection.video and first.format != connection.video:
            return True
        if not first.key:
            return False
        return self._audio != (None if connection.audio is None else connection.audio.format)

    def _append_audio(
        self, connection: _Connection, until_90k: int | None, parts: list[bytes | memoryview]
    ) -> None:
        audio = connection.audio if connection.talk.audio_accepted else None
        for unit in self._audio_queue.take(until_90k):
            taken = audio is not None and unit.format == audio.format and audio.append(unit, parts)
            self.counters.audio_units += taken
            self.counters.dropped_audio_units += not taken

    def _append(
        self,
        connection: _Connection,
        unit: AccessUnit,
        parts: list[bytes | memoryview],
        now: float,
    ) -> None:
        if connection.media_bytes == 0:
            connection.origin_at = unit.origin_at
        if now >= connection.report_at:
            connection.report_at = now + _SENDER_REPORT_S
            taken_at = connection.origin_at + unit.pts_90k / 90_000
            parts.append(connection.packetiser.sender_report(unit.pts_90k, taken_at))
            if connection.audio is not None and connection.talk.audio_accepted:
                parts.append(connection.audio.sender_report(unit.pts_90k, taken_at))
        connection.packetiser.append(unit, parts)
        size = len(unit.data)
        connection.media_bytes += size
        self.counters.access_units += 1
        self.counters.bytes += size

    def _keep_alive(
        self, connection: _Connection, parts: list[bytes | memoryview], now: float
    ) -> None:
        if connection.keepalive_cseq is not None:
            raise self._error(Reason.VMS_UNREACHABLE, "takes data but answers no keepalive")
        parts.append(connection.talk.keepalive())
        connection.keepalive_cseq = connection.talk.awaited_cseq
        connection.keepalive_at = now + connection.talk.keepalive_s

    def _announce_again(self, now: float) -> None:
        """Another format is another stream to RTSP: end this one, open the next at once."""
        self._hang_up()
        self._resolving = self._resolver.resolve(self._target.host, self._target.port)
        self._resolving_until = now + _ANSWER_S

    def _send(self, connection: _Connection, now: float) -> bool:
        """Send what is unsent; whether all of it went."""
        unsent = connection.unsent
        if not unsent:
            return True
        try:
            sent = connection.socket.send(unsent)
        except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            return False
        except OSError:
            self._receive(connection, now)  # why it hung up, where it has said so
            raise
        connection.taken_bytes += sent
        connection.unsent = b"" if sent == len(unsent) else memoryview(unsent)[sent:]
        return not connection.unsent

    def _judge(self, connection: _Connection, now: float) -> None:
        """Once something of the stream was acknowledged, it is taken; where nothing more is, the
        connection is dead."""
        underway = _underway(connection)
        acknowledged = connection.taken_bytes - underway
        if not underway or acknowledged > connection.acknowledged_bytes:
            connection.acknowledged_bytes = acknowledged
            connection.progress_at = now
        elif now - connection.progress_at > _PROGRESS_S:
            raise self._error(Reason.VMS_UNREACHABLE, "takes no more data")
        unacknowledged = underway + len(connection.unsent)
        self._deliveries.unacknowledged(unacknowledged)
        if self._state is _WORKING:
            self._reconnect.healthy(now)
            connection.judge_at = now + _JUDGE_S
        elif connection.media_bytes and unacknowledged < connection.media_bytes:
            self._state = _WORKING
            self._reconnect.healthy(now)

    # The end

    def _fail(self, error: IngestError, now: float) -> None:
        self._state = SinkState(SinkPhase.FAILED, error)
        self.delivery_log.failed(cause_of(error.condition, error.reason))
        self._reconnect.failed(now, error.retry)
        self._hang_up()

    def _hang_up(self) -> None:
        if self._resolving is not None:
            self._resolving.cancel()
            self._resolving = None
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if connection.connected:
            _say_goodbye(connection)
        connection.socket.close()

    def _error(self, reason: Reason, what: str) -> IngestError:
        retry = Retry.SLOW if reason is Reason.VMS_REJECTED else Retry.BACKOFF
        fact = f"The monitoring system at {self._target.authority} {what}"
        return IngestError(ConditionType.RELAYING, reason, fact, retry)


def _audio_packetiser(audio: AudioFormat | None) -> AudioPacketiser | None:
    if audio is None:
        return None
    numbers = random.getrandbits(32), random.getrandbits(16), random.getrandbits(32)
    return AudioPacketiser(audio, *numbers)


def _connecting_socket(address: Address) -> socket.socket:
    connecting = socket.socket(address.family, socket.SOCK_STREAM)
    connecting.setblocking(False)
    connecting.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connecting.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT_BYTES)
    failure = connecting.connect_ex(address.sockaddr)
    if failure not in (0, errno.EINPROGRESS):
        connecting.close()
        raise OSError(failure, "connect")
    return connecting


def _connect_result(connecting: socket.socket) -> int:
    """0 when connected, EINPROGRESS while it is not, else what failed."""
    failure = connecting.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if failure:
        return failure
    try:
        connecting.getpeername()
    except OSError as error:
        return errno.EINPROGRESS if error.errno == errno.ENOTCONN else error.errno or errno.EIO
    return 0


def _underway(connection: _Connection) -> int:
    """Octets taken that the peer has not acknowledged, those of TLS included."""
    connected = connection.socket
    return unacknowledged_octets(connected.fileno()) + _encrypted(connection)


def _encrypted(connection: _Connection) -> int:
    """Octets that wait in TLS for the kernel; receiving sends them too."""
    connected = connection.socket
    return connected.unsent_bytes if isinstance(connected, TlsSocket) else 0


def _answer_request(request: Request) -> bytes:
    """Servers may ask too (RFC 2326 section 10): alive, yes; anything else, no."""
    status, reason = (200, "OK") if request.method == "OPTIONS" else (501, "Not Implemented")
    return serialise_response(status, reason, [("CSeq", str(request.cseq or 0))])


def _say_goodbye(connection: _Connection) -> None:
    """Best effort, without waiting: the rest of the packet begun, then TEARDOWN."""
    try:
        goodbye = connection.talk.teardown()
        if goodbye:
            connection.socket.send(bytes(connection.unsent) + goodbye)
        connection.socket.shutdown(socket.SHUT_WR)
        # Answers not read would turn close() into a reset that outruns what was just sent.
        while connection.socket.recv(_READ_BYTES):
            pass
    except (OSError, ssl.SSLError):
        return  # it is gone already: nobody is left to be told


def _what_happened(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return tls_trouble(error)
    if error.errno == errno.ECONNREFUSED:
        return "refuses the connection"
    if error.errno in (errno.EHOSTUNREACH, errno.ENETUNREACH):
        return "cannot be routed to"
    if error.errno == errno.ETIMEDOUT:
        return "does not answer"
    return f"broke the connection with {errno.errorcode.get(error.errno or 0, 'an unknown error')}"
