# SPDX-License-Identifier: Apache-2.0
"""Holds the sinks of one camera, and combines their states.

The sink factory makes it when a session begins; the media loop drives the sinks. A relay that
cannot be made (no Secret, no usable URL) leaves an error in its place: recording and the other
relay go on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from camfleet_api.conditions import ConditionType
from camfleet_api.ingest_shard import Policy
from camfleet_worker.base.errors import IngestError
from camfleet_worker.media_types.sink import Sink
from camfleet_worker.media_types.sink_state import SinkPhase
from camfleet_worker.picture.sink import PictureSink, Snapshot
from camfleet_worker.reporter.facts import Failure, SinkFact


@dataclass(frozen=True)
class MadeSink:
    """A sink and the settings that it was made from; with equal settings it is kept."""

    settings: object
    sink: Sink


@dataclass(frozen=True)
class SinkSet:
    """Working sinks, and the errors of those that could not be made."""

    made: tuple[MadeSink, ...] = ()
    errors: tuple[IngestError, ...] = ()

    @property
    def sinks(self) -> tuple[Sink, ...]:
        """The sinks, for the media loop."""
        return tuple(made.sink for made in self.made)

    @property
    def picture(self) -> SinkFact:
        """The verdict of the watch on the picture; before one it is neither working nor failed."""
        return self._fact(ConditionType.IMAGE_HEALTHY)

    @property
    def snapshot(self) -> Snapshot | None:
        """The last picture that was decoded; None where there is none."""
        watches = (sink for sink in self.sinks if isinstance(sink, PictureSink))
        return next((watch.snapshot for watch in watches), None)

    def kept(self, settings: object) -> MadeSink | None:
        """The sink that was made from equal settings."""
        return next((made for made in self.made if made.settings == settings), None)

    def facts(self, wanted: Iterable[ConditionType]) -> dict[ConditionType, SinkFact]:
        """One fact for each condition that the policy asks for."""
        return {kind: self._fact(kind) for kind in wanted}

    def _fact(self, kind: ConditionType) -> SinkFact:
        """Working where all sinks are; failed where one is, with the reason of the first."""
        states = [sink.state for sink in self.sinks if sink.condition is kind]
        errors = [error for error in self.errors if error.condition is kind]
        errors += [state.error for state in states if state.error is not None]
        if errors:
            return SinkFact(failure=Failure.of(errors[0]))
        working = bool(states) and all(state.phase is SinkPhase.WORKING for state in states)
        return SinkFact(working=working)


NO_SINKS = SinkSet()


def wanted_sinks(policy: Policy) -> tuple[ConditionType, ...]:
    """The sink conditions that a policy asks for."""
    wanted: Mapping[ConditionType, bool] = {
        ConditionType.RELAYING: bool(policy.relays),
        ConditionType.RECORDING: policy.recording.enabled,
    }
    return tuple(kind for kind, asked in wanted.items() if asked)
