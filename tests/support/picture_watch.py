# SPDX-License-Identifier: Apache-2.0
"""The watch on one camera's picture in the camera's own time: real decoders, no waiting."""

from __future__ import annotations

from collections.abc import Iterable

from camfleet_api.conditions import Reason
from camfleet_worker.media_types.access_unit import AccessUnit
from camfleet_worker.picture.decoder import KeyFrameDecoder
from camfleet_worker.picture.pool import OnResult
from camfleet_worker.picture.sink import PictureSink
from picture_faults import FPS


class ImmediateAnalyser:
    """Decodes where it is asked to: what comes of a picture is known when it was pushed."""

    def __init__(self) -> None:
        self.looks = 0
        self._decoder = KeyFrameDecoder()

    def submit(self, unit: AccessUnit, on_result: OnResult) -> bool:
        """As the pool does, at once."""
        self.looks += 1
        on_result(self._decoder.decode(unit))
        return True


class WatchedCamera:
    """A sink, and what it said when."""

    def __init__(self) -> None:
        self.now = 0.0
        self.analyser = ImmediateAnalyser()
        self.sink = PictureSink(self.analyser)
        self.told: list[tuple[float, Reason | None]] = []

    def play(self, units: Iterable[AccessUnit], fps: int = FPS) -> None:
        """Let time pass with these pictures."""
        for unit in units:
            self.sink.tick(self.now)
            self.sink.push(unit)
            error = self.sink.state.error
            reason = error.reason if error else None
            if reason != (self.told[-1][1] if self.told else None):
                self.told.append((self.now, reason))
            self.now += 1 / fps
