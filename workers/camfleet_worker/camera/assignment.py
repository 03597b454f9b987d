# SPDX-License-Identifier: Apache-2.0
"""Makes one assignment for each camera of a shard, and compares the assignments of two shards.

Pure. A camera whose entry is unchanged is never touched, whatever happens to other entries. The
Camera's uid identifies an entry, so a camera that is deleted and declared again is another one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from camfleet_api.device_address import DeviceAddress
from camfleet_api.ingest_shard import IngestShardSpec, Policy, ShardCamera, secrets_of_camera


@dataclass(frozen=True)
class Assignment:
    """One camera with its policy."""

    camera: ShardCamera
    policy: Policy

    @property
    def uid(self) -> str:
        return self.camera.uid

    def secrets(self) -> frozenset[str]:
        """Names of all Secrets that running this camera needs."""
        return secrets_of_camera(self.camera, self.policy)

    @property
    def device(self) -> DeviceAddress:
        """The address of its device; cameras with the same one are channels of one device."""
        return self.camera.device

    def runs_like(self, other: Assignment) -> bool:
        """Whether both can use one connection: no difference reaches the stream."""
        return self._essence() == other._essence()

    def _essence(self) -> tuple[ShardCamera, Policy]:
        """The parts that reach the stream: no labels, no indices."""
        return (
            self.camera.model_copy(update={"generation": 0, "policy": 0}),
            self.policy.model_copy(
                update={
                    "site_connects_per_second": 1,
                    "site_retention_bytes": None,
                    "site_maintenance_windows": [],
                }
            ),
        )


Assignments = Mapping[str, Assignment]
"""Assignments by the uid of their Camera."""


@dataclass(frozen=True, slots=True)
class ShardChange:
    """The differences between one shard and the next."""

    added: tuple[Assignment, ...]
    removed: tuple[Assignment, ...]
    changed: tuple[Assignment, ...]
    """Cameras that must connect again."""
    renewed: tuple[Assignment, ...]
    """Cameras that go on unchanged: only the generation or a budget, limit or window of the site
    differs."""


def assignments_of(spec: IngestShardSpec) -> dict[str, Assignment]:
    """The assignments of a shard. IndexError where an entry names a policy that does not exist."""
    return {camera.uid: Assignment(camera, spec.policies[camera.policy]) for camera in spec.cameras}


def change_between(old: Assignments, new: Assignments) -> ShardChange:
    """Compare two shards camera by camera."""
    both = [(old[uid], assignment) for uid, assignment in new.items() if uid in old]
    return ShardChange(
        added=tuple(a for uid, a in new.items() if uid not in old),
        removed=tuple(a for uid, a in old.items() if uid not in new),
        changed=tuple(after for before, after in both if not after.runs_like(before)),
        renewed=tuple(
            after for before, after in both if after != before and after.runs_like(before)
        ),
    )
