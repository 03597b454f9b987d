# SPDX-License-Identifier: Apache-2.0
"""The threads that decode key frames, shared by all cameras of a worker.

The composition root makes it; sinks submit key frames from the media loop and never wait. A key
frame that a busy pool cannot take is skipped and counted: the next one shows the same view.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from camfleet_worker.media_types.access_unit import AccessUnit
from camfleet_worker.picture.decoder import KeyFrameDecoder, NotDecodable, Result

log = logging.getLogger(__name__)

THREADS = 2
"""Two threads decode some 150 pictures of 720p a second: eight times what 200 cameras need."""
WAITING = 32
"""The most key frames in the queue, some 3 MB; they are copies that the sinks made."""

OnResult = Callable[[Result | None], None]
"""Called on a thread of the pool with the result; None where the key frame gave no picture."""


class PictureAnalyser(Protocol):
    """Decodes key frames and returns what they show."""

    def submit(self, unit: AccessUnit, on_result: OnResult) -> bool:
        """Queue a key frame for decoding. False where the queue is full: `on_result` is then never
        called."""


@dataclass(slots=True)
class PictureCounters:
    """Counts the pool's work. One thread writes each counter, or the lock is held; metrics read."""

    decoded: int = 0
    skipped: int = 0
    errors: int = 0
    """Key frames that gave no whole picture."""
    faults: int = 0
    """Exceptions of ours: bugs."""


class PicturePool:
    """A few threads with decoders, and a short queue before them."""

    def __init__(self, threads: int = THREADS, waiting: int = WAITING) -> None:
        self.counters = PictureCounters()
        self._queue: queue.Queue[tuple[AccessUnit, OnResult] | None] = queue.Queue(waiting)
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._run, name=f"picture-{n}", daemon=True)
            for n in range(threads)
        ]

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def submit(self, unit: AccessUnit, on_result: OnResult) -> bool:
        """Queue a key frame; called on the media loop, it returns at once."""
        try:
            self._queue.put_nowait((unit, on_result))
        except queue.Full:
            self.counters.skipped += 1
            return False
        return True

    def close(self, timeout_s: float) -> None:
        """Drop the queue, and wait for the key frames that are being decoded."""
        self._drop_waiting()
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            if thread.is_alive():
                thread.join(timeout_s)

    def _drop_waiting(self) -> None:
        try:
            while True:
                self._queue.get_nowait()
        except queue.Empty:
            return

    def _run(self) -> None:
        decoder = KeyFrameDecoder()
        while (submitted := self._queue.get()) is not None:
            unit, on_result = submitted
            result = self._result(decoder, unit)
            try:
                on_result(result)
            except Exception:
                self._note_fault("bug while a picture was judged")

    def _result(self, decoder: KeyFrameDecoder, unit: AccessUnit) -> Result | None:
        """Decode; None also after a bug, because a sink without a result never submits again."""
        try:
            result = decoder.decode(unit)
        except NotDecodable:
            with self._lock:
                self.counters.errors += 1
            return None
        except Exception:
            self._note_fault("bug while a picture was decoded")
            return None
        with self._lock:
            self.counters.decoded += 1
        return result

    def _note_fault(self, what: str) -> None:
        with self._lock:
            self.counters.faults += 1
        log.exception(what)
