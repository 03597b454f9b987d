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
from camfleet_worker.media_types.sink_state import SinkPhase

_TICK_S = 0.02


class MediaPump:
    """Pushes `source` into all sinks, `per_second` units at a time, until the block ends.

    What was pushed is kept in `pushed`. An exception in a sink is a bug and fails the test.
    `lossless`: before the second key frame it waits until all sinks work, since a relay that is
    not connected yet keeps one GOP, and how long connecting takes is the machine's affair.
    """

    def __init__(
        self,
        source: Iterator[AccessUnit],
        *sinks: Sink,
        per_second: float = 100.0,
        lossless: bool = False,
    ) -> None:
        self.pushed: list[AccessUnit] = []
        self._source = source
        self._sinks = sinks
        self._per_second = per_second
        self._lossless = lossless
        self._held: AccessUnit | None = None
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
        if source is not None:
            self._source, self._held = source, None
        self._flowing.set()

    def _run(self) -> None:
        try:
            began, given = time.monotonic(), 0
            while not self._stop.wait(_TICK_S):
                now = time.monotonic()
                while given < (now - began) * self._per_second:
                    given += 1
                    if self._flowing.is_set() and (unit := self._next()) is not None:
                        self._push(unit)
                for sink in self._sinks:
                    sink.tick(now)
        except Exception as error:  # handed to the test's own thread
            self._error = error

    def _next(self) -> AccessUnit | None:
        """The unit to push now; None where none is left, or where sinks are waited for."""
        unit = self._held or next(self._source, None)
        self._held = None
        if self._lossless and unit is not None and unit.key and self.pushed and not self._working():
            self._held, unit = unit, None
        return unit

    def _working(self) -> bool:
        return all(sink.state.phase is SinkPhase.WORKING for sink in self._sinks)

    def _push(self, unit: AccessUnit) -> None:
        self.pushed.append(unit)
        for sink in self._sinks:
            sink.push(unit)
