# SPDX-License-Identifier: Apache-2.0
"""From an IngestShard to the fleet: what is taken over, kept and acknowledged, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any

from camfleet_api.ingest_shard import IngestShardSpec
from camfleet_worker.cluster.errors import ClusterError, Trouble
from camfleet_worker.reporter.shard_status import ACKNOWLEDGEMENTS, ShardStatus
from camfleet_worker.shard_follower import PATIENCE_S, ShardFollower
from shard_entries import secret_ref, shard_camera, shard_policy
from virtual_time import VirtualClock, run_virtual


def shard(hash_: str, *uids: str, policy: int = 0) -> IngestShardSpec:
    cameras = [
        shard_camera(uid, credentials=secret_ref(f"secret-of-{uid}"), policy=policy) for uid in uids
    ]
    return IngestShardSpec(hash=hash_, policies=[shard_policy()], cameras=cameras)


class Stage:
    """API server, fleet, accounts and cache around a follower: what they were asked, in order."""

    def __init__(self, copy: IngestShardSpec | None = None) -> None:
        self.copy = copy
        self.shown: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self.calls: list[tuple[str, object]] = []
        self.refusals = 0
        self.apply_s = 0.0

    def show(self, spec: IngestShardSpec, observed: str = "") -> None:
        self.shown.put_nowait({"spec": spec.to_wire(), "status": {"observedHash": observed}})

    def did(self, what: str) -> list[object]:
        return [value for name, value in self.calls if name == what]

    async def shard(self, name: str) -> AsyncIterator[dict[str, Any] | None]:
        while True:
            yield await self.shown.get()

    async def apply_shard_status(self, name: str, status: dict[str, Any]) -> object:
        self.calls.append(("acknowledge", status["observedHash"]))
        if self.refusals > 0:
            self.refusals -= 1
            raise ClusterError(Trouble.UNAVAILABLE, "no answer")
        return {}

    def want(self, names: Iterable[str]) -> None:
        self.calls.append(("want", set(names)))

    async def apply(self, spec: IngestShardSpec) -> None:
        for camera in spec.cameras:
            spec.policies[camera.policy]
        self.calls.append(("apply", spec.hash))
        await asyncio.sleep(self.apply_s)
        self.calls.append(("applied", spec.hash))

    def keep_shard(self, spec: IngestShardSpec) -> None:
        self.calls.append(("keep", spec.hash))

    def retain_statuses(self, uids: Iterable[str]) -> None:
        self.calls.append(("retain", set(uids)))


class Cache:
    """The stage as the follower's cache, where `shard` is the copy."""

    def __init__(self, stage: Stage) -> None:
        self.keep_shard = stage.keep_shard
        self.retain_statuses = stage.retain_statuses
        self._stage = stage

    def shard(self) -> IngestShardSpec | None:
        return self._stage.copy


def follow(stage: Stage, seconds: float = 1.0) -> ShardFollower:
    """Run a follower for a while."""

    async def main() -> ShardFollower:
        status = ShardStatus("s", stage, list, VirtualClock())
        follower = ShardFollower("s", stage, status, stage, stage, Cache(stage))
        running = asyncio.create_task(follower.run())
        await asyncio.sleep(seconds)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return follower

    return run_virtual(main())


def test_a_shard_is_run_with_its_secrets_then_kept_then_acknowledged() -> None:
    stage = Stage()
    stage.show(shard("h1", "gate", "lobby"))
    assert follow(stage).ready
    assert stage.calls == [
        ("want", {"secret-of-gate", "secret-of-lobby"}),
        ("apply", "h1"),
        ("applied", "h1"),
        ("keep", "h1"),
        ("retain", {"gate", "lobby"}),
        ("acknowledge", "h1"),
    ]


def test_an_unchanged_shard_is_neither_run_nor_acknowledged_again() -> None:
    stage = Stage()
    stage.show(shard("h1", "gate"))
    stage.show(shard("h1", "gate"), observed="h1")
    follow(stage)
    assert stage.did("apply") == stage.did("acknowledge") == ["h1"]


def test_a_shard_that_vanishes_stops_nothing() -> None:
    stage = Stage()
    stage.show(shard("h1", "gate"))
    stage.shown.put_nowait(None)
    assert follow(stage).ready
    assert stage.did("apply") == ["h1"]


def test_a_shard_that_cannot_be_read_is_never_acknowledged_and_the_next_one_is_run() -> None:
    stage = Stage()
    broken = shard("h1", "gate", policy=1)
    stage.show(broken)
    stage.show(broken)
    stage.shown.put_nowait({"spec": {"hash": 5}})
    stage.show(shard("h2", "gate"))
    follow(stage)
    assert stage.did("applied") == stage.did("acknowledge") == ["h2"]


def test_an_acknowledgement_that_fails_is_repeated_and_then_given_up() -> None:
    stage = Stage()
    stage.refusals = 2
    stage.show(shard("h1", "gate"))
    follow(stage, 60.0)
    assert stage.did("acknowledge") == ["h1"] * 3

    stage = Stage()
    stage.refusals = 1000
    stage.show(shard("h1", "gate"))
    stage.show(shard("h2", "gate"))
    follow(stage, 600.0)
    assert stage.did("acknowledge") == ["h1"] * ACKNOWLEDGEMENTS + ["h2"] * ACKNOWLEDGEMENTS


def test_without_an_api_server_the_copy_is_run_after_a_while() -> None:
    stage = Stage(copy=shard("kept", "gate"))
    assert not follow(stage, PATIENCE_S - 0.5).ready
    assert stage.calls == []

    stage = Stage(copy=shard("kept", "gate"))
    assert follow(stage, PATIENCE_S + 0.5).ready
    assert stage.did("applied") == ["kept"]
    assert stage.did("acknowledge") == []


def test_the_copy_is_not_run_where_the_api_server_has_answered() -> None:
    stage = Stage(copy=shard("kept", "gate"))
    stage.show(shard("h1", "gate"))
    follow(stage, PATIENCE_S * 2)
    assert stage.did("apply") == ["h1"]


def test_two_shards_are_never_taken_over_at_once() -> None:
    stage = Stage(copy=shard("kept", "gate"))
    stage.apply_s = PATIENCE_S * 2
    stage.show(shard("h1", "gate"))
    follow(stage, PATIENCE_S * 4)
    assert stage.did("apply") == ["h1"], "the copy is not run beside a shard that is taken over"
