# SPDX-License-Identifier: Apache-2.0
"""One RTSP connection that publishes: a non-blocking socket, what is said on it and what is sent.

Made by the RTSP relay once the connection stands, and used on the media loop's thread: nothing here
waits. What is said is messages.py's, packets are packets.py's and audio.py's. It decides neither
what is sent nor when to connect again: IngestError, MessageError and OSError leave it, and the
relay ends it.

Compiled by mypyc (workers/compile_media.py): no attribute may be added from outside, none may be of
another type than declared, and nothing may be set on the class by a test.
"""

from __future__ import annotations

import random
import socket
import ssl

from camfleet_api.conditions import Reason
from camfleet_worker.media_types.access_unit import AccessUnit, VideoFormat
from camfleet_worker.media_types.audio_unit import AudioFormat, AudioUnit
from camfleet_worker.relay.connector import Connection
from camfleet_worker.relay.rtsp.audio import AudioPacketiser
from camfleet_worker.relay.rtsp.messages import RecordSession, Step
from camfleet_worker.relay.rtsp.packets import Packetiser
from camfleet_worker.relay.target import RelayTarget
from camfleet_worker.relay.tcp_unacked import unacknowledged_octets
from camfleet_worker.relay.timings import RelayTimings
from camfleet_worker.rtsp.message import Frame, MessageReader, Response
from camfleet_worker.rtsp.session import answer_request
from camfleet_worker.rtsp.tls import TlsSocket

_SENDER_REPORT_S = 5.0
"""RFC 3550 section 6.2 recommends this minimum interval."""
_READ_BYTES = 65_536
_LISTEN_S = 1.0
"""While access units flow, a peer that was silent is asked so often whether it has said something:
it answers a keepalive and reports now and then. That it is gone, the next sends tell."""


class RtspPublisher:
    """Publishes one stream, from ANNOUNCE to TEARDOWN. All times are monotonic seconds."""

    def __init__(
        self,
        connection: Connection,
        target: RelayTarget,
        video: VideoFormat,
        audio: AudioFormat | None,
        timings: RelayTimings,
        now: float,
    ) -> None:
        """`audio`: announced beside the video; None where the camera has sent none."""
        self.recording = False
        """Whether RECORD was granted."""
        self.media_octets = 0
        """Of the access units gathered."""
        self._connection = connection
        self._encrypted = connection if isinstance(connection, TlsSocket) else None
        self._target = target
        self._timings = timings
        self._announced = video
        self._in_force = video
        """What the access units gathered so far have, as far as it was looked at."""
        self._announced_audio = audio
        self._packetiser = Packetiser(video, *_random_numbers())
        self._audio: AudioPacketiser | None = None
        """None where the monitoring system wants no audio."""
        self._session = RecordSession(target, video, random.getrandbits(48), audio)
        self._reader = MessageReader()
        self._gathered: list[bytes | memoryview] = []
        self._unsent: bytes | memoryview = self._session.open()
        self._deadline = now + timings.answer_s
        self._listen_at = float("-inf")
        self._taken_octets = 0
        """By the kernel, since the beginning."""
        self._acknowledged_octets = 0
        self._progress_at = 0.0
        """When the peer last acknowledged something, or owed us nothing."""
        self._report_at = 0.0
        self._keepalive_at = 0.0
        self._unanswered_since: float | None = None
        """When the keepalive was sent that has had no answer."""
        self._origin_at = 0.0
        """Our clock minus the stream's timeline, in seconds, at the first access unit sent."""

    @property
    def idle(self) -> bool:
        """Whether the kernel has taken all that was sealed."""
        return not self._unsent

    @property
    def has_gathered(self) -> bool:
        """Whether something waits to be sealed."""
        return len(self._gathered) > 0

    def advance(self, now: float) -> None:
        """Read what the peer has sent and answer it; until RECORD is granted, send that too."""
        if now >= self._listen_at or (self._encrypted is not None and self._encrypted.unsent_bytes):
            self._listen(now)
        if self.recording:
            return
        self.flush(now)
        if now > self._deadline:
            raise self._target.failure(
                Reason.VMS_UNREACHABLE, "takes connections but does not answer"
            )

    def announced(self, unit: AccessUnit, audio: AudioFormat | None) -> bool:
        """Whether this access unit, and audio in this format, is what was announced. Parameter sets
        may differ: they stand in band (RFC 6184 section 8.4). Other audio counts at a key frame
        only, where the stream can be announced anew."""
        if unit.format is not self._in_force and unit.format.codec is not self._announced.codec:
            return False
        return not unit.key or audio == self._announced_audio

    def of_other_size(self, unit: AccessUnit) -> bool:
        """Whether a key frame begins pictures of another size than was announced, which not every
        monitoring system follows."""
        video, announced = unit.format, self._announced
        if not unit.key or video is self._in_force:
            return False
        return (video.width, video.height) != (announced.width, announced.height)

    def append(self, unit: AccessUnit, now: float) -> None:
        """Gather the packets of an access unit, and the sender reports that are due."""
        if self.media_octets == 0:
            self._origin_at = unit.origin_at
        if now >= self._report_at:
            self._report_at = now + _SENDER_REPORT_S
            taken_at = self._origin_at + unit.pts_90k / 90_000
            self._gathered.append(self._packetiser.sender_report(unit.pts_90k, taken_at))
            if self._audio is not None:
                self._gathered.append(self._audio.sender_report(unit.pts_90k, taken_at))
        self._in_force = unit.format
        self._packetiser.append(unit, self._gathered)
        self.media_octets += len(unit.data)

    def append_audio(self, unit: AudioUnit) -> bool:
        """Gather the packets of an audio unit; False where it is not taken."""
        audio = self._audio
        return (
            audio is not None and unit.format == audio.format and audio.append(unit, self._gathered)
        )

    def append_keepalive(self, now: float) -> None:
        """Gather a keepalive where one is due. IngestError where none is answered."""
        if now < self._keepalive_at:
            return
        self._keepalive_at = now + self._session.keepalive_interval_s
        waiting_since = self._unanswered_since
        if waiting_since is not None and now - waiting_since >= self._timings.answer_s:
            raise self._target.failure(
                Reason.VMS_UNREACHABLE, "takes data but answers no keepalive"
            )
        keepalive = self._session.keepalive()
        if keepalive:
            self._gathered.append(keepalive)
            if waiting_since is None:
                self._unanswered_since = now

    def seal(self) -> int:
        """Make one send of all that was gathered, once idle; answers how many octets it is."""
        self._unsent = b"".join(self._gathered)
        self._gathered = []
        return len(self._unsent)

    def flush(self, now: float) -> bool:
        """Send what is sealed; whether the kernel took all of it."""
        unsent = self._unsent
        if not unsent:
            return True
        try:
            sent = self._connection.send(unsent)
        except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            return False
        except OSError:
            self._listen(now)  # why it hung up, where it has said so
            raise
        self._taken_octets += sent
        self._unsent = b"" if sent == len(unsent) else memoryview(unsent)[sent:]
        return not self._unsent

    def unacknowledged(self, now: float) -> int:
        """Octets sealed that the peer's TCP has not acknowledged. IngestError where it has
        acknowledged none of them for too long."""
        under_way = unacknowledged_octets(self._connection.fileno())
        if self._encrypted is not None:
            under_way += self._encrypted.unsent_bytes
        acknowledged = self._taken_octets - under_way
        if not under_way or acknowledged > self._acknowledged_octets:
            self._acknowledged_octets = acknowledged
            self._progress_at = now
        elif now - self._progress_at > self._timings.progress_s:
            # Judged here: TCP_USER_TIMEOUT also ends connections whose peer reads steadily, but
            # less than a buffer of the kernel's at a time.
            raise self._target.failure(Reason.VMS_UNREACHABLE, "takes no more data")
        return under_way + len(self._unsent)

    def close(self) -> None:
        """Send TEARDOWN where a session is open, and close the connection, without waiting."""
        try:
            self._say_goodbye()
        except (OSError, ssl.SSLError):
            pass  # the peer has gone already
        finally:
            self._connection.close()

    def _say_goodbye(self) -> None:
        """The rest of the packet begun, then TEARDOWN."""
        goodbye = self._session.teardown()
        if goodbye:
            self._connection.send(bytes(self._unsent) + goodbye)
        self._connection.shutdown(socket.SHUT_WR)
        # Answers not read would turn close() into a reset that outruns what was just sent.
        while self._connection.recv(_READ_BYTES):
            pass

    def _listen(self, now: float) -> None:
        try:
            data = self._connection.recv(_READ_BYTES)
        except (BlockingIOError, ssl.SSLWantReadError):
            if self.recording:
                self._listen_at = now + _LISTEN_S
            return
        if not data:
            raise ConnectionResetError
        self._reader.feed(data)
        for item in self._reader:
            if isinstance(item, Frame):
                continue  # receiver reports: TCP itself already tells what arrives
            answer = self._take(item, now) if isinstance(item, Response) else answer_request(item)
            if answer:
                self._unsent = bytes(self._unsent) + answer

    def _take(self, response: Response, now: float) -> bytes:
        """What to send in return."""
        if self.recording:
            answer = self._session.answered_while_recording(response)
            # Whatever it answers to a keepalive, it is there.
            self._unanswered_since = now if answer else None
            return answer
        answer = self._session.answered(response)
        self._deadline = now + self._timings.answer_s
        if self._session.step is Step.RECORDING:
            self._begin(now)
        return answer

    def _begin(self, now: float) -> None:
        """RECORD was granted."""
        self.recording = True
        self._progress_at = now
        self._keepalive_at = now + self._session.keepalive_interval_s
        if self._announced_audio is not None and self._session.audio_accepted:
            self._audio = AudioPacketiser(self._announced_audio, *_random_numbers())


def _random_numbers() -> tuple[int, int, int]:
    """SSRC, first sequence number and offset of the timestamps (RFC 3550 section 5.1)."""
    return random.getrandbits(32), random.getrandbits(16), random.getrandbits(32)
