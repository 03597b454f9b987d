# SPDX-License-Identifier: Apache-2.0
"""Which device a Camera stands for, held on to until a person confirms another one.

Each supervisor has one and shows it every identity that its device states; what the hints mean is
decided in resolve/identity.py. The fleet adds what only it can see: two declared devices that
answer as one. Nothing here asks a device.
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
        """The one that is meant: for the Camera's status."""
        self.answering: DeviceStatus | None = None
        """The one that answered last."""
        self._changed: Failure | None = None
        self._shared: Failure | None = None

    @property
    def failure(self) -> Failure | None:
        """Why IdentityStable is not True; an exchange is graver than a likeness."""
        return self._changed or self._shared

    def recall(self, device: DeviceStatus | None, side: tuple[Failure, ...]) -> None:
        """Take over what a former worker reported."""
        self.device = self.answering = device
        self._changed = next((f for f in side if f.reason is Reason.DEVICE_CHANGED), None)

    def see(self, identity: DeviceStatus, declared_serial: str | None) -> None:
        """Take the identity that the device has just stated."""
        self.answering = identity
        before = self.device or self.answering
        verdict = judge(before, identity, declared_serial)
        if verdict.changed:
            self.device = before
            self._changed = _failure(Reason.DEVICE_CHANGED, verdict.detail)
        elif verdict.likeness is Likeness.SAME or self._changed is None:
            self.device, self._changed = merged(self.device, identity), None

    def share(self, detail: str | None) -> None:
        """Another declared device answers with the same identity, or none does any more."""
        self._shared = None if detail is None else _failure(Reason.SHARED_IDENTITY, detail)


def _failure(reason: Reason, detail: str) -> Failure:
    return Failure.of(IngestError(ConditionType.IDENTITY_STABLE, reason, detail))
