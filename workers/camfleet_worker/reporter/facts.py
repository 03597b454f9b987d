# SPDX-License-Identifier: Apache-2.0
"""What a worker knows of one camera at one moment: supervisor → reporter.

Facts are values. Supervisors publish them whenever they change; the reporter alone decides when a
changed fact is worth a write.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from camfleet_api.camera import Attempts, DeviceStatus, LearnedStatus
from camfleet_api.conditions import ConditionType, Reason
from camfleet_worker.base.errors import IngestError


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a condition is not True."""

    condition: ConditionType
    reason: Reason
    message: str

    @classmethod
    def of(cls, error: IngestError) -> Failure:
        """The failure that an error states."""
        return cls(error.condition, error.reason, error.message)


@dataclass(frozen=True, slots=True)
class SinkFact:
    """Whether one kind of sink does its work: neither working nor failed is not known yet."""

    working: bool = False
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class CameraSnapshot:
    """Everything from which a Camera's runtime status is computed.

    `failure` is the rung of the ladder that is not True; with `streaming` all are. Neither:
    the camera is being tried for the first time.
    """

    generation: int
    streaming: bool = False
    failure: Failure | None = None
    sinks: Mapping[ConditionType, SinkFact] = field(default_factory=dict)
    """One entry for each sink condition that the policy asks for."""
    side: tuple[Failure, ...] = ()
    """Side conditions that are not True."""
    device: DeviceStatus | None = None
    learned: LearnedStatus | None = None
    attempts: Attempts | None = None
