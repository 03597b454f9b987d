# SPDX-License-Identifier: Apache-2.0
"""Finds the worker's assignments by device and by Secret.

The fleet updates it with every new shard. StatusRestore asks it which cameras share a device, and
the fleet which of them need a Secret. It starts and stops nothing.
"""

from __future__ import annotations

from collections import defaultdict

from camfleet_api.device_address import DeviceAddress
from camfleet_worker.camera.assignment import Assignment, Assignments


class AssignmentIndex:
    """The assignments of one worker; empty before the first shard."""

    def __init__(self) -> None:
        self._by_device: dict[DeviceAddress, list[Assignment]] = {}
        self._by_secret: dict[str, list[Assignment]] = {}

    def hold(self, assignments: Assignments) -> None:
        """Replace the assignments by these."""
        by_device: defaultdict[DeviceAddress, list[Assignment]] = defaultdict(list)
        by_secret: defaultdict[str, list[Assignment]] = defaultdict(list)
        for assignment in assignments.values():
            by_device[assignment.device].append(assignment)
            for secret in assignment.secrets():
                by_secret[secret].append(assignment)
        self._by_device, self._by_secret = dict(by_device), dict(by_secret)

    def at_device(self, device: DeviceAddress) -> list[Assignment]:
        """All cameras of one device: the channels of a recorder."""
        return list(self._by_device.get(device, ()))

    def with_secret(self, name: str) -> list[Assignment]:
        """All cameras that need this Secret, for their login or a monitoring system's."""
        return list(self._by_secret.get(name, ()))
