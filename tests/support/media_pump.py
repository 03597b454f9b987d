# SPDX-License-Identifier: Apache-2.0
"""A small media loop for the tests of sinks: a thread that feeds access units and ticks."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from camfleet_worker.media_types.access_unit import AccessUnit
from camfleet_worker.media_types.sink import Sink

_TICK_S = 0.02


class MediaPump:
    """Pushes `source` into all sinks, `per_second` units at a time, until the block ends.

    What was pushed is kept in `pushed`. An exception in a sink is a bug and fails the test.
    """

    def __init__(
        self, source: Iterator[AccessUnit], *sinks: Sink, per_second: float = 100.0
    ) -> None:
        self.pushed: list[AccessUnit] = []
        self._source = source
        self._sinks = sinks
        self._per_second = per_second
        self._flowing = threading.Event()
        self._flowing.set()
        self._stop = threading.Event()
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="media-pump", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()
        for sink in self._sinks:
            sink.close()
        if self._error is not None:
            raise self._error

    def stop_feeding(self) -> None:
        """Tick on, push no more: what was pushed can be compared with what arrived."""
        self._flowing.clear()

    def feed(self, source: Iterator[AccessUnit] | None = None) -> None:
        """Push again, from another source where one is given."""
        self._source = source or self._source
        self._flowing.set()

    def _run(self) -> None:
        try:
            began, given = time.monotonic(), 0
            while not self._stop.wait(_TICK_S):
                now = time.monotonic()
                while given < (now - began) * self._per_second:
                    given += 1
                    if self._flowing.is_set() and (unit := next(self._source, None)) is not None:
                        self._push(unit)
                for sink in self._sinks:
                    sink.tick(now)
        except Exception as error:  # handed to the test's own thread
            self._error = error

    def _push(self, unit: AccessUnit) -> None:
        self.pushed.append(unit)
        for sink in self._sinks:
            sink.push(unit)
