# SPDX-License-Identifier: Apache-2.0
"""The RTSP relay: forwards access units to a monitoring system by ANNOUNCE and RECORD over TCP.

Called by the media loop on its thread. Nothing here waits: each tick moves the connection one step
or sends what has gathered. It decides what is queued, dropped and announced, and when to connect
again, with its own rhythm; it never raises: what went wrong is its state. The connection is
connector.py's until it stands, then publisher.py's; dropping is gop_queue.py's.

Compiled by mypyc (workers/compile_media.py): no attribute may be added from outside, none may be of
another type than declared, and nothing may be set on the class by a test.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from camfleet_api.cause import Cause
from camfleet_api.conditions import ConditionType, Reason, cause_of
from camfleet_base.token_bucket import TokenBucket
from camfleet_worker.base.errors import IngestError, Retry
from camfleet_worker.media_types.access_unit import AccessUnit, VideoFormat
from camfleet_worker.media_types.audio_queue import AUDIO_BYTES, AudioQueue
from camfleet_worker.media_types.audio_unit import AudioFormat, AudioUnit
from camfleet_worker.media_types.delivery_log import DeliveryLog
from camfleet_worker.media_types.sink_state import (
    STARTING,
    WORKING,
    SinkCounters,
    SinkPhase,
    SinkState,
)
from camfleet_worker.relay.ack_tracker import AckTracker
from camfleet_worker.relay.connection_failure import connection_failure
from camfleet_worker.relay.connector import Connector
from camfleet_worker.relay.gop_queue import BATCH_BYTES, QUEUE_BYTES, GopQueue
from camfleet_worker.relay.name_resolver import Resolver
from camfleet_worker.relay.reconnect import Reconnect
from camfleet_worker.relay.rtsp.publisher import RtspPublisher
from camfleet_worker.relay.session_end import note_end
from camfleet_worker.relay.target import RelayTarget, unsupported_codec
from camfleet_worker.relay.timings import DEFAULT_TIMINGS, RelayTimings
from camfleet_worker.relay.vms_tls import vms_tls
from camfleet_worker.rtsp.message import MessageError

SIZES_ANNOUNCED_PER_HOUR = 6
"""Somebody may try some settings of a camera; who changes more often is a camera."""
_LINGER_S = 0.5
"""Before a session ends for another one: TEARDOWN may outrun, inside a monitoring system, the last
pictures that its TCP has taken (one of 7,545, GStreamer 1.22)."""
_JUDGE_S = 1.0
"""While all is taken at once, so often it is asked what is acknowledged; else each tick."""


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
        timings: RelayTimings = DEFAULT_TIMINGS,
    ) -> None:
        self.name = name
        self.counters = SinkCounters()
        self.delivery_log = DeliveryLog()
        """Of what the other side's TCP has acknowledged."""
        self._acks = AckTracker(self.delivery_log)
        self._target = target
        self._tls = vms_tls(target.authorities) if target.over_tls else None
        self._resolver = resolver
        self._timings = timings
        self._queue = GopQueue(queue_bytes, self.counters)
        self._audio_queue = AudioQueue(AUDIO_BYTES, self.counters)
        self._jitter = jitter
        self._reconnect = Reconnect(jitter)
        self._sizes = TokenBucket(SIZES_ANNOUNCED_PER_HOUR / 3600, SIZES_ANNOUNCED_PER_HOUR)
        self._state = STARTING
        self._last_failure: IngestError | None = None
        self._now = float("-inf")
        self._too_slow_until = float("-inf")
        self._judge_at = float("-inf")
        self._video: VideoFormat | None = None
        self._audio: AudioFormat | None = None
        self._connector: Connector | None = None
        self._publisher: RtspPublisher | None = None
        self._leaves_at: float | None = None
        """When the session ends for another one; until then nothing more is sent."""
        self._announces_again = False
        """The session has ended for another one, which goes on where this one ended."""
        self._closed = False

    @property
    def state(self) -> SinkState:
        """Working means: RECORD was granted, the other side acknowledges what we send, and sessions
        last."""
        state = self._state
        if state.phase is SinkPhase.WORKING and self._reconnect.unsteady(self._now):
            return SinkState(SinkPhase.FAILED, self._last_failure)
        if state.phase is SinkPhase.WORKING and self._now < self._too_slow_until:
            if self._reconnect.unsteady(self._now, in_a_row=1):
                # It was dropped while the last session hung: how that ended says more.
                return SinkState(SinkPhase.FAILED, self._last_failure)
            return SinkState(
                SinkPhase.FAILED,
                self._target.failure(Reason.VMS_TOO_SLOW, "takes less than arrives"),
            )
        return state

    def push(self, unit: AccessUnit) -> None:
        """Queue one access unit; it leaves with the next tick."""
        if self._closed:
            return
        if unit.format is not self._video and unit.format != self._video:
            self._take_format(unit.format)
        if unit.key and not self._recording and not self._announces_again:
            # There is no stream yet: keep the latest GOP only, to begin it with the present.
            self._queue.drop_all()
        if not self._queue.push(unit):
            self._audio_queue.drop_before(self._queue.first_pts)
            if self._recording:
                self._too_slow_until = self._now + self._timings.too_slow_s
                self._acks.dropped()
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
            if self._publisher is not None:
                self._serve(self._publisher, now)
            elif self._connector is not None:
                self._await_connection(self._connector, self._video, now)
            elif self._reconnect.may_connect(now) and len(self._queue):
                self._connect(now)
        except IngestError as error:
            self._fail(error, now)
        except MessageError:
            other = self._target.failure(
                Reason.VMS_WRONG_PROTOCOL, "does not speak RTSP", Retry.SLOW
            )
            self._fail(other, now)
        except OSError as error:
            failure = connection_failure(self._target, error, streaming=self._recording)
            self._fail(failure, now)

    def close(self) -> None:
        """Send TEARDOWN where a session is open, and close the connection."""
        self._closed = True
        self._hang_up()
        self._queue.drop_all()
        self._audio_queue.drop_before(None)

    @property
    def _recording(self) -> bool:
        return self._publisher is not None and self._publisher.recording

    def _take_format(self, video: VideoFormat) -> None:
        self._video = video
        refused = unsupported_codec(self._target, video.codec)
        if refused is not None:
            self._fail(refused, self._now)
        elif self._state.error is not None and (
            self._state.error.reason is Reason.VMS_CODEC_UNSUPPORTED
        ):
            # The camera was set to a codec that is taken: a fresh start.
            self._reconnect = Reconnect(self._jitter)
            self._state = STARTING

    def _connect(self, now: float) -> None:
        self._connector = Connector(self._target, self._tls, self._resolver, self._timings, now)

    def _await_connection(self, connector: Connector, video: VideoFormat, now: float) -> None:
        connection = connector.advance(now)
        if connection is None:
            return
        if len(self._queue):
            video = self._queue.first.format
        self._publisher = RtspPublisher(
            connection, self._target, video, self._audio, self._timings, now
        )
        self._connector = None
        self._serve(self._publisher, now)

    def _serve(self, publisher: RtspPublisher, now: float) -> None:
        began = publisher.recording
        publisher.advance(now)
        if not publisher.recording:
            return
        if not began:
            self.counters.connects += 1
            self._announces_again = False
            self._acks.begin()
            self._judge_at = float("-inf")
            self._queue.begin_at_key()
            self._audio_queue.drop_before(self._queue.first_pts)
        self._forward(publisher, now)

    def _forward(self, publisher: RtspPublisher, now: float) -> None:
        """Hand over what waits, as long as all of it is taken at once."""
        if self._leaves_at is not None:
            if now >= self._leaves_at:
                self._hang_up()
                self._announces_again = True
                self._connect(now)
            return
        while True:
            if publisher.idle and not self._fill(publisher, now):
                self._leaves_at = now + _LINGER_S
                return
            if not publisher.flush(now) or not len(self._queue):
                break
        if now >= self._judge_at or not publisher.idle:
            self._judge(publisher, now)

    def _fill(self, publisher: RtspPublisher, now: float) -> bool:
        """Seal what leaves with one send: a keepalive that is due, then as many access units as
        fit. False where nothing does, since what comes next was not announced."""
        units: list[AccessUnit] = []
        size = 0
        publisher.append_keepalive(now)
        audio_waits = len(self._audio_queue) > 0
        while size < BATCH_BYTES and len(self._queue):
            first = self._queue.first
            if not publisher.announced(first, self._audio) or publisher.of_other_size(first):
                if publisher.has_gathered:
                    break
                if self._may_announce(publisher, now):
                    return False
            unit = self._queue.pop()
            units.append(unit)
            publisher.append(unit, now)
            size += len(unit.data)
            if audio_waits:
                self._append_audio(publisher, unit.pts_90k)
        if audio_waits and not len(self._queue) and publisher.media_octets:
            self._append_audio(publisher, None)
        self.counters.access_units += len(units)
        self.counters.bytes += size
        self._acks.sent(publisher.seal(), units)
        return True

    def _may_announce(self, publisher: RtspPublisher, now: float) -> bool:
        """Whether another stream is announced. Of another size it can go on as it is, and does
        where that changes all the time: each ANNOUNCE ends the sessions of those who watch."""
        if not publisher.announced(self._queue.first, self._audio):
            return True
        if self._sizes.next_at > now:
            return False
        self._sizes.reserve(now)
        return True

    def _append_audio(self, publisher: RtspPublisher, until_90k: int | None) -> None:
        for unit in self._audio_queue.take(until_90k):
            taken = publisher.append_audio(unit)
            self.counters.audio_units += taken
            self.counters.dropped_audio_units += not taken

    def _judge(self, publisher: RtspPublisher, now: float) -> None:
        """Once something of the stream was acknowledged, it is taken."""
        unacknowledged = publisher.unacknowledged(now)
        self._acks.unacknowledged(unacknowledged)
        if self._state is WORKING:
            self._reconnect.healthy(now)
            self._judge_at = now + _JUDGE_S
        elif publisher.media_octets and unacknowledged < publisher.media_octets:
            self._state = WORKING
            self._reconnect.healthy(now)

    def _fail(self, error: IngestError, now: float) -> None:
        self._state = SinkState(SinkPhase.FAILED, error)
        self._last_failure = error
        self.delivery_log.failed(cause_of(error.reason))
        note_end(self._reconnect, now, error, self.counters)
        self._announces_again = False
        self._hang_up()

    def _hang_up(self) -> None:
        connector, self._connector = self._connector, None
        if connector is not None:
            connector.close()
        publisher, self._publisher = self._publisher, None
        if publisher is not None:
            publisher.close()
        self._leaves_at = None
