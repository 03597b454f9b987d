# SPDX-License-Identifier: Apache-2.0
"""What the ledger knows of a device before one of its cameras logs in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from camfleet_api.camera import Attempts, CameraStatus
from camfleet_base.token_bucket import TokenBucket
from camfleet_worker.camera.assignment import Assignment
from camfleet_worker.camera.assignment_index import AssignmentIndex
from camfleet_worker.camera.state_cache import StateCache
from camfleet_worker.camera.status_restore import StatusRestore
from camfleet_worker.cluster.errors import ClusterError, Trouble
from camfleet_worker.login.attempts import AttemptLedger
from camfleet_worker.reporter.conditions import runtime_status
from camfleet_worker.reporter.facts import CameraSnapshot
from camfleet_worker.reporter.reporter import Reporter
from shard_entries import shard_camera, shard_policy
from virtual_time import START, VirtualClock, run_virtual

GATE, LOBBY, OTHER_DEVICE = (
    Assignment(shard_camera(name, host=host), shard_policy())
    for name, host in (("gate", "192.0.2.1"), ("lobby", "192.0.2.1"), ("yard", "192.0.2.2"))
)


def status_with(account: str, count: int) -> CameraStatus:
    attempts = Attempts(account=account, count=count, last=START)
    return runtime_status(CameraSnapshot(1, attempts=attempts), START)


class Statuses:
    """Camera objects with a status each; away: no API server answers."""

    def __init__(self, **statuses: CameraStatus) -> None:
        self.statuses = statuses
        self.read: list[str] = []
        self.away = False

    async def camera(self, name: str) -> dict[str, Any] | None:
        self.read.append(name)
        if self.away:
            raise ClusterError(Trouble.UNAVAILABLE, "no answer")
        wire = self.statuses[name].to_wire() if name in self.statuses else {}
        return {"metadata": {"name": name, "uid": name}, "status": wire}

    async def apply_camera_status(self, name: str, status: dict[str, Any]) -> dict[str, Any]:
        raise AssertionError("nothing is written")


class Restoring:
    """A restore over these statuses, with the cameras of one recorder and one beside it."""

    def __init__(self, statuses: Statuses, folder: Path) -> None:
        self.ledger = AttemptLedger(VirtualClock())
        self.cache = StateCache(folder)
        reporter = Reporter(statuses, VirtualClock(), TokenBucket(10, 10))
        index = AssignmentIndex()
        index.hold({one.uid: one for one in (GATE, LOBBY, OTHER_DEVICE)})
        for one in (GATE, LOBBY, OTHER_DEVICE):
            reporter.follow(one.uid, one.uid)
        self.restore_status = StatusRestore(reporter, self.cache, self.ledger, index).restore_status


def test_the_attempts_of_every_channel_of_the_device_are_known_before_one_logs_in(
    tmp_path: Path,
) -> None:
    statuses = Statuses(gate=status_with("a", 1), lobby=status_with("b", 2))

    async def main() -> None:
        restoring = Restoring(statuses, tmp_path)
        assert await restoring.restore_status(GATE) == statuses.statuses["gate"]
        counts = [attempts.count for key in "ab" if (attempts := restoring.ledger.of(key))]
        assert counts == [1, 2]
        assert set(statuses.read) == {"gate", "lobby"}, "another device is not waited for"

    run_virtual(main())


def test_without_an_api_server_the_copy_of_the_last_process_counts(tmp_path: Path) -> None:
    statuses = Statuses()
    statuses.away = True

    async def main() -> None:
        restoring = Restoring(statuses, tmp_path)
        restoring.cache.keep_status(LOBBY.uid, status_with("b", 2))
        assert await restoring.restore_status(GATE) is None
        spent = restoring.ledger.of("b")
        assert spent is not None
        assert spent.count == 2

    run_virtual(main())
