# SPDX-License-Identifier: Apache-2.0
"""One playing session inside the media loop: drained, judged, kept alive, torn down.

Used on the loop's thread only. `tick` never blocks and raises IngestError when the session has
ended; every other exception is a bug, which the loop counts and which ends this session alone.

Compiled by mypyc (workers/compile_media.py): no attribute may be added from outside, none may be of
another type than declared, and nothing may be set on the class by a test.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import Protocol

from camfleet_api.conditions import ConditionType, Reason
from camfleet_worker.base.errors import IngestError
from camfleet_worker.base.moments import microseconds
from camfleet_worker.media.audio_receiver import AudioReceiver
from camfleet_worker.media.counters import StreamCounters
from camfleet_worker.media.receiver import StreamReceiver
from camfleet_worker.media.sink_fanout import SinkFanout
from camfleet_worker.media.watchdog import Watchdog
from camfleet_worker.media_types.access_unit import AccessUnit, VideoFormat
from camfleet_worker.media_types.audio_unit import AudioUnit
from camfleet_worker.rtp.rtcp import SenderReport
from camfleet_worker.rtsp.message import MessageError, Request, Response
from camfleet_worker.rtsp.playing import PlayingStream
from camfleet_worker.rtsp.session import answer_request
from camfleet_worker.rtsp.udp import UdpSocket
from camfleet_worker.timeline.timeline import CLOCK_HZ, burst_s

RECEIVER_REPORT_INTERVAL_S = 10.0
"""RFC 3550 section 6.2 allows one every 5 s."""
TEARDOWN_PATIENCE_S = 1.0
"""How long to read on after TEARDOWN: closing a socket with unread octets sends RST, and the
peer may throw TEARDOWN away with it (RFC 1122 section 4.2.2.13)."""
_MAX_OUTGOING_BYTES = 64 * 1024
_CLOSING_RECEIVES_PER_TICK = 4


class StreamListener(Protocol):
    """Called once per event, on the loop's thread: use call_soon_threadsafe, return at once."""

    def first_key_frame(self, video_format: VideoFormat) -> None:
        """The stream has shown its first key frame."""
        ...

    def ended(self, error: IngestError) -> None:
        """The session is over and its socket closed. Not called after stop()."""
        ...


@dataclass(frozen=True, slots=True)
class TickLimits:
    """What one camera may take of one tick."""

    bytes_per_tick: int = 1024 * 1024
    """80 Mbit/s at ten ticks a second: room for the largest key frame, none for a flood."""


class Stream:
    """Owns the socket of one session from PLAY to TEARDOWN."""

    def __init__(
        self,
        playing: PlayingStream,
        fanout: SinkFanout,
        listener: StreamListener,
        limits: TickLimits,
        now: float,
    ) -> None:
        self.fanout = fanout
        self.listener = listener
        self.counters = StreamCounters()
        self._socket = playing.socket
        self._udp = playing.socket if isinstance(playing.socket, UdpSocket) else None
        self._session = playing.session
        self._limits = limits
        self._began_at = now
        self._report: SenderReport | None = None
        self._by_arrival_before = fanout.timeline.by_arrival
        self._rest = playing.received
        """Of an item that is not complete yet."""
        self._outgoing = bytearray()
        self._receiver = StreamReceiver(playing, self.counters, self._on_message)
        self._watchdog = Watchdog(now, fanout.patience, over_udp=playing.transport == "udp")
        # The first keepalive goes out at once: its answer names the methods of the camera.
        self._keepalive_at = now
        # There are cameras that take no other sign of life than these (quirk 29).
        self._report_interval_s = min(
            RECEIVER_REPORT_INTERVAL_S, self._session.timeout_s / 3 or RECEIVER_REPORT_INTERVAL_S
        )
        self._report_at = now + self._report_interval_s
        self._closing_until = 0.0

    def tick(self, now: float, ahead_s: float, buffer: memoryview) -> None:
        """Read what has arrived, pass the access units on, write what is due. Raises IngestError.

        `ahead_s`: what makes a time of day of `now`.
        """
        packets_before = self.counters.packets
        self._drain(now, buffer)
        if self.counters.packets != packets_before:
            self._watchdog.packets_seen(now)
            self._deliver(now, ahead_s)
        if self._udp is not None:
            self.counters.late_packets = self._udp.late_packets
            self.counters.foreign_datagrams = self._udp.foreign_packets
        receiver = self._receiver
        if receiver.audio is not None:
            self._deliver_audio(receiver.audio, now, ahead_s)
        self._write_due(now)
        error = self._watchdog.verdict(now, receiver.awaiting_key, receiver.foreign_packets)
        if error is not None:
            raise error

    def begin_closing(self, now: float) -> None:
        """Send TEARDOWN; `closing_tick` does the rest."""
        self._closing_until = now + TEARDOWN_PATIENCE_S
        try:
            self._send(self._session.teardown())
            self._socket.shutdown(socket.SHUT_WR)
        except (OSError, IngestError):
            self._closing_until = now  # the peer is gone

    def closing_tick(self, now: float, buffer: memoryview) -> bool:
        """Read and forget until the peer closes too; True once the socket is closed."""
        try:
            # Bounded: a flood that never runs dry must not hold the loop until the patience ends.
            for _ in range(_CLOSING_RECEIVES_PER_TICK):
                if now >= self._closing_until or self._socket.recv_into(buffer) == 0:
                    break
            else:
                return False
        except BlockingIOError:
            return False
        except OSError:
            pass  # reset by the peer: closed as well
        self._socket.close()
        return True

    def _drain(self, now: float, buffer: memoryview) -> None:
        """Receive into the loop's shared buffer until the socket is empty or the share used up.

        A receive that fills less than its room has emptied the socket; one more call, for EAGAIN,
        would double the system calls.
        """
        share = self._limits.bytes_per_tick
        filled = self._restore(buffer)
        while True:
            room = min(len(buffer) - filled, share)
            received = self._receive(buffer[filled : filled + room])
            self._consume(buffer, filled + received, now)
            share -= received
            if received < room:
                return
            if share <= 0:
                self.counters.capped_ticks += 1
                return
            filled = self._restore(buffer)

    def _restore(self, buffer: memoryview) -> int:
        """Put the incomplete item of the last receive back in front."""
        filled = len(self._rest)
        buffer[:filled] = self._rest
        return filled

    def _receive(self, room: memoryview) -> int:
        try:
            received = self._socket.recv_into(room)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise _ended("The connection to the camera broke") from error
        if received == 0:
            raise _ended("The camera closed the stream")
        self.counters.bytes += received
        return received

    def _consume(self, buffer: memoryview, end: int, now: float) -> None:
        try:
            consumed = self._receiver.consume(buffer, end, now)
        except MessageError as error:
            raise IngestError(
                ConditionType.STREAMING,
                Reason.PROTOCOL_ERROR,
                f"The camera's stream cannot be read: {error}",
            ) from error
        self._rest = bytes(buffer[consumed:end])

    def _deliver(self, now: float, ahead_s: float) -> None:
        counters, timeline, order = self.counters, self.fanout.timeline, self.fanout.order
        wall, received = now + ahead_s, self._receiver.take_access_units()
        taken_at, burst = now, len(received) > 1 and not timeline.anchored
        if burst:
            length_s = burst_s([one.timestamp for one in received])
            taken_at = timeline.burst_began_s(length_s, now, self._began_at)
        arrived_at = taken_at + ahead_s
        for one in received:
            rising = timeline.stamp(one.timestamp, taken_at)
            taken_at = now
            pts, dts = order.place(one.data, one.key, one.format, rising, timeline.taken_90k)
            origin_at = timeline.origin_s + ahead_s
            if burst:
                arrived_at = min(max(origin_at + pts / CLOCK_HZ, arrived_at), wall)
                self.fanout.arrivals.seen(microseconds(arrived_at))
            unit = AccessUnit(one.data, one.key, pts, arrived_at, origin_at, one.format, pts - dts)
            counters.access_units += 1
            if unit.key:
                self._note_key_frame(now, arrived_at, unit.format)
            self.fanout.push(unit)
            counters.last_access_unit_monotonic = now
        if counters.last_access_unit_monotonic == now:
            self.fanout.arrivals.seen(microseconds(wall))
        counters.drift_s = timeline.lag_s
        counters.drift_ppm = timeline.drift_ppm
        counters.stamped_by_arrival = timeline.by_arrival - self._by_arrival_before
        if self._receiver.sender_report is not self._report:
            self._report = self._receiver.sender_report
            self._note_camera_clock(now, wall)

    def _note_camera_clock(self, now: float, wall: float) -> None:
        """Note the camera's time, which is reported and used for nothing."""
        report = self._report
        if report is not None and report.ntp:
            arrived = wall - (now - report.arrived_at)
            self.counters.camera_clock_offset_s = report.camera_time - arrived

    def _deliver_audio(self, audio: AudioReceiver, now: float, ahead_s: float) -> None:
        timeline, wall = self.fanout.audio_timeline, now + ahead_s
        frames, clock_hz = audio.take_frames(), audio.format.clock_hz
        self.counters.audio_units += len(frames)
        taken_at = now
        if frames and not timeline.anchored:
            times = [frame.timestamp for frame in frames]
            first, taken_at = timeline.begin(times, clock_hz, now, self._began_at)
            del frames[:first]
        for frame in frames:
            pts = timeline.stamp(frame.timestamp, clock_hz, taken_at)
            taken_at = now
            if pts is not None:
                self.fanout.push_audio(AudioUnit(frame.data, pts, wall, audio.format))

    def _note_key_frame(self, now: float, arrived_at: float, video_format: VideoFormat) -> None:
        self._watchdog.key_frame_seen(now)
        self.fanout.arrivals.key_frames.append(microseconds(arrived_at))
        self.counters.key_frames += 1
        if self.counters.key_frames == 1:
            self.listener.first_key_frame(video_format)

    def _write_due(self, now: float) -> None:
        if now >= self._keepalive_at:
            self._keepalive_at = now + self._session.keepalive_interval_s
            keepalive = self._session.keepalive()
            if keepalive is not None:
                self.counters.keepalives += 1
                self._send(keepalive)
        if now >= self._report_at:
            self._report_at = now + self._report_interval_s
            self._send(self._receiver.receiver_report(now) or b"")
        if self._outgoing:
            self._send(b"")

    def _on_message(self, message: Request | Response) -> None:
        if isinstance(message, Request):
            self._send(answer_request(message))
            return
        reply = self._session.keepalive_answered(message)
        if reply is not None:
            self._send(reply)

    def _send(self, data: bytes) -> None:
        """Whole messages in order; what the socket does not take waits for the next tick."""
        self._outgoing += data
        if not self._outgoing:
            return
        try:
            sent = self._socket.send(self._outgoing)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            raise _ended("The connection to the camera broke") from error
        del self._outgoing[:sent]
        if len(self._outgoing) > _MAX_OUTGOING_BYTES:
            raise _ended("The camera reads nothing of what it is sent")


def _ended(fact: str) -> IngestError:
    return IngestError(ConditionType.STREAMING, Reason.STREAM_ENDED, fact)
