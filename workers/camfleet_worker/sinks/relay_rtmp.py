# SPDX-License-Identifier: Apache-2.0
"""The RTMP relay: forwards access units to a monitoring system through av's FLV muxer.

For compatibility: a thread per camera, because the muxer writes to a blocking socket of its own.
The media loop only puts access units into a bounded queue; a monitoring system that lags makes that
queue drop whole GOPs. av's exceptions become errors of ours in this file. Credentials exist only in
the URL handed to the muxer, which logs nothing (av.logging is silent unless someone turns it on).
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import av
from av.container import OutputContainer
from av.video.stream import VideoStream

from camfleet_api.conditions import ConditionType, Reason
from camfleet_worker.errors import IngestError, Retry
from camfleet_worker.media.access_unit import AccessUnit, VideoFormat
from camfleet_worker.sinks.gop_queue import GopQueue
from camfleet_worker.sinks.mp4 import CLOCK_RATE, TIME_BASE, format_template
from camfleet_worker.sinks.reconnect import Reconnect
from camfleet_worker.sinks.sink import SinkCounters, SinkPhase, SinkState
from camfleet_worker.sinks.target import RelayTarget, unsupported_codec

QUEUE_BYTES = 4 << 20
_TIMEOUT_S = 10.0
"""For connecting and for every write: longer than that is dead."""
_TOO_SLOW_S = 30.0
_URL_BREAKERS = frozenset("/?#[] \t\r\n")
"""The muxer takes user name and password from the URL as they stand, without decoding."""
_STARTING = SinkState(SinkPhase.STARTING)
_WORKING = SinkState(SinkPhase.WORKING)

_UNREACHABLE: tuple[tuple[type[Exception], str], ...] = (
    (av.error.ConnectionRefusedError, "refuses the connection"),
    # Its own timeout surfaces as ExitError: the interrupt callback ended the call.
    (av.error.ExitError, "does not answer"),
    (av.error.TimeoutError, "does not answer"),
    (av.error.ConnectionResetError, "closed the connection"),
    (av.error.BrokenPipeError, "closed the connection"),
    (av.error.EOFError, "closed the connection"),
)


class RtmpRelay:
    """Relays one camera to one monitoring system."""

    condition = ConditionType.RELAYING

    def __init__(
        self,
        name: str,
        target: RelayTarget,
        queue_bytes: int = QUEUE_BYTES,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.name = name
        self.counters = SinkCounters()
        self._target = target
        self._changed = threading.Condition()
        self._queue = GopQueue(queue_bytes, self.counters)  # guarded by _changed
        self._reconnect = Reconnect(jitter)  # the thread's own
        self._state = _STARTING
        self._refused_codec: SinkState | None = None
        self._video: VideoFormat | None = None
        self._publishing = False
        self._now = float("-inf")
        self._too_slow_until = float("-inf")
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=f"rtmp-{name}", daemon=True)

    @property
    def state(self) -> SinkState:
        """Working means: the connection takes what is written."""
        if self._refused_codec is not None:
            return self._refused_codec
        state = self._state
        if state.phase is SinkPhase.WORKING and self._now < self._too_slow_until:
            return SinkState(
                SinkPhase.FAILED, self._error(Reason.VMS_TOO_SLOW, "takes less than arrives")
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
                # Nobody takes them yet: keep the latest GOP only.
                self._queue.drop_all()
            if not self._queue.push(unit) and self._publishing:
                self._too_slow_until = self._now + _TOO_SLOW_S
            self._changed.notify()
        if not self._thread.is_alive() and not self._closed:
            self._thread.start()

    def tick(self, now: float) -> None:
        """Only the clock: the thread does the work."""
        self._now = now

    def close(self) -> None:
        """Let the thread end the stream; it is not waited for."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def _take_format(self, video: VideoFormat) -> None:
        self._video = video
        refused = unsupported_codec(self._target, video.codec)
        self._refused_codec = None if refused is None else SinkState(SinkPhase.FAILED, refused)

    # The rest runs on the thread.

    def _run(self) -> None:
        while (first := self._first_when_due()) is not None:
            try:
                self._publish(first.format)
            except IngestError as error:
                self._state = SinkState(SinkPhase.FAILED, error)
                self._reconnect.failed(time.monotonic(), error.retry)
            finally:
                self._publishing = False

    def _first_when_due(self) -> AccessUnit | None:
        """The key frame to begin with, once connecting is allowed; None when closed."""
        with self._changed:
            while not self._closed:
                if self._reconnect.may_connect(time.monotonic()):
                    self._queue.begin_at_key()
                    if len(self._queue):
                        return self._queue.first
                # New pictures wake it anyway; the limit is for a camera that sends none.
                self._changed.wait(1.0)
        return None

    def _publish(self, video: VideoFormat) -> None:
        """Connect and send until the format changes or the sink is closed."""
        with self._translated(opening=True), _flv(self._login_url(), video) as (flv, stream):
            self.counters.connects += 1
            self._publishing = True
            first_pts: int | None = None
            while (unit := self._next(video)) is not None:
                first_pts = unit.pts_90k if first_pts is None else first_pts
                with self._translated(opening=False):
                    flv.mux(_packet(unit, stream, max(0, unit.pts_90k - first_pts)))
                self.counters.access_units += 1
                self.counters.bytes += len(unit.data)
                self._state = _WORKING
                self._reconnect.healthy(time.monotonic())

    def _next(self, video: VideoFormat) -> AccessUnit | None:
        """The next access unit of this format, or None when it is over."""
        with self._changed:
            while not self._closed:
                if len(self._queue):
                    return self._queue.pop() if self._queue.first.format == video else None
                self._changed.wait(1.0)
        return None

    def _login_url(self) -> str:
        credentials = self._target.credentials
        if credentials is None:
            return self._target.url
        pair = f"{credentials.username}:{credentials.password}"
        if _URL_BREAKERS & set(pair) or ":" in credentials.username:
            raise self._error(
                Reason.VMS_REJECTED,
                "cannot be given a user name or password with /, ?, #, brackets or spaces by RTMP",
                Retry.ON_SECRET_CHANGE,
            )
        scheme, rest = self._target.url.split("://", 1)
        return f"{scheme}://{pair}@{rest}"

    @contextmanager
    def _translated(self, opening: bool) -> Iterator[None]:
        """av's exceptions as ours. The cause is cut off: it may carry the URL with the password."""
        try:
            yield
        except (av.error.FFmpegError, OSError) as error:
            raise self._mapped(error, opening) from None

    def _mapped(self, error: Exception, opening: bool) -> IngestError:
        for kind, what in _UNREACHABLE:
            if isinstance(error, kind):
                return self._error(Reason.VMS_UNREACHABLE, what)
        if not opening:
            return self._error(Reason.VMS_UNREACHABLE, "broke off the stream")
        if self._target.credentials is not None:
            # One attempt for one account: servers lock it after a handful.
            return self._error(
                Reason.VMS_REJECTED, "refuses the stream or the login", Retry.ON_SECRET_CHANGE
            )
        return self._error(Reason.VMS_REJECTED, "refuses the stream, or its name is unknown")

    def _error(self, reason: Reason, what: str, retry: Retry = Retry.BACKOFF) -> IngestError:
        fact = f"The monitoring system at {self._target.authority} {what}"
        return IngestError(ConditionType.RELAYING, reason, fact, retry)


@contextmanager
def _flv(url: str, video: VideoFormat) -> Iterator[tuple[OutputContainer, VideoStream]]:
    container = av.open(
        url,
        "w",
        format="flv",
        timeout=_TIMEOUT_S,
        # A live stream has no length to come back and write.
        options={"flvflags": "no_duration_filesize"},
    )
    try:
        with format_template(video) as template:
            stream = container.add_stream_from_template(template)
        stream.time_base = TIME_BASE
        container.start_encoding()
        yield container, stream
    finally:
        container.close()


def _packet(unit: AccessUnit, stream: VideoStream, pts_90k: int) -> av.Packet[VideoStream]:
    packet = av.Packet(unit.data)
    packet.stream = stream
    packet.time_base = TIME_BASE
    packet.pts = packet.dts = pts_90k
    packet.duration = CLOCK_RATE // 25
    packet.is_keyframe = unit.key
    return packet
