# SPDX-License-Identifier: Apache-2.0
"""The status of a shard has one writer, who writes the whole of it, rarely; in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

from camfleet_api.ingest_shard import DeletedEarly
from camfleet_worker.cluster.errors import ClusterError, Trouble
from camfleet_worker.reporter.shard_status import LOOK_S, REPORT_EVERY_S, ShardStatus
from virtual_time import START, VirtualClock, run_virtual


class ApiServer:
    """Holds the status as server-side apply leaves it: what its manager does not send is gone."""

    def __init__(self) -> None:
        self.stored: dict[str, Any] = {}
        self.writes: list[float] = []
        self.takes_s = 0.0
        self.refuses = False

    async def apply_shard_status(self, name: str, status: dict[str, Any]) -> object:
        self.writes.append(asyncio.get_running_loop().time())
        await asyncio.sleep(self.takes_s)
        if self.refuses:
            raise ClusterError(Trouble.UNAVAILABLE, "no answer")
        self.stored = status
        return {}

    @property
    def sites(self) -> list[str]:
        return [one["site"] for one in self.stored.get("deletedEarly", ())]


def lost(site: str, age_days: float) -> DeletedEarly:
    until = START - timedelta(days=age_days)
    return DeletedEarly(site=site, until=until, retention_days=30)


def live(
    api: ApiServer, seen: list[DeletedEarly], story: Callable[[ShardStatus], Awaitable[None]]
) -> None:
    """Run a shard's status while `story` happens."""

    async def main() -> None:
        status = ShardStatus("s", api, lambda: seen, VirtualClock())
        running = asyncio.create_task(status.run())
        await story(status)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    run_virtual(main())


def test_a_report_keeps_the_acknowledgement_and_an_acknowledgement_the_report() -> None:
    api, seen = ApiServer(), [lost("hotel", 20)]

    async def story(status: ShardStatus) -> None:
        await status.runs("h1", {})
        assert api.stored == {"observedHash": "h1"}
        await asyncio.sleep(LOOK_S + 1)
        assert (api.stored["observedHash"], api.sites) == ("h1", ["hotel"])
        await status.runs("h2", api.stored)
        assert (api.stored["observedHash"], api.sites) == ("h2", ["hotel"])

    live(api, seen, story)


def test_an_acknowledgement_beside_a_report_that_is_under_way_loses_nothing() -> None:
    api, seen = ApiServer(), [lost("hotel", 20)]

    async def story(status: ShardStatus) -> None:
        await status.runs("h1", {})
        api.takes_s = 5.0
        await asyncio.sleep(LOOK_S + 1)  # the report is on its way
        await status.runs("h2", api.stored)
        assert (api.stored["observedHash"], api.sites) == ("h2", ["hotel"])

    live(api, seen, story)


def test_the_next_process_keeps_what_the_last_one_reported_and_writes_nothing() -> None:
    api = ApiServer()
    api.stored = {"observedHash": "h1", "deletedEarly": [lost("hotel", 20).to_wire()]}

    async def story(status: ShardStatus) -> None:
        await status.runs("h1", api.stored)
        await asyncio.sleep(10 * REPORT_EVERY_S)
        assert api.writes == []
        await status.runs("h2", api.stored)
        assert api.sites == ["hotel"]

    live(api, [], story)


def test_nothing_is_reported_before_the_shard_was_seen() -> None:
    api, seen = ApiServer(), [lost("hotel", 20)]

    async def story(_: ShardStatus) -> None:
        await asyncio.sleep(10 * REPORT_EVERY_S)

    live(api, seen, story)
    assert api.writes == []


def test_deletions_are_written_at_most_once_in_ten_minutes_also_where_writing_fails() -> None:
    api, seen = ApiServer(), [lost("hotel", 20)]

    async def story(status: ShardStatus) -> None:
        await status.runs("h1", {"observedHash": "h1"})
        for day in range(19, 9, -1):  # each a loss worth telling
            await asyncio.sleep(200)
            api.refuses = day % 2 == 0
            seen[:] = [lost("hotel", day)]

    live(api, seen, story)
    assert len(api.writes) == 4
    between = [later - one for one, later in zip(api.writes, api.writes[1:], strict=False)]
    assert min(between) >= REPORT_EVERY_S


def test_a_report_that_failed_is_tried_again() -> None:
    api, seen = ApiServer(), [lost("hotel", 20)]
    api.refuses = True

    async def story(status: ShardStatus) -> None:
        await status.runs("h1", {"observedHash": "h1"})
        await asyncio.sleep(LOOK_S + 1)
        assert api.sites == []
        api.refuses = False
        await asyncio.sleep(REPORT_EVERY_S)
        assert api.sites == ["hotel"]

    live(api, seen, story)


def test_a_shard_that_was_made_anew_has_its_report_again() -> None:
    api, seen = ApiServer(), [lost("hotel", 20)]

    async def story(status: ShardStatus) -> None:
        await status.runs("h1", {})
        await asyncio.sleep(LOOK_S + 1)
        await status.runs("h1", {})  # deleted by hand; the operator made it again
        assert (api.stored["observedHash"], api.sites) == ("h1", ["hotel"])

    live(api, seen, story)


def test_a_status_that_cannot_be_read_is_written_over_and_stops_nothing() -> None:
    api = ApiServer()

    async def story(status: ShardStatus) -> None:
        await status.runs("h1", {"deletedEarly": [{"site": "?"}]})

    live(api, [], story)
    assert api.stored == {"observedHash": "h1"}
