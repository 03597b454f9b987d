# SPDX-License-Identifier: Apache-2.0
"""The shard as the fleet sees it: one assignment for each camera, and what differs between two.

Pure. A camera whose entry is unchanged is never touched, whatever happens to the entries around
it; entries are told apart by the Camera's uid, so a camera deleted and declared again is another.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from camfleet_api.device_address import DeviceAddress
from camfleet_api.ingest_shard import IngestShardSpec, Policy, ShardCamera, secrets_of_camera


@dataclass(frozen=True)
class Assignment:
    """One camera and the policy it is held to."""

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
        """Cameras with the same one are channels of one device."""
        return self.camera.device

    def runs_like(self, other: Assignment) -> bool:
        """True where the difference, if any, needs no new connection."""
        return self._essence() == other._essence()

    def _essence(self) -> tuple[ShardCamera, Policy]:
        """Without what does not reach the stream: a label was edited, another index was given."""
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
"""By uid of the Camera."""


@dataclass(frozen=True, slots=True)
class ShardChange:
    """What has to be done to get from one shard to the next."""

    added: tuple[Assignment, ...]
    removed: tuple[Assignment, ...]
    changed: tuple[Assignment, ...]
    """Must connect anew."""
    renewed: tuple[Assignment, ...]
    """Go on as they are; the generation differs, or a budget, bound or window of the site."""


def assignments_of(spec: IngestShardSpec) -> dict[str, Assignment]:
    """Resolve the policy of each camera. IndexError where the shard names none that exists."""
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
