# SPDX-License-Identifier: Apache-2.0
"""GET /journal and POST /journal/acknowledge, asked by a real HTTP client."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest

from camfleet_api.cause import Cause
from camfleet_worker.endpoints.http_server import READING, HttpServer
from camfleet_worker.endpoints.journal_pages import ACKNOWLEDGE, JOURNAL, AnswerSize, JournalPages
from camfleet_worker.endpoints.local_endpoint import LOOPBACK, Loopback
from camfleet_worker.journal.lines import Entry, fields_of
from camfleet_worker.journal.period import UP, Fact, Period, Stage, down
from camfleet_worker.journal.store import JournalStore
from camfleet_worker.journal.tally import MINUTES, Tally
from camfleet_worker.journal.windows import Window
from eventually import eventually_async

ARRIVING = Fact(Stage.ARRIVING)
DAY_US = 86_400_000_000
YESTERDAY = Period(ARRIVING, down(Cause.LINE), 1_000, 2_000)
TODAY = Period(ARRIVING, UP, 2_000, DAY_US + 5)
COUNTED = Tally(ARRIVING, DAY_US, (3,) * MINUTES)
GOES_ON = Period(ARRIVING, down(Cause.CAMERA), DAY_US + 5, DAY_US + 50)


class Kept:
    """A camera's journal with something on the disk and something that goes on."""

    settled_us = DAY_US + 7
    windows = (Window(500, 1_500, "noc", "mast moved"),)

    def __init__(self, name: str, folder: Path) -> None:
        self.camera, self.uid = name, f"uid-{name}"
        self.store = JournalStore(folder / name)
        self.store.append(YESTERDAY, TODAY, COUNTED)

    def now(self) -> list[Entry]:
        return [GOES_ON]


@asynccontextmanager
async def asking(folder: Path, size: AnswerSize | None = None) -> AsyncIterator[httpx.AsyncClient]:
    journals = SimpleNamespace(kept=[Kept("gate", folder), Kept("yard", folder)])
    pages = JournalPages(journals, size)  # type: ignore[arg-type]
    loopback = Loopback(
        lambda path: None,
        {JOURNAL: (READING, pages.read), ACKNOWLEDGE: (("POST",), pages.acknowledge)},
    )
    server = HttpServer(loopback.answer)
    port = await server.start(LOOPBACK, 0)
    async with httpx.AsyncClient(base_url=f"http://{LOOPBACK}:{port}") as client:
        yield client
    await server.close()


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with asking(tmp_path) as client:
        yield client


async def test_a_collector_gets_final_entries_and_open_ones(
    client: httpx.AsyncClient,
) -> None:
    answer = await client.get("/journal")
    assert answer.headers["content-type"] == "application/json"
    gate, yard = answer.json()["cameras"]
    assert (gate["camera"], gate["uid"], gate["settledUs"]) == ("gate", "uid-gate", DAY_US + 7)
    assert gate["windows"] == [
        {"startUs": 500, "endUs": 1_500, "author": "noc", "reason": "mast moved"}
    ]
    assert gate["entries"] == [fields_of(YESTERDAY), fields_of(TODAY), fields_of(COUNTED)]
    assert gate["open"] == [fields_of(GOES_ON)]
    assert yard["camera"] == "yard"


@pytest.mark.parametrize("since", ["2001", "1970-01-01T00:00:00.002001Z"])
async def test_only_entries_that_ended_since_a_moment_are_returned(
    client: httpx.AsyncClient, since: str
) -> None:
    answer = await client.get("/journal", params={"since": since, "camera": "yard"})
    (yard,) = answer.json()["cameras"]
    assert yard["entries"] == [fields_of(TODAY), fields_of(COUNTED)]


async def test_acknowledged_entries_are_removed_by_whole_days(client: httpx.AsyncClient) -> None:
    answer = await client.post(f"/journal/acknowledge?until={DAY_US + 7}&camera=gate")
    assert answer.status_code == HTTPStatus.NO_CONTENT
    gate, yard = (await client.get("/journal")).json()["cameras"]
    assert gate["entries"] == [fields_of(TODAY), fields_of(COUNTED)]
    assert len(yard["entries"]) == 3


async def test_reading_acknowledges_nothing_and_acknowledging_needs_to_be_meant(
    client: httpx.AsyncClient,
) -> None:
    refused = await client.get(f"/journal/acknowledge?until={9 * DAY_US}")
    assert refused.status_code == HTTPStatus.METHOD_NOT_ALLOWED
    assert (await client.post("/journal")).status_code == HTTPStatus.METHOD_NOT_ALLOWED
    page = {"Origin": "https://example.org"}
    answer = await client.post(f"/journal/acknowledge?until={9 * DAY_US}", headers=page)
    assert answer.status_code == HTTPStatus.FORBIDDEN
    for until in (
        "",
        "?until=",
        "?until=yesterday",
        "?until=2026-05-01T07:00:00",
        "?until=-1",
        "?until=" + 30 * "9",
        f"?until={9 * DAY_US}&kamera=gate",
    ):
        answer = await client.post(f"/journal/acknowledge{until}")
        assert answer.status_code == HTTPStatus.BAD_REQUEST, until
    await client.post(f"/journal/acknowledge?until={9 * DAY_US}&camera=")
    for camera in (await client.get("/journal")).json()["cameras"]:
        assert len(camera["entries"]) == 3


async def test_a_disk_that_does_not_answer_holds_one_request_and_the_next_is_503(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, go_on = threading.Event(), threading.Event()
    entries = JournalStore.entries

    def stalled(store: JournalStore, since_us: int) -> list[Entry]:
        held.set()
        go_on.wait(30)
        return entries(store, since_us)

    monkeypatch.setattr(JournalStore, "entries", stalled)
    first = asyncio.create_task(client.get("/journal"))
    await eventually_async(held.is_set)
    refused = await client.get("/journal")
    assert refused.status_code == HTTPStatus.SERVICE_UNAVAILABLE
    assert "another request" in refused.text
    go_on.set()
    assert (await first).status_code == HTTPStatus.OK
    assert (await client.get("/journal")).status_code == HTTPStatus.OK


async def test_a_disk_that_cannot_be_read_is_503(client: httpx.AsyncClient, tmp_path: Path) -> None:
    (day, *_) = sorted((tmp_path / "gate").rglob("*.jsonl"))
    day.unlink()
    day.mkdir()
    answer = await client.get("/journal")
    assert answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE
    assert "Is a directory" in answer.text


@pytest.mark.parametrize("moment", ["9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00"])
async def test_a_moment_outside_the_calendar_is_refused(
    client: httpx.AsyncClient, moment: str
) -> None:
    refused = await client.post("/journal/acknowledge", params={"until": moment})
    assert refused.status_code == HTTPStatus.BAD_REQUEST
    refused = await client.get("/journal", params={"since": moment})
    assert refused.status_code == HTTPStatus.BAD_REQUEST


async def test_an_answer_has_a_limit_and_gives_how_far_it_goes(
    tmp_path: Path,
) -> None:
    flaps = [Period(ARRIVING, UP, at_us, at_us + 1) for at_us in range(3_000, 3_020, 2)]
    async with asking(tmp_path, AnswerSize(most=0, least_of_each=3)) as client:
        JournalStore(tmp_path / "gate").append(*flaps)
        since_us, found = 0, []
        for _ in range(10):
            gate, yard = (await client.get("/journal", params={"since": since_us})).json()[
                "cameras"
            ]
            assert len(gate["entries"]) <= 3
            assert (len(yard["entries"]), yard["settledUs"]) == (3, DAY_US + 7) or since_us > 0
            found += [entry for entry in gate["entries"] if entry not in found]
            since_us = gate["settledUs"]
    assert since_us == DAY_US + 7
    everything: list[Entry] = [YESTERDAY, *flaps, TODAY, COUNTED]
    assert found == [fields_of(one) for one in everything]
