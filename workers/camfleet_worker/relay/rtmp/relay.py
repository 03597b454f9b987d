# SPDX-License-Identifier: Apache-2.0
"""The RTMP relay: forwards access units to a monitoring system as FLV tags.

Made for monitoring systems that take no RTSP: it has a thread for each camera and a blocking socket
(publisher.py). The media loop only puts access units into a bounded queue; a monitoring system that
lags makes that queue drop whole GOPs. Foreign exceptions become errors of ours in this file.
Credentials travel beside the URL and reach the wire only.

Audio goes along with the access units beside it; it is announced by its first unit, so that
audio that begins late needs no other connection.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from camfleet_api.cause import Cause
from camfleet_api.conditions import ConditionType, Reason, cause_of
from camfleet_worker.base.errors import IngestError, Retry
from camfleet_worker.media_types.access_unit import AccessUnit, Codec, VideoFormat
from camfleet_worker.media_types.audio_queue import AUDIO_BYTES, AudioQueue
from camfleet_worker.media_types.audio_unit import AudioCodec, AudioUnit
from camfleet_worker.media_types.codec_outputs import RTMP_AUDIO
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
from camfleet_worker.relay.gop_queue import BATCH_BYTES, QUEUE_BYTES, GopQueue
from camfleet_worker.relay.reconnect import Reconnect
from camfleet_worker.relay.rtmp.flv import FlvStream, FlvTag
from camfleet_worker.relay.rtmp.messages import RtmpError
from camfleet_worker.relay.rtmp.publisher import RtmpPublisher
from camfleet_worker.relay.rtmp.refusal import PublishRefused, meaning
from camfleet_worker.relay.session_end import note_end
from camfleet_worker.relay.target import RelayTarget, unsupported_codec
from camfleet_worker.relay.timings import DEFAULT_TIMINGS, RelayTimings
from camfleet_worker.relay.vms_tls import vms_tls

log = logging.getLogger(__name__)


class RtmpRelay:
    """Relays one camera to one monitoring system."""

    condition = ConditionType.RELAYING

    def __init__(
        self,
        name: str,
        target: RelayTarget,
        queue_bytes: int = QUEUE_BYTES,
        jitter: Callable[[], float] = random.random,
        timings: RelayTimings = DEFAULT_TIMINGS,
    ) -> None:
        self.name = name
        self.counters = SinkCounters()
        self.delivery_log = DeliveryLog()
        """Of what the other side's TCP has acknowledged."""
        self._acks = AckTracker(self.delivery_log)  # the thread's own
        self._target = target
        self._timings = timings
        if target.over_tls:
            vms_tls(target.authorities)  # raises at once where they are no certificates
        self._changed = threading.Condition()
        self._queue = GopQueue(queue_bytes, self.counters)  # guarded by _changed
        self._audio = AudioQueue(AUDIO_BYTES, self.counters)  # guarded by _changed
        self._not_relayed: AudioCodec | None = None
        self._reconnect = Reconnect(jitter)  # the thread's own
        self._state = STARTING
        self._last_failure: IngestError | None = None
        self._refused_codec: SinkState | None = None
        self._video: VideoFormat | None = None
        self._publishing = False
        self._dropped = False
        self._now = float("-inf")
        self._too_slow_until = float("-inf")
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=f"rtmp-{name}", daemon=True)

    @property
    def state(self) -> SinkState:
        """Working means: the connection takes what is written, and connections last."""
        if self._refused_codec is not None:
            return self._refused_codec
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
        """Queue one access unit for the thread."""
        if self._closed:
            return
        if unit.format is not self._video and unit.format != self._video:
            self._take_format(unit.format)
        if self._refused_codec is not None:
            self.counters.dropped_access_units += 1
            return
        with self._changed:
            if unit.key and not self._publishing:
                # There is no connection yet: keep the latest GOP only.
                self._queue.drop_all()
            if not self._queue.push(unit):
                self._audio.drop_before(self._queue.first_pts)
                if self._publishing:
                    self._too_slow_until = self._now + self._timings.too_slow_s
                    self._dropped = True
                    self.delivery_log.failed(Cause.VMS)
        if not self._thread.is_alive() and not self._closed:
            self._thread.start()

    def push_audio(self, unit: AudioUnit) -> None:
        """Queue one audio unit for the thread; audio that RTMP does not take is not sent."""
        if self._closed or self._refused_codec is not None:
            return
        if unit.format.codec not in RTMP_AUDIO:
            self._tell_not_relayed(unit.format.codec)
            return
        with self._changed:
            self._audio.push(unit)

    def tick(self, now: float) -> None:
        """Wake the thread once for all that came since the last tick."""
        self._now = now
        with self._changed:
            self._changed.notify()

    def close(self) -> None:
        """Let the thread end the stream; it is not waited for."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def _take_format(self, video: VideoFormat) -> None:
        self._video = video
        refused = unsupported_codec(self._target, video.codec)
        self._refused_codec = None if refused is None else SinkState(SinkPhase.FAILED, refused)
        if refused is not None:
            self.delivery_log.failed(cause_of(refused.reason))

    def _tell_not_relayed(self, codec: AudioCodec) -> None:
        if codec is not self._not_relayed:
            self._not_relayed = codec
            log.info(
                "audio is not relayed over RTMP, which takes %s",
                " or ".join(RTMP_AUDIO),
                extra={"url": self._target.url, "cause": f"the camera sends {codec}"},
            )

    # The rest runs on the thread.

    def _run(self) -> None:
        while (first := self._first_when_due()) is not None:
            try:
                self._publish(first.format.codec)
            except IngestError as error:
                self._state = SinkState(SinkPhase.FAILED, error)
                self._last_failure = error
                self.delivery_log.failed(cause_of(error.reason))
                note_end(self._reconnect, time.monotonic(), error, self.counters)
            finally:
                self._publishing = False

    def _first_when_due(self) -> AccessUnit | None:
        """The key frame to begin with, once connecting is allowed; None when closed."""
        with self._changed:
            while not self._closed:
                if self._reconnect.may_connect(time.monotonic()):
                    self._queue.begin_at_key()
                    self._audio.drop_before(self._queue.first_pts)
                    if len(self._queue):
                        return self._queue.first
                # New access units wake it anyway; the limit is for a camera that sends none.
                self._changed.wait(1.0)
        return None

    def _publish(self, codec: Codec) -> None:
        """Connect and send until the codec changes or the sink is closed."""
        with (
            self._translated(),
            RtmpPublisher(self._target, codec, self._timings) as publisher,
        ):
            self.counters.connects += 1
            with self._changed:
                self._publishing = True
                self._audio.drop_before(self._queue.first_pts)
            self._acks.begin()
            flv = FlvStream()
            while batch := self._next(codec):
                octets = publisher.send(tag for unit in batch for tag in _tags(flv, unit))
                self._acks.sent(octets, _access_units(batch))
                if self._acks.due(time.monotonic()):
                    self._acks.unacknowledged(publisher.unacknowledged())
                publisher.listen()
                self._count(batch)
                self._state = WORKING
                self._reconnect.healthy(time.monotonic())

    def _count(self, sent: list[AccessUnit | AudioUnit]) -> None:
        access_units = _access_units(sent)
        self.counters.access_units += len(access_units)
        self.counters.audio_units += len(sent) - len(access_units)
        self.counters.bytes += sum(len(unit.data) for unit in access_units)

    def _next(self, codec: Codec) -> list[AccessUnit | AudioUnit]:
        """The next access units of this codec with their audio, none when it is over."""
        batch: list[AccessUnit | AudioUnit] = []
        size = 0
        with self._changed:
            while not self._closed and not len(self._queue):
                self._changed.wait(1.0)
            if self._dropped:
                self._dropped = False
                self._acks.dropped()
            while not self._closed and len(self._queue) and size < BATCH_BYTES:
                if self._queue.first.format.codec is not codec:
                    break
                unit = self._queue.pop()
                size += len(unit.data)
                if batch:
                    batch.extend(self._audio.take(unit.dts_90k))
                batch.append(unit)
            if batch and not len(self._queue):
                # Nothing to stand beside any more: it may have come late.
                batch.extend(self._audio.take(None))
        return batch

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Foreign exceptions as ours."""
        try:
            yield
        except PublishRefused as refused:
            raise meaning(refused, self._target) from refused
        except RtmpError as error:
            raise self._target.failure(
                Reason.VMS_WRONG_PROTOCOL, "does not speak RTMP", Retry.SLOW
            ) from error
        except OSError as error:
            streaming = self._publishing
            raise connection_failure(self._target, error, streaming=streaming) from error


def _access_units(batch: list[AccessUnit | AudioUnit]) -> list[AccessUnit]:
    return [unit for unit in batch if isinstance(unit, AccessUnit)]


def _tags(flv: FlvStream, unit: AccessUnit | AudioUnit) -> list[FlvTag]:
    return flv.add_audio(unit) if isinstance(unit, AudioUnit) else flv.add(unit)
