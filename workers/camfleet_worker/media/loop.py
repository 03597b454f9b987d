# SPDX-License-Identifier: Apache-2.0
"""The media loop: one thread that drains the sockets of all cameras, once per tick.

Made by the worker's composition root; each supervisor holds a CameraFeed and plays streams on
it. The cost of receiving is in wake-ups and small reads, not in octets: a socket that is asked
ten times a second costs a third of one that is read as data comes. Nothing here blocks, and no
exception of one stream, sink or listener reaches another.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from camfleet_api.cause import Cause
from camfleet_api.conditions import ConditionType, Reason
from camfleet_worker.base.errors import IngestError
from camfleet_worker.media.counters import LoopCounters, StreamCounters
from camfleet_worker.media.sink_fanout import SinkFanout
from camfleet_worker.media.stream import Stream, StreamListener, TickLimits
from camfleet_worker.media.watchdog import USUAL_PATIENCE, Patience
from camfleet_worker.media_types.delivery_log import DeliveryLog
from camfleet_worker.media_types.sink import Sink
from camfleet_worker.rtsp.client import PlayingStream
from camfleet_worker.timeline.clock_steps import ClockSteps

log = logging.getLogger(__name__)

TICK_S = 0.1
_STALL_S = 2.0
"""If a tick begins this late and the journal finds a gap there, the gap's cause is this worker."""
_READ_TOGETHER_S = 0.01
_BUFFER_BYTES = 2 * 1024 * 1024
"""Shared by all streams: holds the rest of the last tick (at most a flood before PLAY, or an
unfinished message with its body) and what one receive gives."""


class MediaLoop:
    """The thread, its streams and fan-outs.

    `start`, `stop`, `alive`, `open_feed` and `submit` may be called from any thread; what is
    submitted runs on the loop's thread, as do `begin`, `stop_stream` and `close_fanout`.
    """

    def __init__(
        self,
        tick_s: float = TICK_S,
        limits: TickLimits | None = None,
        wall: Callable[[], float] = time.time,
        patience: Patience = USUAL_PATIENCE,
    ) -> None:
        """`wall` returns the time of day, in seconds since the epoch; it names recordings."""
        self.counters = LoopCounters()
        self._tick_s = tick_s
        self._wall = wall
        self._clock_steps = ClockSteps()
        self._limits = limits or TickLimits()
        self._patience = patience
        self._commands: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="media-loop", daemon=True)
        self._buffer = memoryview(bytearray(_BUFFER_BYTES))
        # Only the loop's thread touches what follows.
        self._fanouts: list[SinkFanout] = []
        self._streams: dict[Stream, None] = {}
        self._closing: dict[Stream, Future[None]] = {}

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """Tear every stream down, close every sink, end the thread and wait for it."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    @property
    def alive(self) -> bool:
        """Whether the thread runs; liveness asks."""
        return self._thread.is_alive()

    def open_feed(self, camera: str, sinks: Sequence[Sink]) -> CameraFeed:
        """A place for one camera. Its sinks are ticked from now on, with or without a stream."""
        fanout = SinkFanout(camera, sinks, self.counters, self._patience)
        self.submit(lambda: self._fanouts.append(fanout))
        return CameraFeed(self, fanout, self._limits)

    def submit(self, command: Callable[[], None]) -> None:
        """Run a command on the loop's thread, before its next tick. Used by feeds and handles."""
        self._commands.put(command)
        if self._ended.is_set():
            self._drain_commands()  # the thread is gone and cannot do it

    # What follows runs on the loop's thread.

    def _run(self) -> None:
        due = time.monotonic()
        while not self._stopping.wait(max(due - time.monotonic(), 0)):
            began = time.monotonic()
            counters = self.counters
            counters.lag_s = began - due
            counters.worst_lag_s = max(counters.worst_lag_s, counters.lag_s)
            if counters.lag_s >= _STALL_S:
                self._note_gap_of_ours()
            self._tick()
            ended = time.monotonic()
            counters.ticks += 1
            counters.busy_s += ended - began
            # After a late tick the next is due one interval later: ticks are never made up for.
            due = max(due + self._tick_s, ended)
        self._shut_down()

    def _shut_down(self) -> None:
        self._drain_commands()
        for stream in tuple(self._streams):
            self.stop_stream(stream, Future())
        while self._closing:
            self._tick_closing()
            time.sleep(self._tick_s / 10)
        for fanout in self._fanouts:
            fanout.close()
        self._fanouts.clear()
        self._ended.set()
        self._drain_commands()

    def _tick(self) -> None:
        self._drain_commands()
        self._compare_clocks()
        for stream in tuple(self._streams):
            self._tick_stream(stream)
        self._tick_closing()
        now = time.monotonic()
        for fanout in self._fanouts:
            fanout.tick(now)

    def _compare_clocks(self) -> None:
        now = time.monotonic()
        wall = self._wall()
        if time.monotonic() - now > _READ_TOGETHER_S and self.counters.ticks:
            return  # the thread was off its core between the two, so nothing is known
        step_s = self._clock_steps.observe(wall, now)
        if step_s:
            self.counters.wall_clock_steps += 1
            self._note_gap_of_ours()
            log.warning(
                "the clock of this node has stepped: recordings are named by it",
                extra={"step_seconds": round(step_s, 1)},
            )

    def _note_gap_of_ours(self) -> None:
        """If access units are missing about now, this worker is the cause and not the camera."""
        for fanout in self._fanouts:
            fanout.arrivals.failed(Cause.SYSTEM)

    def _tick_closing(self) -> None:
        for stream, done in tuple(self._closing.items()):
            if stream.closing_tick(time.monotonic(), self._buffer):
                del self._closing[stream]
                done.set_result(None)

    def _drain_commands(self) -> None:
        """Carry out what other threads have asked for since the last tick."""
        while True:
            try:
                command = self._commands.get_nowait()
            except queue.Empty:
                return
            try:
                command()
            except Exception:
                self.counters.loop_faults += 1
                log.exception("bug in a command to the media loop")

    def _tick_stream(self, stream: Stream) -> None:
        try:
            stream.tick(time.monotonic(), self._clock_steps.ahead_s, self._buffer)
        except IngestError as error:
            self._end(stream, error)
        except Exception:
            self.counters.stream_faults += 1
            log.exception(
                "bug while reading a stream: the session ends",
                extra={"camera": stream.fanout.camera},
            )
            stream.fanout.arrivals.failed(Cause.SYSTEM)
            self._end(stream, _our_fault())

    def begin(self, stream: Stream) -> None:
        """Drain this stream from now on. On the loop's thread."""
        for other in tuple(self._streams):
            if other.fanout is stream.fanout:
                self.stop_stream(other, Future())
        stream.fanout.begin_session()
        self._streams[stream] = None
        if self._ended.is_set():
            self.stop_stream(stream, Future())

    def _end(self, stream: Stream, error: IngestError) -> None:
        """The session is over by itself."""
        self.stop_stream(stream, Future())
        stream.fanout.session_ended(error)
        try:
            stream.listener.ended(error)
        except Exception:
            self.counters.listener_faults += 1
            log.exception("bug in a listener", extra={"camera": stream.fanout.camera})

    def stop_stream(self, stream: Stream, done: Future[None]) -> None:
        """TEARDOWN; `done` when the socket is closed. On the loop's thread."""
        if stream not in self._streams:
            done.set_result(None)
            return
        del self._streams[stream]
        stream.begin_closing(time.monotonic())
        self._closing[stream] = done

    def close_fanout(self, fanout: SinkFanout, done: Future[None]) -> None:
        """TEARDOWN first, then the sinks: `done` when the camera's session is closed too. On the
        loop's thread."""
        streams = [stream for stream in self._streams if stream.fanout is fanout]
        for stream in streams:
            self.stop_stream(stream, done)
        if fanout in self._fanouts:
            self._fanouts.remove(fanout)
            fanout.close()
        if not streams:
            done.set_result(None)


def _our_fault() -> IngestError:
    return IngestError(
        ConditionType.STREAMING,
        Reason.PROTOCOL_ERROR,
        "The worker could not digest what the camera sends",
    )


class CameraFeed:
    """A camera's place in the loop: sinks that stay, streams that come and go.

    Its methods may be called from any thread; what they ask for happens at the next tick.
    """

    def __init__(self, loop: MediaLoop, fanout: SinkFanout, limits: TickLimits) -> None:
        self._loop = loop
        self._fanout = fanout
        self._limits = limits

    @property
    def arrivals(self) -> DeliveryLog:
        """What arrives here, noted by the loop."""
        return self._fanout.arrivals

    def play(self, playing: PlayingStream, listener: StreamListener) -> StreamHandle:
        """Take over a playing session; one that still plays on this feed is torn down."""
        stream = Stream(playing, self._fanout, listener, self._limits, time.monotonic())
        self._loop.submit(lambda: self._loop.begin(stream))
        return StreamHandle(self._loop, stream)

    def replace_sinks(self, sinks: Sequence[Sink]) -> None:
        """Sinks that stay go on without a break, new ones start at a key frame."""
        self._loop.submit(lambda: self._fanout.replace_sinks(sinks))

    def close(self) -> Future[None]:
        """Tear down the stream, close the sinks and leave the loop; done when all that is done."""
        done: Future[None] = Future()
        self._loop.submit(lambda: self._loop.close_fanout(self._fanout, done))
        return done


class StreamHandle:
    """A session as its supervisor sees it."""

    def __init__(self, loop: MediaLoop, stream: Stream) -> None:
        self._loop = loop
        self._stream = stream

    @property
    def counters(self) -> StreamCounters:
        """Safe to read from any thread."""
        return self._stream.counters

    def stop(self) -> Future[None]:
        """TEARDOWN; done when the socket is closed. The sinks stay. `ended` is not called."""
        done: Future[None] = Future()
        self._loop.submit(lambda: self._loop.stop_stream(self._stream, done))
        return done
