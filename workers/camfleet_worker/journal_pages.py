# SPDX-License-Identifier: Apache-2.0
"""GET /journal and POST /journal/acknowledge: what a collector of availability asks a worker.

A collector reads from the moment it has acknowledged, stores what it got, and then acknowledges
`settledUs` of the answer: days that ended before it are let go. Reading changes nothing, so an
answer that is lost is asked for again. Files are read in a thread.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from http import HTTPStatus

from camfleet_worker.http_server import Answer, Request
from camfleet_worker.journal.lines import Entry, said
from camfleet_worker.journal.store import ended_us
from camfleet_worker.journals import Journals, KeptJournal

JOURNAL = "/journal"
ACKNOWLEDGE = "/journal/acknowledge"
JSON = "application/json"
_LONGEST = 17
"""Digits of a moment: the years up to 5000, and no number that a day cannot be told of."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class JournalPages:
    """Answers a collector. 400 where it does not say what it means, 503 where the disk does not
    answer."""

    def __init__(self, journals: Journals) -> None:
        self._journals = journals

    async def read(self, request: Request) -> Answer:
        """Everything that ended since `since`, of `camera` or of all."""
        try:
            since_us = _moment(request.query.get("since", "0"))
        except ValueError as error:
            return _refused(error)
        found = self._named(request.query)
        going_on = [kept.now() for kept in found]
        try:
            lying = await asyncio.to_thread(lambda: [kept.store.entries() for kept in found])
        except OSError as error:
            return _unread(error)
        cameras = [
            {
                "camera": kept.camera,
                "uid": kept.uid,
                "settledUs": kept.settled_us,
                "entries": [said(entry) for entry in _since(entries, since_us)],
                "open": [said(entry) for entry in _since(more, since_us)],
            }
            for kept, entries, more in zip(found, lying, going_on, strict=True)
        ]
        body = json.dumps({"cameras": cameras}, separators=(",", ":")).encode()
        return Answer(HTTPStatus.OK, body + b"\n", JSON)

    async def acknowledge(self, request: Request) -> Answer:
        """Let go of what ended before `until`."""
        try:
            until_us = _moment(request.query["until"])
        except (KeyError, ValueError) as error:
            return _refused(error)
        found = self._named(request.query)
        try:
            for kept in found:
                await asyncio.to_thread(kept.store.acknowledge, until_us)
        except OSError as error:
            return _unread(error)
        return Answer(HTTPStatus.NO_CONTENT)

    def _named(self, query: Mapping[str, str]) -> list[KeptJournal]:
        name = query.get("camera")
        return [kept for kept in self._journals.kept if name in (None, kept.camera)]


def _since(entries: Iterable[Entry], since_us: int) -> list[Entry]:
    return [entry for entry in entries if ended_us(entry) > since_us]


def _moment(text: str) -> int:
    """Microseconds since the epoch, or RFC 3339 with an offset. Raises ValueError."""
    if text.isascii() and text.isdigit() and len(text) <= _LONGEST:
        return int(text)
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"{text!r} lacks an offset, such as Z")
    return (at - _EPOCH) // timedelta(microseconds=1)


def _refused(error: Exception) -> Answer:
    return Answer(HTTPStatus.BAD_REQUEST, f"no such moment: {error}\n".encode())


def _unread(error: OSError) -> Answer:
    cause = error.strerror or type(error).__name__
    return Answer(HTTPStatus.SERVICE_UNAVAILABLE, f"the journal cannot be read: {cause}\n".encode())
