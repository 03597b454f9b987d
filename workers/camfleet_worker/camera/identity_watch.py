# SPDX-License-Identifier: Apache-2.0
"""Remembers which device a Camera stands for, until a person confirms another one.

Each supervisor has one and gives it every identity that its device returns; resolve/identity.py
decides what the hints mean. Only the fleet can see two declared devices that answer as one, and
reports them here. Nothing here asks a device.
"""

from __future__ import annotations

from camfleet_api.camera import DeviceStatus
from camfleet_api.conditions import ConditionType, Reason
from camfleet_worker.base.errors import IngestError
from camfleet_worker.reporter.facts import Failure
from camfleet_worker.resolve.identity import Likeness, judge, merged


class IdentityWatch:
    """The identity of one camera's device."""

    def __init__(self) -> None:
        self.device: DeviceStatus | None = None
        """The device for which the Camera was declared, as the Camera's status has it."""
        self.answering: DeviceStatus | None = None
        """The device that answered last."""
        self._changed: Failure | None = None
        self._shared: Failure | None = None

    @property
    def failure(self) -> Failure | None:
        """Why IdentityStable is not True; DeviceChanged comes before SharedIdentity."""
        return self._changed or self._shared

    def recall(self, device: DeviceStatus | None, side: tuple[Failure, ...]) -> None:
        """Take over what a former worker reported."""
        self.device = self.answering = device
        self._changed = next((f for f in side if f.reason is Reason.DEVICE_CHANGED), None)

    def see(self, identity: DeviceStatus, declared_serial: str | None) -> None:
        """Compare the identity that the device has just returned."""
        self.answering = identity
        before = self.device or self.answering
        verdict = judge(before, identity, declared_serial)
        if verdict.changed:
            self.device = before
            self._changed = _failure(Reason.DEVICE_CHANGED, verdict.detail)
        elif verdict.likeness is Likeness.SAME or self._changed is None:
            self.device, self._changed = merged(self.device, identity), None

    def share(self, detail: str | None) -> None:
        """Note that another declared device answers with the same identity; None: no more."""
        self._shared = None if detail is None else _failure(Reason.SHARED_IDENTITY, detail)


def _failure(reason: Reason, detail: str) -> Failure:
    return Failure.of(IngestError(ConditionType.IDENTITY_STABLE, reason, detail))
