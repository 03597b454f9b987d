# SPDX-License-Identifier: Apache-2.0
"""Holds the sinks of one camera over all its sessions: they are made when it first connects, and
renewed when its policy or a Secret changes.

The supervisor has one. The functions that make sinks and drive them are arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from camfleet_api.conditions import ConditionType
from camfleet_worker.camera.assignment import Assignment
from camfleet_worker.camera.sink_set import NO_SINKS, SinkSet
from camfleet_worker.media_types.sink import Sink
from camfleet_worker.reporter.facts import Failure

MakeSinks = Callable[[Assignment, SinkSet], SinkSet]
"""Makes the sinks of an assignment; sinks of the former set that stay the same are kept."""


class CameraSinks:
    """The sinks that a camera has now."""

    def __init__(self, make: MakeSinks, replace: Callable[[Sequence[Sink]], None]) -> None:
        """`replace` makes the media loop drive the given sinks and no others from now on."""
        self.set: SinkSet = NO_SINKS
        self._make = make
        self._replace = replace
        self._recalled_picture: Failure | None = None

    @property
    def made(self) -> bool:
        """Whether sinks exist, because the camera has connected."""
        return self.set != NO_SINKS

    def renew(self, assignment: Assignment) -> bool:
        """Make the sinks of this assignment; True where they differ. Sinks that stay the same go on
        without a break."""
        made = self._make(assignment, self.set)
        if made == self.set:
            return False
        self.set = made
        self._replace(made.sinks)
        return True

    def recall_picture(self, side: Iterable[Failure]) -> None:
        """Take over the failure of ImageHealthy that a former worker reported."""
        pictures = (f for f in side if f.condition is ConditionType.IMAGE_HEALTHY)
        self._recalled_picture = next(pictures, None)

    def picture_failure(self) -> Failure | None:
        """Why ImageHealthy is not True. A former worker's report holds until a verdict here."""
        picture = self.set.picture
        if picture.working or picture.failure is not None:
            self._recalled_picture = None
        return picture.failure or self._recalled_picture
